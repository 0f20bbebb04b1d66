"""The sound of the desk: mono float32 frames of 10 ms at 48 kHz, which is what WebRTC's processing takes."""

from __future__ import annotations

import numpy as np
import soxr

from models.protocols import SAMPLE_RATE, Samples

DESK_RATE = 48_000  # Hz
FRAME_S = 0.01
FRAME = round(DESK_RATE * FRAME_S)
SILENCE = np.zeros(FRAME, np.float32)
NOTHING = np.zeros(0, np.float32)
AUDIBLE_DB = -60.0  # of what is played, at least


def to_desk(samples: Samples, rate: int) -> Samples:
    return samples if rate == DESK_RATE else soxr.resample(samples, rate, DESK_RATE).astype(np.float32)


class Converter:
    """A running conversion of one stream; hands back what is complete."""

    def __init__(self, rate: int, wanted: int) -> None:
        self._stream = None if rate == wanted else soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="MQ")

    def process(self, samples: Samples) -> Samples:
        return samples if self._stream is None else self._stream.resample_chunk(samples)


def to_engine() -> Converter:
    return Converter(DESK_RATE, SAMPLE_RATE)


def fewer(samples: Samples, times: int) -> Samples:
    """The means of so many samples each."""
    return samples.reshape(-1, times).mean(axis=1)


def mean_power(samples: Samples) -> float:
    return float(np.mean(np.square(samples), dtype=np.float64))


def level_db(samples: Samples) -> float:
    """RMS in dB of full scale; -100 for silence."""
    return float(10 * np.log10(max(1e-10, mean_power(samples))))
