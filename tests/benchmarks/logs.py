"""Short ways to write events by hand; times in ms."""

from __future__ import annotations

import msgspec

from benchmarks.log import Log, parse
from pipeline.events import End, Event, Miss, Speech, Translation, Words


def words(at: float, committed: str = "", tentative: str = "", start: float = 0, end: float = 0) -> Words:
    return Words(
        emitted_ms=at,
        language="en",
        committed=committed,
        tentative=tentative,
        source_start_ms=start,
        source_end_ms=end,
        confidence=1.0,
    )


def target(
    at: float,
    segment: int,
    committed: str = "",
    tentative: str = "",
    *,
    final: bool = False,
    start: float = 0,
    end: float = 0,
) -> Translation:
    return Translation(
        emitted_ms=at,
        language="pt",
        segment=segment,
        committed=committed,
        tentative=tentative,
        final=final,
        source_start_ms=start,
        source_end_ms=end,
        engine="hand",
    )


def speech(segment: int, play: float, duration: float, start: float) -> Speech:
    return Speech(
        emitted_ms=play,
        language="pt",
        segment=segment,
        text="",
        sample_rate=16_000,
        duration_ms=duration,
        play_ms=play,
        rate=1.0,
        last=True,
        dropped=duration == 0,
        source_start_ms=start,
        source_end_ms=start,
    )


def miss(stage: str, segment: int) -> Miss:
    return Miss(emitted_ms=0, stage=stage, language="pt", segment=segment, budget_ms=1, actual_ms=2, action="none")


def end(segments: int = 0) -> End:
    return End(emitted_ms=0, source_ms=0, segments=segments, misses=0)


def log(*events: Event) -> Log:
    """Through JSON, as a log is read."""
    return parse(msgspec.json.encode(event) for event in events)
