"""What was said at the desk, clause by clause beside its translation: from events, corrected and taken back by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pipeline.events import AnyEvent, Translation, Words
from pipeline.transcript import Line, Transcript

Key = tuple[int, int]
"""channel and segment"""


@dataclass(frozen=True, slots=True)
class Row:
    """A clause. Tentative text follows the committed one and may still change."""

    key: Key | None
    """None while no translation of it has begun"""
    language: str
    source: str
    target_language: str
    target: str
    start_ms: float
    end_ms: float
    source_tail: str = ""
    target_tail: str = ""
    typed: bool = False


@dataclass(slots=True)
class _Channel:
    transcript: Transcript = field(default_factory=Transcript)
    words: Words | None = None
    """the newest"""
    tails: dict[int, str] = field(default_factory=dict[int, str])


class Record:
    """Channels of events in, rows out. `between` are the two languages."""

    def __init__(self, between: tuple[str, str], channels: int = 1) -> None:
        self._between = between
        self._channels = [_Channel() for _ in range(channels)]
        self._undone: set[Key] = set()
        self._typed: dict[Key, tuple[str, str]] = {}
        self._corrections: dict[Key, Key] = {}
        """the clause that was the newest when one was corrected, and that one"""

    def other(self, language: str) -> str:
        return self._between[1] if language == self._between[0] else self._between[0]

    def add(self, channel: int, event: AnyEvent) -> None:
        found = self._channels[channel]
        found.transcript.add(event)
        if isinstance(event, Words):
            found.words = event
        elif isinstance(event, Translation):
            found.tails = {event.segment: event.tentative} if event.tentative else {}

    def rows(self) -> list[Row]:
        """In the order in which they were said, the open ones last."""
        rows = [row for index, channel in enumerate(self._channels) for row in self._rows(index, channel)]
        return sorted(rows, key=lambda row: row.start_ms)

    def last(self) -> Row | None:
        """The newest clause that is translated."""
        return next((row for row in reversed(self.rows()) if row.key is not None and row.target), None)

    def correct(self, key: Key, source: str, target: str) -> None:
        """What was meant, typed by hand."""
        self._typed[key] = (source, target)
        newest = self.last()
        self._corrections[newest.key if newest and newest.key else key] = key

    def replaced(self, key: Key) -> bool:
        """Whether the clause was taken back, or typed anew: its own translation is not spoken any more."""
        return key in self._undone or key in self._typed

    def undo(self) -> Key | None:
        """Take back the last correction where it is the newest thing, else the newest clause; which one it was."""
        newest = self.last()
        if newest is None or newest.key is None:
            return None
        corrected = self._corrections.pop(newest.key, None)
        if corrected is None:
            self._undone.add(newest.key)
            return newest.key
        self._typed.pop(corrected, None)
        return corrected

    def transcript(self) -> Transcript:
        return _Finished(self)

    def _rows(self, index: int, channel: _Channel) -> list[Row]:
        rows = [self._row(index, channel, line) for line in channel.transcript.lines()]
        words = channel.words
        if words is not None and words.tentative.strip():
            open_ = rows[-1] if rows and rows[-1].language == words.language else None
            if open_ is not None and (open_.key is None or open_.target_tail):
                rows[-1] = replace(open_, source_tail=words.tentative)
            else:
                start, end = words.source_start_ms, words.source_end_ms
                tail = words.tentative
                rows.append(Row(None, words.language, "", self.other(words.language), "", start, end, tail))
        return [row for row in rows if row.key not in self._undone]

    def _row(self, index: int, channel: _Channel, line: Line) -> Row:
        key = None if line.segment is None else (index, line.segment)
        target = self.other(line.language)
        source, read = line.source, line.targets.get(target, "")
        typed = key is not None and key in self._typed
        if key is not None and typed:
            source, read = self._typed[key]
        tail = channel.tails.get(line.segment, "") if line.segment is not None else ""
        return Row(key, line.language, source, target, read, line.start_ms, line.end_ms, "", tail, typed)


class _Finished(Transcript):
    """The rows as the writers of `app.formats` take them."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._rows = [row for row in record.rows() if row.source or row.target]

    @property
    def source_languages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.language for row in self._rows))

    @property
    def target_languages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.target_language for row in self._rows if row.target))

    @property
    def source_text(self) -> str:
        return " ".join(row.source for row in self._rows)

    def text(self, language: str) -> str:
        """All of the conversation in one language: what was said in it and what was interpreted into it."""
        return " ".join(row.source if row.language == language else row.target for row in self._rows)

    def lines(self) -> list[Line]:
        return [
            Line(number, row.language, row.source, _targets(row), row.start_ms, row.end_ms)
            for number, row in enumerate(self._rows)
        ]


def _targets(row: Row) -> Mapping[str, str]:
    return {row.target_language: row.target} if row.target else {}
