"""Several speakers at once: what is judged, without engines."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from benchmarks.speakers import BLOCKED_S, LoopWatch, Together

EASY = Together(2, 0.9, 1.4, 0.0, 0.04, 0.05, 0.8, 0.01, 0.0, ())


@pytest.mark.parametrize(
    "harder",
    [replace(EASY, misses=0.06), replace(EASY, lag_growth=0.6), replace(EASY, problems=("segment 1 was never final",))],
)
def test_speakers_are_within_budget_unless_late_later_and_later_or_broken(harder: Together) -> None:
    assert EASY.within_budget
    assert not harder.within_budget


async def test_watch_notices_a_blocked_event_loop() -> None:
    watch = LoopWatch()
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(0)
    time.sleep(3 * BLOCKED_S)  # noqa: ASYNC251 - this is the blocking that is to be noticed
    while not watch.most_s:
        await asyncio.sleep(0)
    watching.cancel()
    assert watch.most_s > BLOCKED_S
    assert watch.often == 1.0
