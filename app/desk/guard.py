"""What still holds the loudspeaker's sound is kept back: the last of the canceller's parts."""

from __future__ import annotations

from collections import deque

import numpy as np

from app.desk.delay import FEWER, LOW_RATE, alike, explained
from app.desk.double_talk import PAUSE
from app.desk.sound import AUDIBLE_DB, FRAME_S, NOTHING, fewer, level_db, mean_power
from models.protocols import Samples


class Guard:
    """Keeps back what still holds the loudspeaker's sound: after the echo's path has changed, until it is followed.

    Only while something was played just now and the canceller took little away is it asked whether what it left
    resembles what was played: again and again with the same delay, as no person's words do. Until there is an answer
    frames wait; they are a person's, or become silence. Until the canceller has held the echo down for a while, and
    again after resemblances in a row, nothing doubtful passes at all: half duplex. A person who is known to speak over
    an echo whose path is known only must not be an echo whose path has just changed, which is far more alike.
    """

    WINDOW = 25  # frames of what was heard
    LEAST = 15  # of these, that are cleaned in the same way
    EVERY = 5  # frames
    ENOUGH = 30  # frames without resemblance, to let a person pass
    TAKEN_DB = 20.0  # by the canceller: what is left then is no speech
    TAKEN_FIRST_DB = 30.0  # by one that has not proven itself: what is left of a loud echo may be speech
    LEFT_DB = -60.0
    ENDED = 50  # frames after the last echo is due, by the delay that is known: no echo comes any more
    ALIKE = 8.0
    ALIKE_OVER = 14.0  # a person over what the linear filter left is mostly below 13, an echo that it missed above 20
    EXPLAINED = 0.3  # of the power over which a person speaks, at least, to be what was played
    APART = 15  # frames between two that tell of the same delay
    SAME_S = 0.003
    CLOSED = 30  # frames after a resemblance
    PROVEN = 100  # frames in a row in which the canceller held an echo down
    AGAIN = 20  # frames in a row in which it is held down after a pause, as before

    def __init__(self) -> None:
        self._cleaned: deque[Samples] = deque(maxlen=self.WINDOW)
        self._played: deque[Samples] = deque(maxlen=round(1.0 / FRAME_S))
        self._since_played = self._played.maxlen or 0
        self._power = np.zeros(2)
        self._frame = self._suspect = self._closed = self._held = 0
        self._over = False
        self._waiting: list[Samples] = []
        self._delays: deque[tuple[int, float]] = deque(maxlen=20)

    @property
    def closed(self) -> bool:
        """What came lately was the loudspeaker's."""
        return self._closed > 0

    def close(self) -> None:
        """The echo's path is known to have changed: what waits, and what is doubtful for a while, was an echo."""
        self._closed = self.CLOSED

    def doubt(self) -> None:
        """It has also to be held down for a while before anything doubtful passes."""
        self.close()
        self._held = 0

    def moved(self) -> None:
        """It comes elsewhere from now on: nobody is known to speak over it any more."""
        self.doubt()
        self._over = False

    def found(self) -> None:
        """The path, which had changed: what was heard up to now says nothing about it, and it has to be borne out."""
        self._cleaned.clear()
        self._suspect = 0

    def process(
        self, heard: Samples, cleaned: Samples, played: Samples, delay_s: float, *, over: bool = False
    ) -> Samples:
        """What may pass: nothing, or all that waited. `delay_s` is the echo's as far as it is known; `over`: a person
        is known to speak over it."""
        begins = over and not self._over
        if begins:
            self._cleaned.clear()
        self._cleaned.append(fewer(cleaned, FEWER))
        self._played.append(fewer(played, FEWER))
        if level_db(played) > AUDIBLE_DB:
            self._begin()
        else:
            self._since_played += 1
        self._power = 0.8 * self._power + 0.2 * np.array([mean_power(heard), mean_power(cleaned)])
        self._frame += 1
        self._waiting.append(cleaned)
        self._suspect = self._suspect + 1 if self._doubtful(delay_s) else 0
        self._closed = 0 if begins else max(0, self._closed - 1)
        self._over = over
        due = self._suspect > 0 and self._suspect % self.EVERY == 0 and len(self._cleaned) >= self.LEAST
        if due and self._resembles(delay_s):
            self._held = 0 if self._closed else self._held
            self._closed = self.CLOSED
        if self._held < self.PROVEN and not over:
            self._held = 0 if self._suspect else self._held + self._echoes
            return self._release(silent=self._suspect > 0)
        if self._closed and self._suspect:
            return self._release(silent=True)
        return NOTHING if 0 < self._suspect < self.ENOUGH else self._release(silent=False)

    def _begin(self) -> None:
        """Something is played. Where it was quiet before, what is heard from now on is its echo until that is held down
        again; whoever speaks already goes on being heard."""
        if self._since_played > PAUSE and self._levels_db[1] < self.LEFT_DB:
            self._held = min(self._held, self.PROVEN - self.AGAIN)
        self._since_played = 0

    @property
    def _echoes(self) -> bool:
        """An echo is heard: one that is still on its way proves nothing."""
        return self._since_played == 0 and self._levels_db[0] > self.LEFT_DB

    @property
    def _levels_db(self) -> tuple[float, float]:
        """Of late, before and after the canceller."""
        before, after = 10 * np.log10(self._power + 1e-10)
        return float(before), float(after)

    def _doubtful(self, delay_s: float) -> bool:
        due = round(delay_s / FRAME_S) + self.ENDED if delay_s else len(self._played)
        if self._since_played >= min(due, len(self._played)):
            return False
        before, after = self._levels_db
        taken = self.TAKEN_DB if self._held >= self.PROVEN else self.TAKEN_FIRST_DB
        return after > self.LEFT_DB and before - after < taken

    def _resembles(self, delay_s: float) -> bool:
        heard, played = np.concatenate(self._cleaned), np.concatenate(self._played)
        at, sure = alike(np.concatenate([np.zeros(max(0, len(played) - len(heard)), np.float32), heard]), played)
        if sure < (self.ALIKE_OVER if self._over else self.ALIKE):
            return False
        if self._over and explained(heard, played, at) < self.EXPLAINED:
            return False
        found = at / LOW_RATE
        again = [delay for frame, delay in self._delays if self.APART <= self._frame - frame <= 100]
        self._delays.append((self._frame, found))
        return any(abs(found - delay) < self.SAME_S for delay in (delay_s or -1.0, *again))

    def _release(self, *, silent: bool) -> Samples:
        waiting = np.concatenate(self._waiting)
        self._waiting.clear()
        return np.zeros_like(waiting) if silent else waiting
