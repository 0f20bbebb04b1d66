"""Plain chunked faster-whisper: transcribe what is open again each second, commit it all at a silence."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.extra import require
from benchmarks.peers.common import SECOND_MS, Job, Writer, job
from models.protocols import SAMPLE_RATE, Samples

STEP_S = 1.0
SILENCE_S = 0.5
LONGEST_S = 30.0  # Whisper's context; what is open is committed then, silence or not


@dataclass(slots=True)
class _Chunked:
    whisper: Any
    given: Job
    writer: Writer
    open_from: int = 0
    """first sample that is not committed"""

    def step(self, until: int, *, last: bool) -> None:
        audio = self.given.audio[self.open_from : until]
        speech: list[dict[str, int]] = require("faster_whisper.vad").get_speech_timestamps(audio)
        if not speech:
            self.open_from = max(self.open_from, until - round(SILENCE_S * SAMPLE_RATE))
            return
        silent = until - self.open_from - speech[-1]["end"] >= SILENCE_S * SAMPLE_RATE
        text = self._transcribe(audio)
        if last or silent or len(audio) >= LONGEST_S * SAMPLE_RATE:
            self.writer.words(text, "", until / SAMPLE_RATE * SECOND_MS)
            self.open_from = until
        else:
            self.writer.words("", text, until / SAMPLE_RATE * SECOND_MS)

    def _transcribe(self, audio: Samples) -> str:
        segments, _ = self.whisper.transcribe(audio, language=self.given.language, beam_size=5)
        return "".join(segment.text for segment in segments)


def main() -> None:
    given = job()
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(given.model), device="cpu", compute_type="int8", cpu_threads=given.threads)
    writer = Writer(given.language)
    chunked = _Chunked(whisper, given, writer)
    due_s = STEP_S
    done = False
    while not done:
        time.sleep(max(0.0, min(due_s, given.seconds) - writer.now_ms() / SECOND_MS))
        now_s = writer.now_ms() / SECOND_MS
        done = now_s >= given.seconds
        chunked.step(min(len(given.audio), round(now_s * SAMPLE_RATE)), last=done)
        due_s = max(due_s + STEP_S, writer.now_ms() / SECOND_MS)
    writer.end(given.seconds)


if __name__ == "__main__":
    main()
