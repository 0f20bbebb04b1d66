"""Which language is spoken: given, or identified at each utterance with the last one as prior, and after each lull."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

SWITCH_ABOVE = 0.6  # probability that another language needs before it replaces the one in use
KEEP_ABOVE = (
    0.15  # of the one in use after a lull: hardly ever so high where another is spoken, soon so where it is not
)
WITHIN_ABOVE = 0.8  # that another language needs within an utterance
WITHIN_AFTER_S = 2.0  # of sound since the lull, the same; of 113 such pieces none reached it for a wrong language
DECIDE_AFTER_S = 2.5  # here the one in use stays


class LanguageChoice:
    """`given` is a code or `auto`; `candidates` narrow down what `auto` may choose."""

    def __init__(self, given: str, candidates: tuple[str, ...] = ()) -> None:
        self._auto = given == "auto"
        self._candidates = candidates
        self.current = "" if self._auto else given

    @property
    def identified(self) -> bool:
        """Whether it is heard and not given."""
        return self._auto

    def needs_identifying(self, identified: bool) -> bool:
        return self._auto and not identified

    def heard(self, probabilities: Mapping[str, float]) -> bool:
        """Choose by `probabilities`; True where the language changed."""
        among = self._among(probabilities)
        total = sum(among.values())
        if not total:
            return False
        best = max(among, key=lambda code: among[code])
        if best == self.current or (self.current and among[best] / total < SWITCH_ABOVE):
            return False
        changed = bool(self.current)
        self.current = best
        return changed

    def heard_on(
        self, probabilities: Mapping[str, float], seconds: float, *, closed: bool
    ) -> Literal["kept", "changed", "unsure"]:
        """What `probabilities` of the `seconds` since a lull say, when the language of the utterance was chosen before.
        Nothing follows what is `closed`."""
        among = self._among(probabilities)
        total = sum(among.values())
        if not total or among.get(self.current, 0.0) > KEEP_ABOVE * total:
            return "kept"
        best = max(among, key=lambda code: among[code])
        if among[best] > WITHIN_ABOVE * total and (closed or seconds >= WITHIN_AFTER_S):
            self.current = best
            return "changed"
        return "kept" if closed or seconds >= DECIDE_AFTER_S else "unsure"

    def _among(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        return {code: p for code, p in probabilities.items() if not self._candidates or code in self._candidates}
