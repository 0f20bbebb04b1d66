"""A log of events as it was written, and views of it that the metrics need. All times in ms on the audio's clock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.text import Token, tokens
from models.errors import InputError
from pipeline.events import AnyEvent, End, Miss, Speech, Trace, Translation, Words

_decoder = msgspec.json.Decoder(AnyEvent)


@dataclass(frozen=True, slots=True)
class Emitted:
    """A committed word with the time at which its last letter was committed."""

    token: Token
    emitted_ms: float
    heard_ms: float
    """how far into the source anything recognised reached by then"""


@dataclass(frozen=True, slots=True)
class Log:
    events: tuple[AnyEvent, ...]

    @property
    def words(self) -> list[Words]:
        return [event for event in self.events if isinstance(event, Words)]

    @property
    def misses(self) -> list[Miss]:
        return [event for event in self.events if isinstance(event, Miss)]

    @property
    def traces(self) -> list[Trace]:
        return [event for event in self.events if isinstance(event, Trace)]

    @property
    def end(self) -> End | None:
        return next((event for event in reversed(self.events) if isinstance(event, End)), None)

    @property
    def targets(self) -> list[str]:
        """Languages translated into, in the order of their first events."""
        return list(dict.fromkeys(event.language for event in self.events if isinstance(event, Translation)))

    def translations(self, language: str) -> list[Translation]:
        return [event for event in self.events if isinstance(event, Translation) and event.language == language]

    def speech(self, language: str) -> list[Speech]:
        return [event for event in self.events if isinstance(event, Speech) and event.language == language]

    def source_text(self) -> str:
        return "".join(event.committed for event in self.words)

    def target_text(self, language: str) -> str:
        return "".join(event.committed for event in self.translations(language))

    def source_words(self, language: str) -> list[Emitted]:
        return self._emitted(self.words, language)

    def target_words(self, language: str) -> list[Emitted]:
        return self._emitted(self.translations(language), language)

    def _emitted(self, events: Iterable[Words | Translation], language: str) -> list[Emitted]:
        text, ends, times = "", list[int](), list[float]()
        for event in events:
            if event.committed:
                text += event.committed
                ends.append(len(text))
                times.append(event.emitted_ms)
        heard = _Heard(self.words)
        found: list[Emitted] = []
        for token in tokens(text, language):
            at = times[bisect_left(ends, token.end)]
            found.append(Emitted(token, at, heard.by(at)))
        return found


class _Heard:
    """How much of the source had been recognised, at least tentatively, at a time."""

    def __init__(self, words: Iterable[Words]) -> None:
        self._times: list[float] = []
        self._reached: list[float] = []
        for event in sorted(words, key=lambda word: word.emitted_ms):
            before = self._reached[-1] if self._reached else 0.0
            self._times.append(event.emitted_ms)
            self._reached.append(max(before, min(event.source_end_ms, event.emitted_ms)))

    def by(self, at_ms: float) -> float:
        count = bisect_left(self._times, at_ms + 1e-6)
        return self._reached[count - 1] if count else 0.0


def parse(lines: Iterable[str | bytes]) -> Log:
    """Raises `InputError` where a line is no event."""
    events: list[AnyEvent] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                events.append(_decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise InputError("log-invalid", f"Line {number} of the log is no event: {error}.") from error
    return Log(tuple(events))


def read(path: Path) -> Log:
    try:
        return parse(path.read_bytes().splitlines())
    except OSError as error:
        raise InputError("log-unreadable", f"{path} cannot be read: {error.strerror}.") from error
