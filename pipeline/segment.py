"""Clauses: committed words are cut where a listener would pause, so that each piece can be translated and spoken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.words import TimedWord, is_stop


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    comma_after: int = 8
    """words, after which a comma, colon or semicolon ends a clause"""
    lull_after: int = 12
    """words, after which a lull ends a clause"""
    longest: int = 36
    """words, after which any word ends a clause"""


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause as far as it is known. `index` counts from 0; `closed` says that nothing follows."""

    index: int
    language: str
    text: str
    start: int
    end: int
    """samples"""
    closed: bool
    ahead: str = ""
    """what an open clause probably goes on with: words that are still tentative, up to its end"""


class Segmenter:
    """Committed words in, clauses out: the open one again each time it grew, once more when it closes."""

    def __init__(self, config: SegmentConfig | None = None) -> None:
        self._config = config or SegmentConfig()
        self._words: list[TimedWord] = []
        self._language = ""
        self._ahead = ""
        self.index = 0

    def add(
        self,
        words: Sequence[TimedWord],
        language: str,
        *,
        pause: bool,
        lull: bool = False,
        tentative: Sequence[TimedWord] = (),
    ) -> Iterator[Clause]:
        """`tentative`: what seems to follow `words`. After them the speaker stopped (`pause`) or faltered (`lull`)."""
        if self._language != language and self._words:
            yield self._close()
        self._language = language
        grew = False
        for word in words:
            self._words.append(word)
            grew = True
            if self._ends_clause():
                yield self._close()
                grew = False
        faltered = lull and not tentative and self._spoken() >= self._config.lull_after
        if self._words and (pause or faltered):
            yield self._close()
            return
        ahead = _up_to_stop(tentative)
        if self._words and (grew or ahead != self._ahead):
            self._ahead = ahead
            yield self._clause(closed=False)

    def _ends_clause(self) -> bool:
        text = self._words[-1].text.strip()
        spoken = self._spoken()
        if not spoken:
            return False
        if is_stop(text) and not _abbreviation(self._words):
            return True
        return (text[-1:] in ",;:、，；：" and spoken >= self._config.comma_after) or spoken >= self._config.longest

    def _spoken(self) -> int:
        return sum(1 for word in self._words if any(map(str.isalnum, word.text)))

    def _close(self) -> Clause:
        clause = self._clause(closed=True)
        self._words, self._ahead = [], ""
        self.index += 1
        return clause

    def _clause(self, *, closed: bool) -> Clause:
        text = "".join(word.text for word in self._words).strip()
        ahead = "" if closed else self._ahead
        return Clause(self.index, self._language, text, self._words[0].start, self._words[-1].end, closed, ahead)


def _up_to_stop(words: Sequence[TimedWord]) -> str:
    stop = next((index for index, word in enumerate(words) if is_stop(word.text)), len(words))
    return "".join(word.text for word in words[: stop + 1]).rstrip()


def _abbreviation(words: Sequence[TimedWord]) -> bool:
    """A stop after a single letter or a title belongs to a name, not to the end of a sentence."""
    tail = "".join(word.text for word in words[-3:]).split()
    last = tail[-1].rstrip(".").casefold() if tail and tail[-1].endswith(".") else ""
    return len(last) == 1 or last in {"mr", "mrs", "ms", "dr", "st", "sr", "sra", "dra", "prof", "vs", "no"}
