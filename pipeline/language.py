"""Which language is spoken: given, or identified at each utterance with the last one as prior."""

from __future__ import annotations

from collections.abc import Mapping

SWITCH_ABOVE = 0.6  # probability that another language needs before it replaces the one in use


class LanguageChoice:
    """`given` is a code or `auto`; `candidates` narrow down what `auto` may choose."""

    def __init__(self, given: str, candidates: tuple[str, ...] = ()) -> None:
        self._auto = given == "auto"
        self._candidates = candidates
        self.current = "" if self._auto else given

    def needs_identifying(self, identified: bool) -> bool:
        return self._auto and not identified

    def heard(self, probabilities: Mapping[str, float]) -> bool:
        """Choose by `probabilities`; True where the language changed."""
        among = {code: p for code, p in probabilities.items() if not self._candidates or code in self._candidates}
        total = sum(among.values())
        if not total:
            return False
        best = max(among, key=lambda code: among[code])
        if best == self.current or (self.current and among[best] / total < SWITCH_ABOVE):
            return False
        changed = bool(self.current)
        self.current = best
        return changed
