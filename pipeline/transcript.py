"""What was said, gathered from events: the final text of each language, and clause by clause beside its translations.

Translations carry the times of their clause but not its source text, and `Words` carry no clause. The source of a
clause is therefore cut from the committed words, at the clause's end: exactly where an event ends there, else between
two words of one event, at the likeliest place. No word is ever lost: what no clause claims becomes a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.events import Event, Translation, Words
from pipeline.words import is_stop

_EXACT_MS = 1.0
_NO_STOP_MS = 600.0  # how much nearer a cut after a bare word must be to beat one after a stop
_COMMA_MS = 150.0


@dataclass(frozen=True, slots=True)
class Line:
    """A clause of the source and what it reads in each target language, none of them with space around it."""

    segment: int | None
    """None where no translation covers these words"""
    language: str
    source: str
    targets: Mapping[str, str]
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class _Piece:
    """A committed word; its times are interpolated between those of its event, whose last word ends exactly."""

    text: str
    language: str
    start_ms: float
    end_ms: float
    ends_event: bool


@dataclass(slots=True)
class _Segment:
    start_ms: float
    end_ms: float
    targets: dict[str, str] = field(default_factory=dict[str, str])
    final: set[str] = field(default_factory=set[str])
    pieces: list[_Piece] | None = None
    """None until the segment is final in one language"""


class Transcript:
    """Collects events; can be asked at any time. Target languages are in `order`, whichever is translated first."""

    def __init__(self, order: Sequence[str] = ()) -> None:
        self._order = order
        self._source: dict[str, str] = {}
        self._all = ""
        self._targets: dict[str, str] = {}
        self._pending: list[_Piece] = []
        self._segments: dict[int, _Segment] = {}
        self._unclaimed: list[Line] = []

    def add(self, event: Event) -> None:
        if isinstance(event, Words):
            self._add_words(event)
        elif isinstance(event, Translation):
            self._add_translation(event)

    @property
    def source_languages(self) -> tuple[str, ...]:
        """In the order of their first words."""
        return tuple(self._source)

    @property
    def target_languages(self) -> tuple[str, ...]:
        """Those that something was translated into; beyond those of `order`, in that of their first words."""
        ordered = [code for code in self._order if code in self._targets]
        return (*ordered, *(code for code in self._targets if code not in ordered))

    @property
    def source_text(self) -> str:
        """All that was said, in whatever language."""
        return self._all

    def text(self, language: str) -> str:
        """The final text of a language: of its translation, or as it was spoken where nothing was translated to it."""
        return self._targets.get(language, self._source.get(language, ""))

    def final_in(self, segment: int) -> frozenset[str]:
        """The target languages in which a segment will not change any more."""
        found = self._segments.get(segment)
        return frozenset(found.final) if found else frozenset()

    def line(self, segment: int) -> Line | None:
        """One segment; None while its source is not cut."""
        found = self._segments.get(segment)
        return _line(segment, found, found.pieces) if found and found.pieces is not None else None

    def lines(self) -> list[Line]:
        """Every clause in the order of the source, open ones and words without a clause included."""
        lines = list(self._unclaimed)
        pending = self._pending
        for index, segment in sorted(self._segments.items()):
            pieces = segment.pieces
            if pieces is None:  # the open clause: it has all that is left
                pieces, pending = pending, []
            lines.append(_line(index, segment, pieces))
        lines.extend(_sentences(pending))
        return sorted((line for line in lines if line.source or line.targets), key=lambda line: line.start_ms)

    def _add_words(self, event: Words) -> None:
        if not event.committed:
            return
        self._all += event.committed
        self._source[event.language] = self._source.get(event.language, "") + event.committed
        self._pending.extend(_pieces(event))

    def _add_translation(self, event: Translation) -> None:
        text = self._targets.get(event.language, "")
        self._targets[event.language] = text + event.committed
        segment = self._segments.setdefault(event.segment, _Segment(event.source_start_ms, event.source_end_ms))
        segment.targets[event.language] = segment.targets.get(event.language, "") + event.committed
        if event.final:
            segment.final.add(event.language)
        if segment.pieces is not None:
            return
        segment.start_ms, segment.end_ms = event.source_start_ms, event.source_end_ms
        if event.final:
            self._cut(event.segment, segment)

    def _cut(self, index: int, segment: _Segment) -> None:
        before = self._segments.get(index - 1)
        if index and (before is None or before.pieces is None):
            self._unclaimed.extend(_sentences(self._take(segment.start_ms, at_least=0)))
        segment.pieces = self._take(segment.end_ms, at_least=1)

    def _take(self, at_ms: float, *, at_least: int) -> list[_Piece]:
        count = _boundary(self._pending, at_ms, at_least)
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken


def _pieces(event: Words) -> list[_Piece]:
    """Words with the space before them; space at the end stays with the last."""
    texts = re.findall(r"\s*\S+(?:\s+\Z)?", event.committed) or [event.committed]
    total = sum(map(len, texts))
    span = event.source_end_ms - event.source_start_ms
    pieces: list[_Piece] = []
    done = 0
    for text in texts:
        start = event.source_start_ms + span * done / total
        done += len(text)
        end = event.source_start_ms + span * done / total
        pieces.append(_Piece(text, event.language, start, end, done == total))
    return pieces


def _boundary(pieces: Sequence[_Piece], at_ms: float, at_least: int) -> int:
    """How many of `pieces` lie before `at_ms`."""
    for count, piece in enumerate(pieces, 1):
        if piece.ends_event and abs(piece.end_ms - at_ms) < _EXACT_MS:
            return count
    best, cost = min(at_least, len(pieces)), float("inf")
    if not at_least and pieces:
        cost = abs(pieces[0].start_ms - at_ms)
    for count, piece in enumerate(pieces, 1):
        away = abs(piece.end_ms - at_ms) + _unlikely_ms(piece.text)
        if away < cost:
            best, cost = count, away
    return best


def _unlikely_ms(text: str) -> float:
    if is_stop(text):
        return 0.0
    return _COMMA_MS if text.rstrip()[-1:] in set(",;:、，；：") else _NO_STOP_MS


def _line(index: int, segment: _Segment, pieces: Sequence[_Piece]) -> Line:
    targets = {language: text.strip() for language, text in segment.targets.items()}
    language = pieces[0].language if pieces else ""
    source = "".join(piece.text for piece in pieces).strip()
    return Line(index, language, source, targets, segment.start_ms, segment.end_ms)


def _sentences(pieces: Sequence[_Piece]) -> list[Line]:
    """Words without a clause, a line for each sentence and language."""
    lines: list[Line] = []
    open_: list[_Piece] = []
    for index, piece in enumerate(pieces):
        open_.append(piece)
        following = pieces[index + 1] if index + 1 < len(pieces) else None
        if following is None or is_stop(piece.text) or following.language != piece.language:
            source = "".join(word.text for word in open_).strip()
            lines.append(Line(None, piece.language, source, {}, open_[0].start_ms, piece.end_ms))
            open_ = []
    return lines
