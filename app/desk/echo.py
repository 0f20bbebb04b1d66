"""What the loudspeaker plays is taken out of what the microphone hears.

WebRTC's audio processing (AEC3, from the `livekit` package) where it is installed; else the microphone is closed while
the loudspeaker speaks. AEC3 follows echoes of up to about a quarter of a second: the delay is estimated here as well,
so that slow loudspeakers (Bluetooth) come within its reach.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from enum import Enum
from typing import Any, Protocol

import numpy as np

from app.desk.sound import DESK_RATE, FRAME, FRAME_S, SILENCE, level_db
from models.protocols import Samples

LONGEST_S = 0.8  # of the delay that is looked for
WITHIN_REACH_S = 0.15  # of a delay that AEC3 handles without help
MARGIN_S = 0.04  # the reference comes this much before its echo
HANGOVER_S = 0.35  # of the room, after the loudspeaker fell silent
AUDIBLE_DB = -60.0  # of the reference


class Echo(Enum):
    """How the loudspeaker is kept out of the microphone."""

    CANCEL = "cancel"
    HALF_DUPLEX = "half"
    NONE = "none"


class Canceller(Protocol):
    def process(self, heard: Samples, played: Samples) -> Samples:
        """One frame of the microphone without what was played up to now."""
        ...


class Passing:
    """Headphones: nothing to take out."""

    def process(self, heard: Samples, played: Samples) -> Samples:
        return heard


class HalfDuplex:
    """The microphone is closed while the loudspeaker speaks, and a little longer."""

    def __init__(self, hangover_s: float = HANGOVER_S) -> None:
        self._hangover = round(hangover_s / FRAME_S)
        self._closed = 0

    def process(self, heard: Samples, played: Samples) -> Samples:
        if level_db(played) > AUDIBLE_DB:
            self._closed = self._hangover
        if not self._closed:
            return heard
        self._closed -= 1
        return SILENCE


class WebRtc:
    """AEC3 with noise suppression and a high-pass filter; half duplex whenever it does not hold the echo down."""

    def __init__(self) -> None:
        from livekit import rtc

        self._frame: Any = rtc.AudioFrame
        self._processing: Any = rtc.AudioProcessingModule(
            echo_cancellation=True, noise_suppression=True, high_pass_filter=True
        )
        self.delay = DelayEstimator()
        self._reference: deque[Samples] = deque(maxlen=round(LONGEST_S / FRAME_S) + 1)

    def process(self, heard: Samples, played: Samples) -> Samples:
        self.delay.add(heard, played)
        self._reference.append(played)
        held = max(0, round((self.delay.seconds - MARGIN_S) / FRAME_S)) if self.delay.seconds > WITHIN_REACH_S else 0
        reference = self._reference[-1 - held] if held < len(self._reference) else SILENCE
        self._processing.process_reverse_stream(self._as_frame(reference))
        self._processing.set_stream_delay_ms(round(min(self.delay.seconds - held * FRAME_S, 0.5) * 1000))
        frame = self._as_frame(heard)
        self._processing.process_stream(frame)
        return np.frombuffer(frame.data, np.int16).astype(np.float32) / np.float32(32768)

    def _as_frame(self, samples: Samples) -> Any:
        data = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        return self._frame(data, DESK_RATE, 1, FRAME)


class DelayEstimator:
    """Seconds from a sound leaving for the loudspeaker to its echo in the microphone: generalised cross-correlation
    with phase transform (Knapp and Carter 1976) at 8 kHz over the last two seconds, twice a second while it plays.
    """

    RATE = 8_000
    WINDOW_S = 2.0
    EVERY = 50  # frames
    SURE = 8.0  # the peak over the root mean square of all the others
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
        self._heard.append(_decimated(heard))
        self._played.append(_decimated(played))
        self._active.append(level_db(played) > AUDIBLE_DB)
        self._count += 1
        if self._count % self.EVERY == 0 and sum(self._active) > len(self._active) / 3 > 20:
            self._estimate()

    def _estimate(self) -> None:
        heard, played = np.concatenate(self._heard), np.concatenate(self._played)
        size = 2 * len(heard)
        cross = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
        correlation = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12))[: round(LONGEST_S * self.RATE)]
        at = int(np.argmax(np.abs(correlation)))
        sure = abs(correlation[at]) / float(np.sqrt(np.mean(np.square(correlation))) + 1e-12)
        found = at / self.RATE
        if sure > self.SURE and abs(found - self._last) < self.SAME_S:
            self.seconds = found
        self._last = found if sure > self.SURE else self._last


def _decimated(samples: Samples) -> Samples:
    return samples.reshape(-1, DESK_RATE // DelayEstimator.RATE).mean(axis=1)


def available() -> bool:
    return importlib.util.find_spec("livekit") is not None


def canceller(kind: Echo) -> Canceller:
    """`Echo.CANCEL` falls back to half duplex where `livekit` is not installed."""
    if kind is Echo.NONE:
        return Passing()
    return WebRtc() if kind is Echo.CANCEL and available() else HalfDuplex()
