"""Several speakers at once: sessions of one process on the same engines, each at the pace of its recording.

They begin `STAGGER_S` apart, so that no pass of one falls on the same moment as another's by construction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from rich.table import Table

from app.engines import EngineConfig, build
from app.interpret import interpret
from app.media import MediaFile
from app.presets import PRESETS
from benchmarks import metrics
from benchmarks.log import Log
from benchmarks.manifest import Recording
from benchmarks.metrics import Point, Spoken
from pipeline.config import SessionConfig
from pipeline.engines import Engines
from pipeline.events import AnyEvent

STAGGER_S = 0.37
TIMER_S = 0.005
BLOCKED_S = 0.02  # that an event loop may be busy with one thing
MOST_MISSES = 0.05  # of clauses, within budget
MOST_GROWTH_S = 0.5  # of the commit lag, from the first third of the words to the last


@dataclass(frozen=True, slots=True)
class Together:
    """What so many speakers at once met with. Times in s, shares as fractions."""

    speakers: int
    lag_median: float
    lag_p90: float
    lag_growth: float
    misses: float
    """share of clauses beyond a budget"""
    wer: float
    cpu: float
    """s per s of wall time"""
    blocked_most: float
    blocked_often: float
    """share of timers that fired more than `BLOCKED_S` late"""
    problems: tuple[str, ...]

    @property
    def within_budget(self) -> bool:
        return self.misses <= MOST_MISSES and self.lag_growth <= MOST_GROWTH_S and not self.problems


class LoopWatch:
    """How late a timer of this event loop fires, while its `run` does."""

    def __init__(self) -> None:
        self._late: list[float] = []

    async def run(self) -> None:
        while True:
            due = time.monotonic() + TIMER_S
            await asyncio.sleep(TIMER_S)
            self._late.append(time.monotonic() - due)

    @property
    def most_s(self) -> float:
        return max(self._late, default=0.0)

    @property
    def often(self) -> float:
        return sum(late > BLOCKED_S for late in self._late) / max(1, len(self._late))


class _Collector:
    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def add(self, event: AnyEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


def measure(
    recordings: Sequence[tuple[Recording, Sequence[Spoken]]], target: str, counts: Sequence[int], preset: str
) -> list[Together]:
    """One result a count, on engines that are loaded once; `recordings` come with their aligned words."""
    engines = build(EngineConfig(context=PRESETS[preset].context))
    return [asyncio.run(_together(engines, recordings, target, count, preset)) for count in counts]


async def _together(
    engines: Engines, recordings: Sequence[tuple[Recording, Sequence[Spoken]]], target: str, count: int, preset: str
) -> Together:
    chosen = list(islice(cycle(recordings), count))
    watch = LoopWatch()
    watching = asyncio.create_task(watch.run())
    begin, cpu = time.monotonic(), time.process_time()
    logs = await asyncio.gather(
        *(_one(engines, recording, target, preset, STAGGER_S * number) for number, (recording, _) in enumerate(chosen))
    )
    share = (time.process_time() - cpu) / (time.monotonic() - begin)
    watching.cancel()
    lags = [
        metrics.commit_lags(spoken, log.source_words(recording.language))
        for (recording, spoken), log in zip(chosen, logs, strict=True)
    ]
    seconds = sorted(point.lag_ms / 1000 for points in lags for point in points)
    return Together(
        speakers=count,
        lag_median=metrics.percentile(seconds, 0.5),
        lag_p90=metrics.percentile(seconds, 0.9),
        lag_growth=max(map(_growth, lags)),
        misses=max(metrics.misses(log)["misses"] for log in logs),
        wer=_mean_wer(chosen, logs),
        cpu=share,
        blocked_most=watch.most_s,
        blocked_often=watch.often,
        problems=tuple(problem for log in logs for problem in metrics.problems(log)),
    )


async def _one(engines: Engines, recording: Recording, target: str, preset: str, wait_s: float) -> Log:
    await asyncio.sleep(wait_s)
    into = target if target != recording.language else "en"
    config = SessionConfig(
        source_language=recording.language,
        captions=frozenset({into}),
        live=True,
        recognise=PRESETS[preset].recognise,
    )
    collector = _Collector()
    await interpret(MediaFile(recording.path), engines, config, [collector])
    return Log(tuple(collector.events))


def _growth(points: Sequence[Point]) -> float:
    """Median lag of the last third of the words minus that of the first, in s."""
    third = len(points) // 3
    if not third:
        return 0.0
    lags = [point.lag_ms / 1000 for point in points]
    return metrics.percentile(sorted(lags[-third:]), 0.5) - metrics.percentile(sorted(lags[:third]), 0.5)


def _mean_wer(chosen: Sequence[tuple[Recording, Sequence[Spoken]]], logs: Sequence[Log]) -> float:
    """Over the recordings, by their length."""
    found = [
        (metrics.word_errors(recording.text, log.source_text(), recording.language)["wer"], recording.seconds)
        for (recording, _), log in zip(chosen, logs, strict=True)
    ]
    return sum(wer * seconds for wer, seconds in found) / sum(seconds for _, seconds in found)


def table(results: Sequence[Together]) -> Table:
    shown = Table(box=None)
    for title in ("speakers", "lag", "p90", "growth", "clauses late", "WER", "CPU", "loop blocked", "within budget"):
        shown.add_column(title, justify="right")
    for one in results:
        shown.add_row(
            str(one.speakers),
            f"{one.lag_median:.2f} s",
            f"{one.lag_p90:.2f} s",
            f"{one.lag_growth:+.2f} s",
            f"{100 * one.misses:.0f} %",
            f"{100 * one.wer:.1f} %",
            f"{one.cpu:.2f}",
            f"≤ {1000 * one.blocked_most:.0f} ms, {100 * one.blocked_often:.2f} % > {1000 * BLOCKED_S:.0f} ms",
            "yes" if one.within_budget else "no",
        )
    return shown
