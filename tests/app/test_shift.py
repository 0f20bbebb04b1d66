"""Where an echo has gone that comes sooner or later, on sound made by hand."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from app.desk.shift import Move, Search
from app.desk.sound import DESK_RATE, FRAME, SILENCE

CHANGE = DESK_RATE  # samples, from the beginning


def noise(seed: int, level: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, 2 * DESK_RATE).astype(np.float32)


def searched(heard: np.ndarray, echo: np.ndarray, *, told: bool, begin: int = CHANGE) -> tuple[int, Move] | None:
    """What is found first, and after how many frames."""
    history = deque((echo[a : a + FRAME] for a in range(0, begin, FRAME)), maxlen=Search.REACH)
    search = Search(history, told=told)
    for number, a in enumerate(range(begin, len(heard), FRAME)):
        found = search.add(heard[a : a + FRAME], echo[a : a + FRAME])
        if found is not None:
            return number, found
    return None


def moved(echo: np.ndarray, by: int, gain: float = 1.0) -> np.ndarray:
    """From `CHANGE` on, so many samples later."""
    return np.float32(gain) * np.concatenate([echo[:CHANGE], np.roll(echo, by)[CHANGE:]])


@pytest.mark.parametrize("by", [11_003, -4_001, 237])
def test_echo_that_a_loudspeaker_has_moved_is_found_to_the_sample_under_a_person_who_is_louder(by: int) -> None:
    echo, person = noise(0, 0.02), noise(1, 0.04)
    found = searched(moved(echo, by) + person, echo, told=True)
    assert found is not None
    after, move = found
    assert abs(move.by - by) <= 1
    assert move.only
    assert after < 60


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_echo_that_has_not_moved_is_not_found_elsewhere(level: float) -> None:
    echo = noise(0, 0.02)
    assert searched(echo + noise(1, level), echo, told=True) is None


def test_person_who_speaks_alone_is_no_echo() -> None:
    assert searched(noise(1, 0.1), noise(0, 0.02), told=True) is None


def test_way_that_has_changed_is_found_with_its_loudness_where_nobody_speaks() -> None:
    echo = noise(0, 0.05)
    found = searched(moved(echo, 3_000, 0.3), echo, told=False)
    assert found is not None
    _, move = found
    assert abs(move.by - 3_000) <= 1
    assert move.gain == pytest.approx(0.3, abs=0.03)
    assert not move.only


def test_way_that_has_changed_is_not_guessed_while_a_person_hides_it() -> None:
    echo = noise(0, 0.02)
    assert searched(moved(echo, 3_000) + noise(1, 0.06), echo, told=False) is None


def test_silence_tells_nothing_and_is_not_counted() -> None:
    search = Search(deque([SILENCE] * Search.REACH, maxlen=Search.REACH), told=True)
    assert all(search.add(SILENCE, SILENCE) is None for _ in range(2 * Search.MOST_TOLD))
    assert not search.over


def test_echo_of_which_next_to_nothing_is_heard_has_not_come_yet() -> None:
    echo = noise(0, 0.02)
    assert searched(np.float32(0.01) * moved(echo, 11_003), echo, told=True) is None
