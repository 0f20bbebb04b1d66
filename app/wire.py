"""Committed messages of the protocol as the pipeline's events they came from, for all that is written from events."""

from __future__ import annotations

from app import protocol
from pipeline.events import Translation, Words


def words(message: protocol.Words) -> Words:
    return Words(
        emitted_ms=message.emitted_ms,
        language=message.language,
        committed=message.text,
        tentative="",
        source_start_ms=message.start_ms,
        source_end_ms=message.end_ms,
        confidence=1.0,
    )


def translation(message: protocol.Caption) -> Translation:
    return Translation(
        emitted_ms=message.emitted_ms,
        language=message.language,
        segment=message.segment,
        committed=message.text,
        tentative="",
        final=message.final,
        source_start_ms=message.start_ms,
        source_end_ms=message.end_ms,
        engine="",
    )
