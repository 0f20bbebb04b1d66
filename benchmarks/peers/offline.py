"""faster-whisper on the whole file, beam 5: the quality that streaming is measured against; and its cascade."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.peers.common import SECOND_MS, Job, Writer, job
from benchmarks.text import tokens
from models.protocols import TranslationRequest
from pipeline.events import Translation


def main() -> None:
    given = job()
    from faster_whisper import WhisperModel

    whisper: Any = WhisperModel(str(given.model), device="cpu", compute_type="int8", cpu_threads=given.threads)
    writer = Writer(given.language)
    segments, _ = whisper.transcribe(given.audio, language=given.language, beam_size=5)
    text = ""
    for segment in segments:
        text += segment.text
        writer.words(segment.text, "", segment.end * SECOND_MS)
    sentences = split(text, given.language)
    if given.target:
        asyncio.run(_translate(given, writer, sentences))
    writer.end(given.seconds, len(sentences))


def split(text: str, language: str) -> list[str]:
    """Whole sentences, as a sentence-level translator wants them."""
    between = "" if language in {"ja", "zh", "yue", "th"} else " "
    found: list[str] = []
    open_: list[str] = []
    for token in tokens(text, language):
        open_.append(token.text)
        if token.stops:
            found.append(between.join(open_))
            open_ = []
    return [*found, *([between.join(open_)] if open_ else [])]


async def _translate(given: Job, writer: Writer, sentences: list[str]) -> None:
    from app.translation import EmbeddedTranslation
    from models.store import Store

    engine = EmbeddedTranslation(Store())
    engine.check(given.language, given.target)
    for index, sentence in enumerate(sentences):
        request = TranslationRequest(sentence, given.language, given.target, final=True)
        done = await engine.translate(request, deadline=0.0, key=None)
        writer.write(
            Translation(
                emitted_ms=writer.now_ms(),
                language=given.target,
                segment=index,
                committed=(" " if index else "") + done.text,
                tentative="",
                final=True,
                source_start_ms=0.0,
                source_end_ms=given.seconds * SECOND_MS,
                engine=done.engine,
            )
        )


if __name__ == "__main__":
    main()
