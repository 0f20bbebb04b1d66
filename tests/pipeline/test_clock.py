"""A session's clock and a source whose own clock runs otherwise."""

from __future__ import annotations

import pytest

from models.protocols import SAMPLE_RATE
from pipeline.budget import Budgets
from pipeline.clock import Clock

BLOCK_S = 0.04
HOUR_S = 3600.0


class Wall:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def listen(clock: Clock, wall: Wall, seconds: float, *, rate: float = 1.0, begin: float = 0.0) -> list[float]:
    """How late each portion is, in ms, of a device that gives `rate` seconds of sound in a second."""
    late: list[float] = []
    for count in range(1, round(seconds / BLOCK_S) + 1):
        wall.s += BLOCK_S
        samples = round((begin + count * BLOCK_S * rate) * SAMPLE_RATE)
        clock.reached(samples)
        late.append(clock.now_ms() - samples * 1000 / SAMPLE_RATE)
    return late


@pytest.mark.parametrize("rate", [1.0004, 1.0, 0.9996])
def test_sound_of_a_device_whose_clock_differs_is_neither_early_nor_late(rate: float) -> None:
    late = listen(Clock(live=True, now=(wall := Wall())), wall, HOUR_S, rate=rate)
    assert min(late) > -1e-6
    assert max(late) < Budgets().capture


def test_time_never_goes_back() -> None:
    clock = Clock(live=True, now=(wall := Wall()))
    times: list[float] = []
    for count in range(1, 2000):
        wall.s += BLOCK_S
        clock.reached(round(count * BLOCK_S * (1.01 if count % 400 < 200 else 0.99) * SAMPLE_RATE))
        times.append(clock.now_ms())
    assert times == sorted(times)


def test_sound_that_comes_in_late_stays_late() -> None:
    clock = Clock(live=True, now=(wall := Wall()))
    listen(clock, wall, 10.0)
    wall.s += 1.0  # nothing came, and what follows is all a second late
    late = listen(clock, wall, 60.0, begin=10.0)
    assert late[-1] > 900


def test_what_was_said_before_the_line_was_open_was_captured_before_it() -> None:
    clock = Clock(live=True, now=Wall())
    for count in range(1, 26):
        clock.reached(round(count * BLOCK_S * SAMPLE_RATE))
    assert clock.now_ms() == pytest.approx(1000)
