"""What the loudspeaker plays is taken out of what the microphone hears.

WebRTC's audio processing (AEC3, from the `livekit` package) where it is installed; else the microphone is closed while
the loudspeaker speaks. AEC3 finds echoes of up to half a second: the delay is estimated here as well, so that slower
loudspeakers (Bluetooth) come within its reach.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from enum import Enum
from typing import Any, Protocol

import numpy as np

from app.desk.adaptive import LinearCanceller
from app.desk.double_talk import PAUSE, DoubleTalk, Parts
from app.desk.sound import DESK_RATE, FRAME, FRAME_S, SILENCE, level_db, mean_power
from models.protocols import Samples

LONGEST_S = 0.8  # of the delay that is looked for
WITHIN_REACH_S = 0.5  # of a delay that AEC3 finds by itself
LOW_RATE = 8_000  # Hz, at which two sounds are compared
HANGOVER_S = 0.35  # of the room, after the loudspeaker fell silent
AUDIBLE_DB = -60.0  # of the reference
MOVED = 300  # frames in which echoes that have moved must have been found again
LOUDER = 10.0  # times the power of the loudest echo that may come
AHEAD_S = 0.03  # of the echo, that the linear filter's window begins
TAPS = 32  # at `LOW_RATE`, that may lie between a sound and its likeness
NOTHING = np.zeros(0, np.float32)


class Echo(Enum):
    """How the loudspeaker is kept out of the microphone."""

    CANCEL = "cancel"
    HALF_DUPLEX = "half"
    NONE = "none"


class Canceller(Protocol):
    def process(self, heard: Samples, played: Samples) -> Samples:
        """Take a frame of the microphone; return it without what was played up to now, or nothing yet, or several."""
        ...

    def moved(self) -> None:
        """From the next frame on echoes come sooner or later than before: one of the devices has faltered."""
        ...


class Passing:
    """Headphones: nothing to take out."""

    def process(self, heard: Samples, played: Samples) -> Samples:
        return heard

    def moved(self) -> None:
        pass


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

    def moved(self) -> None:
        pass


class WebRtc:
    """AEC3 with noise suppression and a high-pass filter; nothing passes while it does not hold the echo down."""

    def __init__(self) -> None:
        from livekit import rtc

        self._frame: Any = rtc.AudioFrame
        self._processing: Any = rtc.AudioProcessingModule(
            echo_cancellation=True, noise_suppression=True, high_pass_filter=True
        )
        self.delay = DelayEstimator()
        self._linear = LinearCanceller()
        self._lag = 0  # frames by which the linear filter gets what was played later than it was
        self._played: deque[float] = deque([0.0], maxlen=round(LONGEST_S / FRAME_S))  # power
        self._since_moved = MOVED
        self._double_talk = DoubleTalk()
        self._guard = Guard()
        self._reference: deque[Samples] = deque(maxlen=round(LONGEST_S / FRAME_S) + 1)

    def process(self, heard: Samples, played: Samples) -> Samples:
        self.delay.add(heard, played)
        self._reference.append(played)
        self._played.append(mean_power(played))
        self._since_moved += 1
        left, linear = self._subtracted(heard), self._linear
        if linear.astray:
            self._guard.close()
        if linear.found:
            self._guard.found()
        parts = Parts(
            heard,
            played,
            left,
            self._cleaned(heard),
            linear.astray,
            linear.anew,
            linear.surprise_db,
            linear.found,
            self._louder,
        )
        passed = self._double_talk.process(parts)
        if passed is None:
            return NOTHING
        samples, then = passed
        over = self._double_talk.person
        out = self._guard.process(then.heard, samples, then.played, self.delay.seconds, over=over)
        if over and self._guard.closed:
            self._double_talk.mistaken()
        return out

    def moved(self) -> None:
        self._since_moved = 0
        self._linear.moved()
        self._guard.doubt()
        self._double_talk.forget()

    @property
    def _louder(self) -> bool:
        """Echoes have moved, which does not make them louder, and what is heard is louder than any of them can be: a
        person (Geigel's detector, in Duttweiler 1978)."""
        linear = self._linear
        return self._since_moved < MOVED and linear.heard > LOUDER * linear.gain * max(self._played) > 0

    def _subtracted(self, heard: Samples) -> Samples:
        lag = max(0, int((self.delay.seconds - AHEAD_S) / FRAME_S))
        if lag != self._lag:
            before = [self._before(lag + 1 + n) for n in range(LinearCanceller.PARTITIONS + 1)]
            self._linear.shift(lag - self._lag, before)
            self._lag = lag
        left = self._linear.process(heard, self._before(lag))
        if self._linear.later:
            self.delay.moved(self._linear.later / DESK_RATE)
            self._guard.doubt()
        return left

    def _cleaned(self, heard: Samples) -> Samples:
        late = self.delay.seconds > WITHIN_REACH_S
        held = round((self.delay.seconds - WITHIN_REACH_S / 2) / FRAME_S) if late else 0
        self._processing.process_reverse_stream(self._as_frame(self._before(held)))
        self._processing.set_stream_delay_ms(round(min(self.delay.seconds - held * FRAME_S, 0.5) * 1000))
        frame = self._as_frame(heard)
        self._processing.process_stream(frame)
        return np.frombuffer(frame.data, np.int16).astype(np.float32) / np.float32(32768)

    def _before(self, frames: int) -> Samples:
        """What was played so many frames ago."""
        return self._reference[-1 - frames] if frames < len(self._reference) else SILENCE

    def _as_frame(self, samples: Samples) -> Any:
        data = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        return self._frame(data, DESK_RATE, 1, FRAME)


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
        self._cleaned.append(_decimated(cleaned))
        self._played.append(_decimated(played))
        if level_db(played) > AUDIBLE_DB:
            self._begin()
        else:
            self._since_played += 1
        self._power = 0.8 * self._power + 0.2 * np.array([mean_power(heard), mean_power(cleaned)])
        self._frame += 1
        self._waiting.append(cleaned)
        self._suspect = self._suspect + 1 if self._doubtful() else 0
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

    def _doubtful(self) -> bool:
        if self._since_played >= len(self._played):
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
        self._heard.append(_decimated(heard))
        self._played.append(_decimated(played))
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


def _decimated(samples: Samples) -> Samples:
    return samples.reshape(-1, DESK_RATE // LOW_RATE).mean(axis=1)


def available() -> bool:
    return importlib.util.find_spec("livekit") is not None


def canceller(kind: Echo) -> Canceller:
    """`Echo.CANCEL` falls back to half duplex where `livekit` is not installed."""
    if kind is Echo.NONE:
        return Passing()
    return WebRtc() if kind is Echo.CANCEL and available() else HalfDuplex()
