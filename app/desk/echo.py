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
from app.desk.delay import LONGEST_S, DelayEstimator
from app.desk.double_talk import DoubleTalk, Parts
from app.desk.guard import Guard
from app.desk.held import Held
from app.desk.sound import AUDIBLE_DB, DESK_RATE, FRAME, FRAME_S, NOTHING, SILENCE, level_db, mean_power
from models.protocols import Samples

WITHIN_REACH_S = 0.5  # of a delay that AEC3 finds by itself
HANGOVER_S = 0.35  # of the room, after the loudspeaker fell silent
MOVED = 300  # frames in which echoes that have moved must have been found again
LOUDER = 10.0  # times the power of the loudest echo that may come
AHEAD_S = 0.03  # of the echo, that the linear filter's window begins


class Echo(Enum):
    """How the loudspeaker is kept out of the microphone."""

    CANCEL = "cancel"
    HALF_DUPLEX = "half"
    NONE = "none"


class Canceller(Protocol):
    @property
    def suspects(self) -> bool:
        """Whether somebody may speak over what is played; it may be an echo that has changed."""
        ...

    def process(self, heard: Samples, played: Samples) -> Samples:
        """Take a frame of the microphone; return it without what was played up to now, or nothing yet, or several."""
        ...

    def moved(self) -> None:
        """From the next frame on echoes come sooner or later than before: one of the devices has faltered."""
        ...


class Passing:
    """Headphones: nothing to take out."""

    suspects = False

    def process(self, heard: Samples, played: Samples) -> Samples:
        return heard

    def moved(self) -> None:
        pass


class HalfDuplex:
    """The microphone is closed while the loudspeaker speaks, and a little longer."""

    suspects = False

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
        self._faltered = False
        self._held: Held | None = None
        self._freed: list[Samples] = []  # and not yet returned

    @property
    def suspects(self) -> bool:
        return self._double_talk.suspects

    def process(self, heard: Samples, played: Samples) -> Samples:
        if self._faltered:
            self._hold()
        if self._held is None:
            self._free(heard, played)
        else:
            self._held.add(heard, played)
            if self._held.over:
                self._let_go(self._held)
        freed, self._freed = self._freed, []
        return np.concatenate(freed) if freed else NOTHING

    def _let_go(self, held: Held) -> None:
        """What was held: the echo's path is taken up where it has gone, if that was found."""
        self._held = None
        before, since = held.parted()
        move = held.move
        if move is None:
            self._linear.moved()
        for frame in before:
            self._free(*frame)
            if self._linear.found or self._linear.later:
                move = None  # it was plain to the filter itself
        if move is not None:
            self._linear.goes(move)
            self._gone()
        for frame in since:
            self._free(*frame)

    def _free(self, heard: Samples, played: Samples) -> None:
        """What is heard, of what was played; adds to what is returned next."""
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
            return
        samples, then = passed
        over = self._double_talk.person
        out = self._guard.process(then.heard, samples, then.played, self.delay.seconds, over=over)
        if over and self._guard.closed:
            self._double_talk.mistaken()
        self._freed.append(out)

    def moved(self) -> None:
        self._faltered = True

    def _hold(self) -> None:
        """Echoes come elsewhere from now on: wait until it is found where, if the path was known."""
        self._faltered = False
        if self._held is not None:
            self._let_go(self._held)
        self._since_moved = 0
        self._guard.moved()
        self._double_talk.forget()
        if (ahead := self._linear.ahead()) is None:
            self._linear.moved()
        else:
            self._held = Held(ahead, [self._before(frames) for frames in reversed(range(self._lag))])

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
            self._gone()
        return left

    def _gone(self) -> None:
        """Echoes were found to come elsewhere."""
        self.delay.moved(self._linear.later / DESK_RATE)
        self._guard.doubt()

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


def available() -> bool:
    return importlib.util.find_spec("livekit") is not None


def canceller(kind: Echo) -> Canceller:
    """`Echo.CANCEL` falls back to half duplex where `livekit` is not installed."""
    if kind is Echo.NONE:
        return Passing()
    return WebRtc() if kind is Echo.CANCEL and available() else HalfDuplex()
