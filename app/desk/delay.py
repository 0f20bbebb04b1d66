"""How late an echo is, and how much of what is heard it is: two sounds are compared at 8 kHz."""

from __future__ import annotations

from collections import deque

import numpy as np

from app.desk.sound import AUDIBLE_DB, DESK_RATE, FRAME_S, fewer, level_db, mean_power
from models.protocols import Samples

LONGEST_S = 0.8  # of the delay that is looked for
LOW_RATE = 8_000  # Hz
FEWER = DESK_RATE // LOW_RATE  # times
TAPS = 32  # at `LOW_RATE`, that may lie between a sound and its likeness


class DelayEstimator:
    """Seconds from a sound leaving for the loudspeaker to its echo in the microphone, estimated at 8 kHz over the last
    two seconds, twice a second while it plays.
    """

    WINDOW_S = 2.0
    EVERY = 50  # frames
    SURE = 8.0
    SAME_S = 0.01

    def __init__(self) -> None:
        self.seconds = 0.0
        """0 until it is known"""
        frames = round(self.WINDOW_S / FRAME_S)
        self._heard: deque[Samples] = deque(maxlen=frames)
        self._played: deque[Samples] = deque(maxlen=frames)
        self._active: deque[bool] = deque(maxlen=frames)
        self._count = 0
        self._last = -1.0

    def add(self, heard: Samples, played: Samples) -> None:
        self._heard.append(fewer(heard, FEWER))
        self._played.append(fewer(played, FEWER))
        self._active.append(level_db(played) > AUDIBLE_DB)
        self._count += 1
        if self._count % self.EVERY == 0 and sum(self._active) > len(self._active) / 3 > 20:
            self._estimate()

    def moved(self, later_s: float) -> None:
        """Echoes are known to come so much later than they did."""
        self.seconds = min(LONGEST_S, max(0.0, self.seconds + later_s))
        self._last = -1.0
        for frames in (self._heard, self._played, self._active):
            frames.clear()

    def _estimate(self) -> None:
        at, sure = alike(np.concatenate(self._heard), np.concatenate(self._played))
        found = at / LOW_RATE
        if sure > self.SURE and abs(found - self._last) < self.SAME_S:
            self.seconds = found
        self._last = found if sure > self.SURE else self._last


def alike(heard: Samples, played: Samples) -> tuple[int, float]:
    """How many samples `heard` comes after `played`, up to `LONGEST_S`, and how sure that is: the highest peak over the
    root mean square of the generalised cross-correlation with phase transform (Knapp and Carter 1976).
    """
    size = 1 << (2 * len(heard) - 1).bit_length()
    cross = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
    correlation = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12))[: round(LONGEST_S * LOW_RATE)]
    at = int(np.argmax(np.abs(correlation)))
    return at, float(np.abs(correlation[at]) / (np.sqrt(np.mean(np.square(correlation))) + 1e-12))


def explained(heard: Samples, played: Samples, at: int) -> float:
    """The share of the power of `heard` that is what was `played`, `at` samples before, through any short filter."""
    late = max(at, TAPS // 4) + TAPS - TAPS // 4  # of the filter's end
    begin = max(0, len(played) - len(heard) - late)
    shifted = np.lib.stride_tricks.sliding_window_view(played[begin : len(played) - late + TAPS - 1], TAPS)
    target = heard[-len(shifted) :]
    rest = target - shifted @ np.linalg.lstsq(shifted, target, rcond=1e-4)[0]
    return 1 - mean_power(rest.astype(np.float32)) / (mean_power(target) + 1e-12)
