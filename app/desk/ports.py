"""Devices as the sound loop sees them: streams of PortAudio whose callbacks only copy, and files in their place."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from app.desk.devices import Device, direct, present
from app.desk.loop import GONE_S, RING_S
from app.desk.ring import Ring
from app.desk.sound import DESK_RATE, FRAME, FRAME_S, Converter
from app.play import abandon, library
from models.errors import TsuyakuError, UnavailableError
from models.protocols import Samples

ROOM = 1e-4  # of full scale: no room is without any sound
LATENCY_S = {"InputStream": 0.03, "OutputStream": 0.12}  # asked of the sound card: a voice that is torn is worse
AHEAD_S = 0.12  # in the ring, at most, as long as nothing is torn
MOST_AHEAD_S = 0.3  # where the loop is kept from its work: more at each tear
FALTER_S = 4.0
PATIENT_S = 1.0  # with a device that hangs
_changing = threading.Lock()


class _Stream:
    """What both directions share. A callback must have come within `GONE_S`; a sound server says itself what is gone,
    and its streams may falter for `FALTER_S` on a busy machine.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.name = device.label
        self._stream: Any = None
        self._called = 0.0
        self._checked = 0.0

    def alive(self) -> bool:
        longest = FALTER_S if self.device.pulse else GONE_S
        if self._stream is None or not self._stream.active or time.monotonic() - self._called > longest:
            return False
        return present(self.device)

    def close(self, wait_s: float = 0.0) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            closer = threading.Thread(target=_closed, args=(stream,), daemon=True)  # a dead device may hang here
            closer.start()
            closer.join(wait_s)
            if wait_s and closer.is_alive():
                abandon()

    def _start(self, kind: str, channels: int, callback: Callable[..., None]) -> int:
        """Returns the rate that the device runs at."""
        sound = library()
        if not present(self.device):
            raise UnavailableError("device-missing", f"{self.name} is not connected.")
        with _alone():
            direct(self.device)
            try:
                rate = self._rate(sound, kind, channels)
                self._stream = getattr(sound, kind)(
                    samplerate=rate,
                    channels=channels,
                    dtype="float32",
                    latency=LATENCY_S[kind],
                    device=self.device.index,
                    callback=callback,
                )
                self._called = time.monotonic() + GONE_S
                self._stream.start()
            except sound.PortAudioError as error:
                self._stream = None
                raise refused(self.name, error) from error
        return rate

    def _rate(self, sound: Any, kind: str, channels: int) -> int:
        check = sound.check_input_settings if kind == "InputStream" else sound.check_output_settings
        try:
            check(device=self.device.index, channels=channels, dtype="float32", samplerate=DESK_RATE)
        except sound.PortAudioError:
            return int(sound.query_devices(self.device.index)["default_samplerate"])
        return DESK_RATE


class Microphone(_Stream):
    """`channels` of a device are listened to, each into a ring of its own; one is the mixture of all."""

    def __init__(self, device: Device, channels: int = 1) -> None:
        super().__init__(device)
        self.rings = [Ring(round(RING_S * DESK_RATE)) for _ in range(channels)]
        self.latency_s = 0.0
        self._converters: list[Converter] = []

    def open(self) -> None:
        rate = self._start("InputStream", len(self.rings), self._hear)
        self._converters = [Converter(rate, DESK_RATE) for _ in self.rings]

    def _hear(self, data: Samples, frames: int, at: Any, status: Any) -> None:
        self._called = time.monotonic()
        self.latency_s = min(1.0, max(0.0, at.currentTime - at.inputBufferAdcTime)) + frames / DESK_RATE / 2
        if status.input_overflow:
            self.rings[0].overruns += frames
        for channel, (ring, converter) in enumerate(zip(self.rings, self._converters, strict=False)):
            ring.write(converter.process(data[:, channel].copy()))


class Loudspeaker(_Stream):
    """Plays on one channel, which the sound server or the card spreads over the others."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.ring = Ring(round(RING_S * DESK_RATE))
        self.played = Ring(round(RING_S * DESK_RATE))
        self.ahead_s = 0.03
        self.underruns = 0
        self._dry = True
        """nothing waited in the ring when it was last looked at"""
        self._rate_now = DESK_RATE
        self._converter = Converter(DESK_RATE, DESK_RATE)
        self._rest = np.zeros(0, np.float32)

    def open(self) -> None:
        self._rate_now = self._start("OutputStream", 1, self._speak)
        self._converter = Converter(DESK_RATE, self._rate_now)

    def _speak(self, data: Samples, frames: int, at: Any, status: Any) -> None:
        self._called = time.monotonic()
        self.ahead_s = max(self.ahead_s, min(AHEAD_S, 2.5 * frames / self._rate_now))
        if status.output_underflow:
            self.underruns += 1
        while len(self._rest) < frames:
            wanted = self.ring.read(FRAME)
            was_dry, self._dry = self._dry, not len(wanted)
            if self._dry:
                wanted = np.zeros(FRAME, np.float32)
            if self._dry and not was_dry:
                self.ahead_s = min(MOST_AHEAD_S, self.ahead_s + FRAME_S)
            self.played.write(wanted)
            self._rest = np.concatenate([self._rest, self._converter.process(wanted)])
        data[:, 0] = self._rest[:frames]
        self._rest = self._rest[frames:]


def refused(name: str, error: Exception) -> TsuyakuError:
    """PortAudio's error as ours (portaudio.h, PaErrorCode)."""
    text = str(error).casefold()
    number = next((a for a in error.args if isinstance(a, int)), 0)
    if "permission" in text or "denied" in text:
        return UnavailableError("device-refused", f"The system does not let this program use {name}; allow it.")
    if number == -9985 or "unavailable" in text or "busy" in text:
        return UnavailableError("device-busy", f"{name} is used by another program; close that one.")
    return UnavailableError("device-failed", f"{name} cannot be opened; choose another with --list-devices.")


@contextlib.contextmanager
def _alone() -> Generator[None]:
    """PortAudio opens and closes streams in one thread at a time; one that hangs does not keep the others for ever."""
    taken = _changing.acquire(timeout=PATIENT_S)
    try:
        yield
    finally:
        if taken:
            _changing.release()


def _closed(stream: Any) -> None:
    with _alone(), contextlib.suppress(Exception):
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)


class Paced:
    """A thread that runs `tick` every 10 ms of wall time: the sound card where there is none."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="paced", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        begin, count = time.monotonic(), 0
        while not self._stop.is_set():
            count += 1
            self._stop.wait(max(0.0, begin + count * FRAME_S - time.monotonic()))
            self._tick()


class Script:
    """Turns of a scripted conversation in place of a microphone: `say` plays one, silence between them."""

    def __init__(self, name: str = "the script") -> None:
        self.name = name
        self.rings = [Ring(round(RING_S * DESK_RATE))]
        self.latency_s = 0.0
        self._turn = np.zeros(0, np.float32)
        self._at = 0
        self._room = np.random.default_rng(0).normal(0, ROOM, FRAME).astype(np.float32)
        self._paced = Paced(self._tick)

    def open(self) -> None:
        self._paced.start()

    def close(self, wait_s: float = 0.0) -> None:
        self._paced.stop()

    def alive(self) -> bool:
        return True

    @property
    def speaking(self) -> bool:
        return self._at < len(self._turn)

    def say(self, samples: Samples) -> None:
        """At `DESK_RATE`."""
        self._turn, self._at = samples, 0

    def _tick(self) -> None:
        frame = self._room.copy()
        part = self._turn[self._at : self._at + FRAME]
        frame[: len(part)] += part
        self._at += FRAME
        self.rings[0].write(frame)


class Nowhere:
    """A loudspeaker where there is none: plays at the pace of one, and hands what it played to `record`."""

    def __init__(self, record: Callable[[Samples], None] | None = None) -> None:
        self.name = "no loudspeaker"
        self.ring = Ring(round(RING_S * DESK_RATE))
        self.played = Ring(round(RING_S * DESK_RATE))
        self.ahead_s = 3 * FRAME_S
        self.underruns = 0
        self._record = record
        self._paced = Paced(self._tick)

    def open(self) -> None:
        self._paced.start()

    def close(self, wait_s: float = 0.0) -> None:
        self._paced.stop()

    def alive(self) -> bool:
        return True

    def _tick(self) -> None:
        frame = self.ring.read(FRAME)
        if len(frame) < FRAME:
            frame = np.zeros(FRAME, np.float32)
        self.played.write(frame)
        if self._record is not None:
            self._record(frame)
