"""Append-only translation of a clause that is still growing.

Re-translated hypotheses of the open clause are shown as tentative; the prefix on which successive hypotheses agree,
less a few held-back words, is committed (local agreement: Liu et al. 2020; masking: Arivazhagan et al. 2020).
When the clause closes, the rest of its whole translation follows what is committed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class TranslateConfig:
    agreement: int = 2
    """successive hypotheses that must share a prefix before it is committed"""
    hold_back: int = 3
    """units at the end of a hypothesis that stay tentative while the clause is open"""
    most_tentative: int = 15
    """units after which the newest hypothesis stands, agreed or not: how far the committed text may lag behind"""
    least_source_words: int = 5
    """of an open clause, before anything is committed"""


@dataclass(frozen=True, slots=True)
class Step:
    """What a hypothesis changed; joined, all `committed` are the clause's final text."""

    committed: str
    tentative: str


class ClauseTranslation:
    """What one clause reads in one language so far."""

    def __init__(self, config: TranslateConfig) -> None:
        self._config = config
        self._hypotheses: list[list[str]] = []
        self.committed = ""

    def update(self, hypothesis: str, source: str) -> Step:
        """A translation of the clause as far as it is known."""
        done = split(self.committed)
        units = self._units(hypothesis)
        self._hypotheses = [*self._hypotheses, units][-self._config.agreement :]
        if units[: len(done)] != done:
            tentative = "".join(units[_consumed(done, units) :])
            return Step("", tentative)
        stable = len(done)
        if len(self._hypotheses) == self._config.agreement and len(split(source)) >= self._config.least_source_words:
            shared = min(_shared(units, other) for other in self._hypotheses)
            stable = max(stable, min(shared, len(units) - self._config.hold_back))
            stable = max(stable, len(units) - self._config.most_tentative)
        added = "".join(units[len(done) : stable])
        self.committed += added
        return Step(added, "".join(units[stable:]))

    def close(self, hypothesis: str) -> Step:
        """The translation of the whole clause: commit what of it is not committed yet."""
        if hypothesis.startswith(self.committed):
            step = Step(hypothesis[len(self.committed) :], "")
            self.committed = hypothesis
            return step
        done, units = split(self.committed), split(hypothesis)
        added = "".join(units[_consumed(done, units) :])
        if added and self.committed and not added[0].isspace() and not _UNSPACED.match(added[0]) and added[0].isalnum():
            added = " " + added
        self.committed += added
        return Step(added, "")

    def _units(self, hypothesis: str) -> list[str]:
        """An engine that continues what is committed may go on within its last word."""
        if not hypothesis.startswith(self.committed):
            return split(hypothesis)
        return [*split(self.committed), *split(hypothesis[len(self.committed) :])]


def split(text: str) -> list[str]:
    """Units that are committed whole: words with the space before them, or characters where words have none."""
    units: list[str] = []
    for word in re.findall(r"\s*\S+", text):
        units.extend(re.findall(r"\s*\S", word) if _UNSPACED.search(word) else [word])
    return units


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
