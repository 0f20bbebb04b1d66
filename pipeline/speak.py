"""Speech of committed clauses: cut into phrases, timed one after the other, sooner when it falls behind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from models.scripts import UNSPACED

_PHRASE_END = re.compile(r"(?<=[,;:.?!…])\s+|(?<=[、。，；：？！])")
LONGEST_PHRASE = 120  # characters
WORTH_SAYING = 3  # words, in a silence
WORTH_BEGINNING = 2  # words of a clause of which nothing was said
WORTH_WAITING = 6  # words, where there is time: the more at once, the more natural


def phrases(text: str, shortest: int = 20) -> list[str]:
    """Pieces that can be spoken one after the other, cut where a reader pauses, none shorter than it must be."""
    pieces: list[str] = []
    for piece in _PHRASE_END.split(text.strip()):
        if pieces and len(pieces[-1]) < shortest and len(pieces[-1]) + len(piece) < LONGEST_PHRASE:
            joint = "" if pieces[-1][-1:] in "、。，；：？！" else " "
            pieces[-1] += joint + piece
        elif piece.strip():
            pieces.append(piece)
    if len(pieces) > 1 and len(pieces[-1]) < shortest // 2:
        tail = pieces.pop()
        pieces[-1] += " " + tail
    return pieces


class PhraseCutter:
    """Committed text of one clause in, phrases out as soon as a pause in them is sure: before the clause closes."""

    def __init__(self, shortest: int = 20) -> None:
        self._shortest = shortest
        self._rest = ""
        self._begun = False

    def add(self, committed: str, *, final: bool, silent: bool = False, patient: bool = False) -> str:
        """What can be spoken now; empty while nothing is complete.

        `final` releases everything. `silent`: nothing is being spoken, so that a few words are worth saying at once,
        and a few more where the voice is `patient`.
        """
        self._rest += committed
        ends = [match.end() for match in _PHRASE_END.finditer(self._rest)]
        worth = WORTH_WAITING if patient else WORTH_SAYING if self._begun else WORTH_BEGINNING
        if final or (silent and spoken_length(self._rest) >= worth):
            at = len(self._rest)
        else:
            at = ends[-1] if ends and ends[-1] >= self._shortest else 0
        ready, self._rest = self._rest[:at], self._rest[at:]
        self._begun = self._begun or bool(ready.strip())
        return ready.strip()


def spoken_length(text: str) -> float:
    """In words; two characters of a script without spaces count as one."""
    return len(UNSPACED.findall(text)) / 2 + len(UNSPACED.sub(" ", text).split())


@dataclass(slots=True)
class Playhead:
    """When the next stretch of speech begins to sound, in ms on the clock of the source."""

    at_ms: float = 0.0

    def behind_s(self, now_ms: float) -> float:
        return max(0.0, self.at_ms - now_ms) / 1000

    def place(self, earliest_ms: float, duration_ms: float) -> float:
        begin = max(self.at_ms, earliest_ms)
        self.at_ms = begin + duration_ms
        return begin
