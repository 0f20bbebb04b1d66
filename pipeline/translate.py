"""Append-only translation of a clause that is still growing.

The source is translated again as it grows, with the words that probably follow as look-ahead. An engine that says which
source word each piece renders goes on from what is committed: of what it adds, that is committed which renders nothing
near the end of the source, where the next word may still change it (AlignAtt: Papi et al. 2023); punctuation ends that
neighbourhood, and a word of which the engine is sure may come closer.

Of any other engine that is committed which two translations agree on, less a few held-back units (local agreement: Liu
et al. 2020; masking: Arivazhagan et al. 2020): those of the last two states, or of the present one with and without the
look-ahead, whichever agree on more. A translation that words the beginning in another way is continued from where it
has said what is committed; when the clause closes, the rest of its whole translation follows in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.protocols import TargetPiece
from models.scripts import UNSPACED

_MARKS = re.compile(r"[,;:.?!](?=\s|$)|[、，；：。？！،؛؟।]")


@dataclass(frozen=True, slots=True)
class TranslateConfig:
    guard: int = 5
    """units at the end of the source, look-ahead included; what renders them stays tentative in an open clause"""
    sure_guard: int = 2
    """the same for what is at least as probable as `sure_above`"""
    sure_above: float = 0.85
    hold_back: int = 2
    """units at the end of a translation that stay tentative, where the engine does not say what they render"""
    least_source_words: int = 2
    """of an open clause, before anything is committed"""
    most_tentative: int = 15
    """units after which the newest translation stands, agreed or not: how far the committed text may lag behind"""
    whole_clauses: bool = False
    """translate closed clauses only: the best text, for where nobody waits for it"""


@dataclass(frozen=True, slots=True)
class Step:
    """What a hypothesis changed; joined, all `committed` are the clause's final text."""

    committed: str
    tentative: str


class ClauseTranslation:
    """What one clause reads in one language so far."""

    def __init__(self, config: TranslateConfig) -> None:
        self._config = config
        self._previous: str | None = None
        self.committed = ""

    def update(
        self,
        translation: str,
        source: str,
        without_ahead: str | None = None,
        ahead: str = "",
        pieces: Sequence[TargetPiece] = (),
    ) -> Step:
        """`translation` of `source` and what is `ahead`, with its `pieces` where the engine knows them; else
        `without_ahead`, of `source` alone, where it was made."""
        others = [other for other in (self._previous, without_ahead) if other is not None]
        self._previous = translation
        following = self._following(translation)
        agreed = max((_shared(following, self._following(other)) for other in others), default=0)
        aligned = bool(pieces) and translation.startswith(self.committed)
        ready = 0
        if (aligned or others) and len(split(source)) >= self._config.least_source_words:
            ready = max(min(agreed, len(following) - self._config.hold_back), 0)
            if aligned:
                ready = self._settled(following, pieces, source, ahead)
            ready = max(ready, len(following) - self._config.most_tentative)
        shown = "".join(following[ready:agreed])
        return Step(self._commit(following[:ready]), shown)

    def _settled(self, following: Sequence[str], pieces: Sequence[TargetPiece], source: str, ahead: str) -> int:
        """How many units render what no later word will change. The last one may be half a word."""
        config = self._config
        begin = _decided(source, ahead, config.guard)
        sure = max(begin, _decided(source, ahead, config.sure_guard))
        at, end = 0, len(self.committed)
        for count, unit in enumerate(following[:-1]):
            end += len(unit)
            while at < len(pieces) and pieces[at].end <= end:
                if pieces[at].source >= (sure if pieces[at].probability >= config.sure_above else begin):
                    return count
                at += 1
        return max(0, len(following) - 1)

    def close(self, translation: str) -> Step:
        """The translation of the whole clause: commit what of it is not committed yet."""
        return Step(self._commit(self._following(translation)), "")

    def _following(self, translation: str) -> list[str]:
        """The units that go on from what is committed; they may go on within its last word."""
        if translation.startswith(self.committed):
            return split(translation[len(self.committed) :])
        done, units = split(self.committed), split(translation)
        at = _consumed(done, units)
        following = [*_late_punctuation(done, units[:at]), *units[at:]]
        if following and following[0][0].isalnum() and not UNSPACED.match(following[0]):
            following[0] = " " + following[0]
        return following

    def _commit(self, units: list[str]) -> str:
        added = "".join(units)
        self.committed += added
        return added


def split(text: str) -> list[str]:
    """Units that are committed whole: words with the space before them, or characters where words have none."""
    units: list[str] = []
    for word in re.findall(r"\s*\S+", text):
        units.extend(re.findall(r"\s*\S", word) if UNSPACED.search(word) else [word])
    return units


def _decided(source: str, ahead: str, guard: int) -> int:
    """How many characters of `source` lie before its last punctuation, or before the last `guard` units known."""
    units = split(source + ahead)
    far = len(source + ahead) - sum(map(len, units[-guard:])) if len(units) >= guard else 0
    marks = [match.end() for match in _MARKS.finditer(source)]
    return min(len(source), max(far, marks[-1] if marks else 0))


def _late_punctuation(done: Sequence[str], consumed: Sequence[str]) -> list[str]:
    """The stop or comma that the last committed word lacks and its counterpart has."""
    if not done or not consumed:
        return []
    word, counterpart = done[-1].strip(), consumed[-1].strip()
    extra = counterpart[len(word) :] if counterpart.startswith(word) else ""
    return [extra] if extra and not _plain(extra) else []


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count


def _consumed(done: Sequence[str], units: Sequence[str]) -> int:
    """How many of `units` say what `done` says already: the prefix with the smallest edit distance to it."""
    if list(units[: len(done)]) == list(done):
        return len(done)
    before = [_plain(unit) for unit in done]
    row = list(range(len(before) + 1))  # distance of the empty prefix of `units` to each prefix of `before`
    best, at = row[-1], 0
    for index, unit in enumerate(units, 1):
        following = [index]
        for column, other in enumerate(before, 1):
            cost = 0 if _plain(unit) == other else 1
            following.append(min(row[column] + 1, following[-1] + 1, row[column - 1] + cost))
        row = following
        if row[-1] <= best:
            best, at = row[-1], index
    return at


def _plain(unit: str) -> str:
    return "".join(c for c in unit.casefold() if c.isalnum())
