"""Silence at the ends of synthetic speech."""

from __future__ import annotations

import numpy as np

from models.protocols import Samples

MARGIN_S = 0.05
WINDOW_S = 0.01
THRESHOLD = 0.003  # RMS of full scale: below every fricative of the voices, above their noise


def trim_silence(samples: Samples, sample_rate: int, *, begin: bool = True, end: bool = True) -> Samples:
    """Leave at most `MARGIN_S` of silence at either end, or at one of them."""
    window = round(WINDOW_S * sample_rate)
    count = len(samples) // window
    if not count:
        return samples
    power = np.sqrt(np.mean(samples[: count * window].reshape(count, window) ** 2, axis=1))
    loud = np.flatnonzero(power > THRESHOLD)
    if not len(loud):
        return samples[:0]
    margin = round(MARGIN_S * sample_rate)
    first = max(0, int(loud[0]) * window - margin) if begin else 0
    return samples[first : (int(loud[-1]) + 1) * window + margin if end else len(samples)]
