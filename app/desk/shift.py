"""Where an echo has gone that comes sooner or later than it did: a stream has faltered or begun anew.

The generalised cross-correlation with phase transform (Knapp and Carter 1976) of what is heard with the echo that was
to come: over a third of a second its peak stands out also where a person who speaks at the same time is 15 dB louder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app.desk.sound import FRAME, FRAME_S, fewer, mean_power
from models.protocols import Samples

QUIET = 1e-6  # power, of an echo that tells nothing


@dataclass(frozen=True, slots=True)
class Move:
    """Of an echo, against what was expected."""

    by: int
    """samples later"""
    gain: float = 1.0
    """how much louder"""

    @property
    def only(self) -> bool:
        """The echo is what it was, elsewhere."""
        return self.gain == 1.0


class Search:
    """Where an echo has gone that does not come as expected."""

    WINDOWS = 30, 50  # frames of what is heard, at most, in turn: what is found soon, and what a person hides
    LEAST = 15  # frames
    EVERY = 5  # frames
    MOST = 120  # frames of echo in which it has to be found,
    MOST_TOLD = 500  # and where it is known to have moved
    REACH = round(0.3 / FRAME_S)  # frames, sooner or later
    DOWN = 3  # times fewer samples: a voice has all it needs for this below 8 kHz
    SURE = 14.0  # of the highest peak, over the root mean square; without any echo it is below 12
    THERE = 0.5  # of the energy of an echo that is as loud as it was, is heard at least where it is to be
    LATE = 10  # frames, which tell how loud the echo is
    EXPLAINED = 0.5  # of their power, at least
    AS_LOUD = 1.12  # times, no more and no less, is as loud as it was
    AUDIBLE = 1e-3  # of the echo's strongest part of the spectrum, at least, tells something

    def __init__(self, before: Iterable[Samples], *, told: bool = False) -> None:
        """`before`: the echo that was expected up to now, `REACH` frames. `told`: by a loudspeaker that has faltered;
        its echo is as loud as it was, and a person may hide it. Else something has changed, and it is only found where
        it explains what is heard."""
        self.told = told
        longest = max(self.WINDOWS)
        self._heard: deque[Samples] = deque(maxlen=longest)
        self._echo: deque[Samples] = deque((fewer(frame, self.DOWN) for frame in before), maxlen=longest + self.REACH)
        self._frames = 0

    @property
    def over(self) -> bool:
        return self._frames >= (self.MOST_TOLD if self.told else self.MOST)

    def prolong(self) -> None:
        """It may just have moved again."""
        self._frames = 0

    def add(self, heard: Samples, echo: Samples) -> Move | None:
        """A frame and the echo expected in it; returns where it has gone, once that is sure."""
        self._heard.append(fewer(heard, self.DOWN))
        self._echo.append(fewer(echo, self.DOWN))
        if mean_power(echo) < QUIET and not self._frames:
            return None
        self._frames += 1
        if self._frames % self.EVERY or not self.LEAST <= len(self._heard) <= len(self._echo):
            return None
        window = self.WINDOWS[self._frames // self.EVERY % len(self.WINDOWS)]
        of_late = list(self._heard)[-window:], list(self._echo)[-window - self.REACH :]
        return self._found(*map(np.concatenate, of_late))

    def since(self, move: Move) -> int:
        """Of the frames that it has, those at the end in which the echo comes where it has gone, rather than as before
        or not at all."""
        heard, echo = np.concatenate(self._heard), np.concatenate(self._echo)
        late = _later(echo, round(move.by / self.DOWN))
        before = np.minimum(_powers(heard), _powers(heard - echo[-len(heard) :]))
        after = _powers(heard - late[-len(heard) :])
        costs = np.concatenate([[0.0], np.cumsum(before - after)])  # of a change at each frame, less that at the first
        return len(after) - int(np.argmin(costs))

    def _found(self, heard: Samples, echo: Samples) -> Move | None:
        size = 1 << (len(heard) + len(echo) - 1).bit_length()
        expected = np.fft.rfft(echo, size)
        cross = np.fft.rfft(heard, size) * np.conj(expected)
        power = np.convolve(np.square(np.abs(expected)), np.full(33, 1 / 33), "same")
        phases = cross / (np.abs(cross) + 1e-12) * (power > self.AUDIBLE * power.max())
        reach = self.REACH * FRAME
        lags = np.arange(-reach, reach + 1)
        ahead = self.DOWN * (len(echo) - len(heard))  # samples by which `echo` begins before `heard`
        alike = np.fft.irfft(phases, self.DOWN * size)[(lags - ahead) % (self.DOWN * size)]
        at = int(np.argmax(alike))
        if alike[at] < self.SURE * np.sqrt(np.mean(np.square(alike))):
            return None
        by = int(lags[at])
        late = _later(echo, round(by / self.DOWN))[-len(heard) :]
        if self.told:
            there = float(np.dot(heard, heard)) > self.THERE * float(np.dot(late, late))
            return Move(by) if abs(by) >= self.DOWN and there else None
        gain, explained = self._louder(heard, late)
        if explained < self.EXPLAINED:
            return None
        return Move(by) if 1 / self.AS_LOUD < gain < self.AS_LOUD else Move(by, gain)

    def _louder(self, heard: Samples, echo: Samples) -> tuple[float, float]:
        """The gain of an echo, and its share of the power of what was heard; of late, as before the loudspeaker may
        have been silent."""
        heard, echo = (sound[-self.LATE * FRAME // self.DOWN :] for sound in (heard, echo))
        energy = float(np.dot(echo, echo)) + 1e-10
        gain = float(np.dot(heard, echo)) / energy
        return gain, gain * gain * energy / (float(np.dot(heard, heard)) + 1e-10)


def _later(samples: Samples, by: int) -> Samples:
    """So many samples later, with silence for what is not known."""
    moved = np.zeros_like(samples)
    if by >= 0:
        moved[by:] = samples[: len(samples) - by]
    else:
        moved[:by] = samples[-by:]
    return moved


def _powers(samples: Samples) -> Samples:
    """Of each frame."""
    return fewer(np.square(samples), FRAME // Search.DOWN)
