"""A person who speaks while the loudspeaker does: when the linear filter's sound goes on instead of AEC3's."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from app.desk.sound import FRAME, mean_power
from models.protocols import Samples

PAUSE = 30  # frames in which nothing is played: the path may have changed meanwhile
LOOK_BACK = 4  # frames: a word has begun before it is plainly heard
AEC3_LATE = 713  # samples, by its filter banks


@dataclass(frozen=True, slots=True)
class Parts:
    """A frame on its way through the canceller."""

    heard: Samples
    played: Samples
    left: Samples
    """by the linear filter"""
    cleaned: Samples
    """by AEC3"""
    astray: bool = False
    """the linear filter has lost the path"""
    anew: bool = False
    """or has found it just now"""
    surprise_db: float = 100.0
    """what it leaves, to what it expected to leave of the echo"""
    found: bool = False
    """the path has moved, and it is known by how much"""
    louder: bool = False
    """than any echo"""


class DoubleTalk:
    """Lets a person through as the linear filter leaves them, while they are plainly louder than the echo that it may
    have left; all else as it was cleaned."""

    OVER_DB = 10.0  # what is usually left of the echo, at least: a person
    SURPRISE_DB = 3.0  # to what the filter expected to leave, at least: a person
    BESIDE_DB = -18.0  # to the echo that was found, at least: so much is not left of an echo that is followed
    AUDIBLE_DB = -55.0
    NOISE_DB = 8.0  # above the room's own sound, at least: a person
    NOISE_RISES_DB = 0.1  # a frame, at most
    UNKNOWN_DB = 30.0  # what is left of an echo whose path is not known: more than there ever is
    KNOWN_DB = -10.0  # of what is left, at most, of an echo whose path has not changed
    SOUNDS = 0.25  # of the echo's power of late, at least: its end, that a room prolongs, says nothing about the path
    FOUND_DB = -20.0  # what is left of an echo that was found where it has moved to
    FOLLOWED_DB = -12.0  # what is left of an echo whose path is known
    HANGOVER = 50  # frames, at most: consonants and the ends of words are quieter than the echo
    EACH = 6  # of these, for each frame in which a person was heard
    CONFIRMED = 8  # frames of echo that the path explained since then, to believe in a person
    BEFORE = 8  # frames more in which somebody was heard before the voice began than have passed since: they go on
    MOST_BEFORE = 50  # of these

    def __init__(self) -> None:
        self._left = self._echo = 1e-10
        self._ratio_db = self.UNKNOWN_DB  # of what is left to the echo that was found, while nobody speaks
        self._known_db = self.UNKNOWN_DB  # the same, when the path was known last
        self._above_echo_db = 0.0
        self._noise_db = 0.0
        self._unplayed = self._confirmed = 0  # frames
        self._over = self._found = 0
        self._before = 0  # frames in which somebody was heard while nothing had been played, less those since then
        self.suspects = False
        """somebody may speak over the voice; or its echo comes elsewhere, which is not known yet"""
        self._share = 0.0
        self._waiting: deque[Parts] = deque()
        self._late = np.zeros(AEC3_LATE, np.float32)

    @property
    def person(self) -> bool:
        """Somebody speaks over an echo whose path is known."""
        return self._share > 0

    def mistaken(self) -> None:
        """What seemed a person was the echo. Where it was loud, its path is not known any more."""
        if self._above_echo_db > self.KNOWN_DB:
            self.forget()
        self._over = self._before = 0

    def forget(self) -> None:
        """The echo's path is not known any more: nobody is known to speak over it."""
        if self._ratio_db < self.FOLLOWED_DB:
            self._known_db = self._ratio_db if self._confirmed >= self.CONFIRMED else self.UNKNOWN_DB
        self._ratio_db = self.UNKNOWN_DB
        self._over = 0

    def process(self, parts: Parts) -> tuple[Samples, Parts] | None:
        """What to go on with, and the frame that it was, `LOOK_BACK` frames late."""
        if parts.astray:
            self.mistaken()
        if parts.found:
            self._ratio_db = max(self.FOUND_DB, self._known_db)
            self._left = self._echo = 1e-10
            self._confirmed = max(self._confirmed, self.CONFIRMED)
        if self._person(parts) or parts.louder:
            self._found += 1
            self._over = min(self.HANGOVER, self._found * self.EACH)
        else:
            self._over = max(0, self._over - 1)
            self._found = self._found if self._over else 0
        self._waiting.append(parts)
        if len(self._waiting) <= LOOK_BACK:
            return None
        then = self._waiting.popleft()
        wanted = 1.0 if self._over else 0.0
        share = np.linspace(self._share, wanted, FRAME, dtype=np.float32)
        self._share = wanted
        left = np.concatenate([self._late, then.left])  # as late as what was cleaned, or a change would skip or repeat
        self._late = left[FRAME:]
        return (share * left[:FRAME] + (1 - share) * then.cleaned).astype(np.float32), then

    def _person(self, parts: Parts) -> bool:
        self._left += 0.3 * (mean_power(parts.left) + 1e-10 - self._left)
        echo = mean_power(parts.heard - parts.left) + 1e-10
        self._echo += (0.3 if echo > self._echo else 0.1) * (echo - self._echo)  # no faster down than a room
        left_db, echo_db = 10 * np.log10(self._left), 10 * np.log10(self._echo)
        self._noise_db = min(left_db, self._noise_db + self.NOISE_RISES_DB)
        self._unplayed = 0 if parts.played.any() else self._unplayed + 1
        if self._unplayed > PAUSE:
            self._confirmed = 0
        loud = left_db > max(self.AUDIBLE_DB, self._noise_db + self.NOISE_DB)
        if echo_db < self.AUDIBLE_DB - 5:
            heard = loud and self._unplayed > PAUSE  # sooner, it may be an echo that comes elsewhere
            self._before = min(self.MOST_BEFORE, self._before + 1) if heard else max(0, self._before - (not loud))
            self.suspects = False
            return loud and self._over > 0
        self._above_echo_db = float(left_db - echo_db)
        above = self._above_echo_db - self._ratio_db
        sounds = echo > self.SOUNDS * self._echo
        self._confirmed += sounds and self._above_echo_db < self.KNOWN_DB
        believed = self._confirmed >= self.CONFIRMED or self._before >= self.BEFORE
        self._before = max(0, self._before - 1)
        seems = (
            not parts.astray
            and not parts.anew
            and above > self.OVER_DB
            and parts.surprise_db > self.SURPRISE_DB
            and self._above_echo_db > self.BESIDE_DB
            and loud
            and self._ratio_db < self.FOLLOWED_DB
        )
        self.suspects = seems
        # Down quickly, at first within a pause between two words; up slowly: a person who speaks for long is no echo.
        if above >= 0:
            self._ratio_db += 0.003 * (above if above < self.OVER_DB else 1)
        elif sounds:
            self._ratio_db += above * (0.05 if self._ratio_db < self.FOLLOWED_DB else 0.2)
        return seems and believed
