"""That somebody may begin to speak, from a few frames."""

from __future__ import annotations

import numpy as np
import pytest

from app.desk.sound import FRAME, SILENCE
from app.desk.stir import Stir

ROOM_DB = -70.0
PLAYED = np.full(FRAME, 0.1, np.float32)


@pytest.fixture
def stir() -> Stir:
    """One that knows the room."""
    made = Stir()
    hear(made, ROOM_DB, frames=100)
    return made


def hear(stir: Stir, level_db: float, *, frames: int, played: np.ndarray = SILENCE, suspected: bool = False) -> int:
    """How often something began to sound meanwhile."""
    before = stir.count
    for _ in range(frames):
        stir.hear(np.full(FRAME, 10 ** (level_db / 20), np.float32), played, suspected=suspected)
    return stir.count - before


def test_whoever_begins_to_speak_stirs_once_and_a_click_does_not(stir: Stir) -> None:
    assert hear(stir, -30, frames=stir.FRAMES - 1) == 0
    hear(stir, ROOM_DB, frames=1)
    assert hear(stir, -30, frames=100) == 1


def test_room_that_is_loud_all_the_time_does_not_stir_for_long(stir: Stir) -> None:
    assert hear(stir, -50, frames=300) == 1
    assert hear(stir, -48, frames=300) == 0
    assert hear(stir, -30, frames=300) == 1


def test_what_is_heard_while_something_is_played_or_may_still_echo_stirs_only_where_somebody_is_suspected(
    stir: Stir,
) -> None:
    assert hear(stir, -30, frames=50, played=PLAYED) == 0
    assert hear(stir, -30, frames=50) == 0
    assert hear(stir, -30, frames=50, played=PLAYED, suspected=True) == 1
    hear(stir, ROOM_DB, frames=stir.AFTER)
    assert hear(stir, -30, frames=50) == 1
