"""What the adapters share: arguments, a clock that starts with the audio, and events on standard output."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.alignment import decode
from models.protocols import SAMPLE_RATE, Samples
from pipeline.events import End, Event, Words

SECOND_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Job:
    audio: Samples
    model: Path
    language: str
    threads: int
    target: str

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE


def job() -> Job:
    """From the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--language", default="en")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--to", default="")
    given = parser.parse_args()
    return Job(decode(given.file), given.model, given.language, given.threads, given.to)


@dataclass(slots=True)
class Writer:
    """Events as `tsuyaku translate --format jsonl` writes them."""

    language: str
    begun: float = field(default_factory=time.monotonic)
    _covered_ms: float = 0.0

    def now_ms(self) -> float:
        """Since the audio began."""
        return (time.monotonic() - self.begun) * SECOND_MS

    def words(self, committed: str, tentative: str, source_end_ms: float) -> None:
        """Peers tell no reliable word times: committed text covers what follows the last committed text."""
        end = max(source_end_ms, self._covered_ms)
        self.write(
            Words(
                emitted_ms=self.now_ms(),
                language=self.language,
                committed=committed,
                tentative=tentative,
                source_start_ms=min(self._covered_ms, end),
                source_end_ms=end,
                confidence=0.0,
            )
        )
        if committed:
            self._covered_ms = end

    def end(self, seconds: float, segments: int = 0) -> None:
        self.write(End(emitted_ms=self.now_ms(), source_ms=seconds * SECOND_MS, segments=segments, misses=0))

    def write(self, event: Event) -> None:
        sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
        sys.stdout.flush()
