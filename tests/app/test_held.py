"""What is heard while an echo that has moved is looked for, on sound made by hand."""

from __future__ import annotations

import numpy as np

from app.desk.adaptive import Ahead, LinearCanceller
from app.desk.held import Held
from app.desk.sound import DESK_RATE, FRAME, SILENCE

TOLD = 100  # frames
LATER = 5_003  # samples
GAIN = 0.5


def frames(sound: np.ndarray) -> list[np.ndarray]:
    return list(sound.reshape(-1, FRAME).astype(np.float32))


def noise(seed: int, level: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, 2 * DESK_RATE)


def held(played: np.ndarray, lag: int = 0) -> Held:
    """From `TOLD` on; the echo was `GAIN` times what was played, and late by `lag` frames."""
    path = np.zeros((LinearCanceller.PARTITIONS, FRAME + 1), np.complex64)
    path[0] = GAIN
    all_frames = [SILENCE] * lag + frames(played)
    before = [np.float32(GAIN) * frame for frame in all_frames[:TOLD]]
    ahead = Ahead(path, np.zeros_like(path), all_frames[TOLD - 1], before)
    return Held(ahead, all_frames[TOLD : TOLD + lag])


def add(kept: Held, heard: np.ndarray, played: np.ndarray) -> None:
    """Until it is over."""
    both = zip(frames(heard)[TOLD:], frames(played)[TOLD:], strict=True)
    while not kept.over:
        kept.add(*next(both))


def moved(echo: np.ndarray, at: int) -> np.ndarray:
    """`LATER` from that frame on, and gone for half as long before it."""
    late = np.concatenate([echo[: at * FRAME], np.roll(echo, LATER)[at * FRAME :]])
    late[at * FRAME - LATER // 2 : at * FRAME] = 0
    return late


def test_frames_of_a_person_over_an_echo_that_has_moved_are_told_apart_from_those_before() -> None:
    played, person = noise(0, 0.05), noise(1, 0.05)
    kept = held(played)
    add(kept, moved(GAIN * played, TOLD + 12) + person, played)
    assert kept.move is not None
    assert abs(kept.move.by - LATER) <= 1
    before, since = kept.parted()
    assert len(before) == 12
    assert all(
        np.array_equal(played_then, part)
        for (_, played_then), part in zip(since, frames(played)[TOLD + 12 :], strict=False)
    )


def test_what_is_on_its_way_to_the_microphone_is_waited_for() -> None:
    played, lag = noise(0, 0.05), 3
    kept = held(played, lag)
    late = np.roll(GAIN * played, lag * FRAME)
    add(kept, moved(late, TOLD), played)
    assert kept.move is not None
    assert abs(kept.move.by - LATER) <= 1
    assert not kept.parted()[0]


def test_all_is_given_back_where_nothing_is_found() -> None:
    played = noise(0, 0.05)
    kept = held(played)
    add(kept, noise(1, 0.2), played)
    assert kept.move is None
    before, since = kept.parted()
    assert len(before) == Held.LONGEST
    assert not since
