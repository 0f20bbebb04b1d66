"""Loudspeaker and microphone with clocks of their own: the echo's path moves all the time, by a sample a second
for each 21 millionths by which the clocks differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.desk.sound import FRAME

Path = NDArray[np.complex64]
"""(..., partitions, frequencies), spectra of frames of an impulse response, each filled up with as much silence"""
Spectrum = NDArray[np.complex128]
"""(..., frequencies)"""
Turns = NDArray[np.float64]
"""frequencies in radians a sample"""


class Drift:
    """How fast a path moves, from what a filter that follows it has learned at two times, and when to move it."""

    SPAN = 60  # frames of echo from one look to the next
    BELOW = np.pi / 6  # radians a sample, 4 kHz: such phases are unmistakable for a move by less than 6 samples
    ALIKE = 0.8  # correlation of the path with itself after it was moved; less is another path
    FASTEST = 0.1  # samples a frame: clocks that differ by more than 200 millionths are broken
    PACE = 0.6  # of what is found: what a filter has learned comes later than the path
    STEP = 0.125  # samples that a path is moved by at once

    def __init__(self) -> None:
        self.rate: float = 0.0
        """samples a frame by which the echo comes later"""
        self._due: float = 0.0
        self._since: float = 0.0  # samples that the path was moved by, since the last look
        self._then: Spectrum | None = None
        self._frames = self._echo = 0

    def frame(self) -> float:
        """A frame has passed: by how many samples the path is to be moved now."""
        self._frames += 1
        self._due += self.rate
        if abs(self._due) < self.STEP:
            return 0.0
        due, self._due = self._due, 0.0
        self._since += due
        return due

    def look(self, path: Path) -> None:
        """A filter has learned from a frame of echo; `path` (partitions, frequencies) is what it has learned."""
        self._echo += 1
        if self._echo < self.SPAN:
            return
        now, turns = _whole(path)
        if self._then is not None:
            self._compare(now, self._then, turns)
        self._then = now
        self._frames = self._echo = 0
        self._since = 0.0

    def _compare(self, now: Spectrum, then: Spectrum, turns: Turns) -> None:
        low = turns < self.BELOW
        now, then, turns = now[low], then[low], turns[low]
        cross: Spectrum = now * np.conj(then) * _delay(turns, -self._since)
        weight = np.abs(cross) * turns
        later = -float(np.sum(weight * np.angle(cross)) / (np.sum(weight * turns) + 1e-20))
        alike = float(np.sum(np.real(cross * _delay(turns, -later))))
        if alike > self.ALIKE * float(np.linalg.norm(now) * np.linalg.norm(then)):
            rate = self.rate + self.PACE * later / self._frames
            self.rate = float(np.clip(rate, -self.FASTEST, self.FASTEST))


def moved(path: Path, by: float) -> Path:
    """`path` so many samples later; what leaves its window is forgotten."""
    *others, partitions, _ = path.shape
    length = partitions * FRAME
    if abs(by) >= length:
        return np.zeros_like(path)
    whole, turns = _whole(path)
    later = np.fft.irfft(whole * _delay(turns, by), 2 * length)[..., :length]
    return np.fft.rfft(later.reshape(*others, partitions, FRAME), 2 * FRAME).astype(np.complex64)


def _whole(path: Path) -> tuple[Spectrum, Turns]:
    """The spectrum of an impulse response, filled up with as much silence, and its frequencies."""
    *others, partitions, _ = path.shape
    length = partitions * FRAME
    impulse = np.fft.irfft(path, 2 * FRAME)[..., :FRAME].reshape(*others, length)
    return np.fft.rfft(impulse, 2 * length), np.linspace(0.0, np.pi, length + 1)


def _delay(turns: Turns, by: float) -> Spectrum:
    """What makes a spectrum so many samples later."""
    return np.exp(-1j * by * turns.astype(np.complex128))
