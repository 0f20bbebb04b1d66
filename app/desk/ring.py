"""A ring between a sound card's callback and the loop: neither side ever waits for the other."""

from __future__ import annotations

import numpy as np

from models.protocols import Samples


class Ring:
    """One writer, one reader, `capacity` samples. Counters only grow; each is written by one side."""

    def __init__(self, capacity: int) -> None:
        self._room = np.zeros(capacity, np.float32)
        self._capacity = capacity
        self._written = 0
        self._read = 0
        self.overruns = 0
        """samples that found no room"""

    def __len__(self) -> int:
        return self._written - self._read

    def write(self, samples: Samples) -> None:
        """What finds no room is dropped and counted."""
        count = min(len(samples), self._capacity - len(self))
        self.overruns += len(samples) - count
        at = self._written % self._capacity
        first = min(count, self._capacity - at)
        self._room[at : at + first] = samples[:first]
        self._room[: count - first] = samples[first:count]
        self._written += count

    def read(self, count: int) -> Samples:
        """Up to `count` samples."""
        count = min(count, len(self))
        at = self._read % self._capacity
        first = min(count, self._capacity - at)
        out = np.empty(count, np.float32)
        out[:first] = self._room[at : at + first]
        out[first:] = self._room[: count - first]
        self._read += count
        return out
