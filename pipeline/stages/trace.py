"""A clause's way through the stages, once nothing of it is left to come."""

from __future__ import annotations

from pipeline.audio import ms
from pipeline.events import StageTime, Trace
from pipeline.stages.shared import Phrase, Shared


async def emit_trace(
    shared: Shared, language: str, phrase: Phrase, begun: tuple[float, StageTime] | None = None
) -> None:
    """`begun`: when its speech began to sound and what its first stretch took, None where it was not spoken."""
    clause = phrase.item.clause
    stages = {"recognise": phrase.item.recognised, "translate": phrase.translate}
    captured = ms(clause.end)
    total = phrase.translated_ms - captured
    known = sum(time.queue_ms + time.compute_ms for time in stages.values())
    spoken_ms: float | None = None
    if begun is not None:
        spoken_ms, stages["speak"] = begun
    await shared.emit(
        Trace(
            emitted_ms=shared.clock.now_ms(),
            language=language,
            segment=clause.index,
            source_start_ms=ms(clause.start),
            captured_ms=captured,
            committed_ms=phrase.item.committed_ms,
            translated_ms=phrase.translated_ms,
            spoken_ms=spoken_ms,
            stages=stages,
            unaccounted_ms=total - known,
            end_to_end_ms=total,
        )
    )
