"""Sound out of this machine's loudspeaker, through PortAudio (`sounddevice`, the extra `play`).

A `Player` is fed from any thread at any pace; the device takes from it in its own time and hears silence where nothing
waits. Nothing here blocks the one who feeds it.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any, cast

import numpy as np
import soxr

from app.alsa import hush
from models.errors import UnavailableError
from models.protocols import Samples

Device = int | str | None
"""index or part of the name; None is the system's default"""


class Queue:
    """Samples that wait to be heard. Written by one thread, read by the device's."""

    def __init__(self) -> None:
        self._waiting: deque[Samples] = deque()
        self._length = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._length

    def put(self, samples: Samples) -> None:
        with self._lock:
            self._waiting.append(samples)
            self._length += len(samples)

    def take(self, count: int) -> Samples:
        """The next `count` samples, with silence after the last that waits."""
        taken = np.zeros(count, np.float32)
        done = 0
        with self._lock:
            while self._waiting and done < count:
                first = self._waiting.popleft()
                used = min(len(first), count - done)
                taken[done : done + used] = first[:used]
                if used < len(first):
                    self._waiting.appendleft(first[used:])
                done += used
            self._length -= done
        return taken

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()
            self._length = 0


class Player:
    """Plays mono sound on one device, in the order in which it is given.

    The constructor raises `UnavailableError`: `extra-missing` without `sounddevice`, `device-missing` without a
    device that plays.
    """

    def __init__(self, device: Device = None) -> None:
        self._queue = Queue()
        sounddevice = library()
        try:
            self.sample_rate = round(float(sounddevice.query_devices(device, "output")["default_samplerate"]))
            self._stream: Any = sounddevice.OutputStream(
                samplerate=self.sample_rate, device=device, channels=1, dtype="float32", callback=self._fill
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UnavailableError(
                "device-missing",
                "There is no sound device that plays here; connect one, or use --speak.",
            ) from error

    @property
    def waiting_s(self) -> float:
        """s of sound that were given and not heard yet"""
        return len(self._queue) / self.sample_rate

    def play(self, pcm: bytes, sample_rate: int) -> None:
        """Append signed 16-bit little-endian mono PCM."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        if sample_rate != self.sample_rate:
            samples = soxr.resample(samples, sample_rate, self.sample_rate).astype(np.float32)
        self._queue.put(samples)

    def clear(self) -> None:
        """Forget what waits."""
        self._queue.clear()

    def drain(self) -> None:
        """Wait until all that was given has been heard."""
        while self._stream.active and len(self._queue):
            time.sleep(0.05)
        time.sleep(float(self._stream.latency))

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Player:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fill(self, out: Any, frames: int, _time: object, _status: object) -> None:
        out[:, 0] = self._queue.take(frames)


def library() -> Any:
    """`sounddevice`. Raises `UnavailableError` `extra-missing` or, without PortAudio, `device-missing`."""
    hush()
    try:
        import sounddevice
    except ImportError as error:
        raise UnavailableError("extra-missing", "Sound devices need an extra: pip install 'tsuyaku[play]'") from error
    except OSError as error:
        raise UnavailableError(
            "device-missing", "The library PortAudio is missing; install it (on Debian: apt install libportaudio2)."
        ) from error
    return cast("Any", sounddevice)


def abandon() -> None:
    """A device hangs: PortAudio, which `sounddevice` ends together with the process, would wait for it for ever."""
    atexit.unregister(library()._exit_handler)


def available(device: Device = None) -> str:
    """Why nothing can be played here, as a sentence; empty where it can."""
    try:
        Player(device).close()
    except UnavailableError as error:
        return error.message
    return ""
