"""What waits for the loudspeaker, and what is said where there is none."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.play import Player, Queue
from models.errors import UnavailableError


@given(st.lists(st.integers(0, 50), max_size=8), st.lists(st.integers(1, 50), max_size=20))
def test_queue_gives_every_sample_once_in_order_and_silence_after(pieces: list[int], takes: list[int]) -> None:
    queue = Queue()
    said = np.arange(1, sum(pieces) + 1, dtype=np.float32)
    for piece in np.split(said, np.cumsum(pieces)[:-1]) if pieces else []:
        queue.put(piece)
    heard = np.concatenate([queue.take(count) for count in takes]) if takes else np.zeros(0, np.float32)
    assert len(heard) == sum(takes)
    known = min(len(said), len(heard))
    assert np.array_equal(heard[:known], said[:known])
    assert not heard[known:].any()
    assert len(queue) == len(said) - known


def test_cleared_queue_is_silent() -> None:
    queue = Queue()
    queue.put(np.ones(10, np.float32))
    queue.clear()
    assert len(queue) == 0
    assert not queue.take(4).any()


def test_player_without_the_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UnavailableError, match=r"tsuyaku\[play\]") as error:
        Player()
    assert error.value.code == "extra-missing"


def test_player_on_a_device_that_is_not_there_says_so() -> None:
    pytest.importorskip("sounddevice", exc_type=OSError)
    with pytest.raises(UnavailableError) as error:
        Player("no device has this name")
    assert error.value.code == "device-missing"
