"""Audio inside a session: stretches of samples at `SAMPLE_RATE` on the clock of the source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.protocols import SAMPLE_RATE, Samples


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples whose first one is at `start` (in samples since the source began)."""

    start: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.start + len(self.samples)


def ms(samples: int) -> float:
    return samples * 1000 / SAMPLE_RATE


class AudioBuffer:
    """A growing stretch that is trimmed at its beginning; appending never copies what is there twice."""

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self._room = np.zeros(SAMPLE_RATE * 8, np.float32)
        self._length = 0

    @property
    def end(self) -> int:
        return self.start + self._length

    @property
    def samples(self) -> Samples:
        """A view; valid until the next `append`."""
        return self._room[: self._length]

    def append(self, samples: Samples) -> None:
        needed = self._length + len(samples)
        if needed > len(self._room):
            grown = np.zeros(max(needed, 2 * len(self._room)), np.float32)
            grown[: self._length] = self.samples
            self._room = grown
        self._room[self._length : needed] = samples
        self._length = needed

    def trim(self, start: int) -> None:
        """Forget what lies before `start`."""
        cut = min(max(start - self.start, 0), self._length)
        kept = self._length - cut
        self._room[:kept] = self._room[cut : self._length].copy()
        self._length = kept
        self.start += cut

    def cut(self, end: int) -> Samples:
        """Forget what lies from `end` on, and return it."""
        kept = min(max(end - self.start, 0), self._length)
        rest = self._room[kept : self._length].copy()
        self._length = kept
        return rest
