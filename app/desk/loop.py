"""The sound loop: one thread that carries frames between devices, echo canceller and conversation.

    microphone ─▶ ring ─▶ canceller ─▶ 16 kHz ─▶ Ear.deliver        every 10 ms, on the loop's thread
    loudspeaker ◀─ ring ◀─ Player                                   `Mouth` keeps a few frames ahead
                     └──▶ what was really played ─▶ canceller

A device that fails is closed, said, and tried again until it is back; meanwhile its ear hears silence, so that the
clock of the conversation goes on and what was said is finished. Another thread asks after the devices, as a sound
server may take its time to answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from app.desk.echo import Canceller, HalfDuplex, Passing
from app.desk.health import Health, Notice
from app.desk.player import Player
from app.desk.ring import Ring
from app.desk.sound import DESK_RATE, FRAME, FRAME_S, SILENCE, to_engine
from app.desk.stir import Stir
from models.errors import TsuyakuError
from models.protocols import Samples

TICK_S = 0.004
BLOCK_FRAMES = 4  # handed on at once
RING_S = 3.0  # that this loop may be kept from its work
GONE_S = 1.0  # without a sample: the device is gone
RETRY_S = 0.5
CLOSING_S = 2.0
DRIFT_S = 0.25  # by which the two sides' clocks may drift apart before the reference is cut
LATE_S = 0.15  # that a loudspeaker may be late in telling what it played; later, it has faltered
SETTLED_S = 0.5  # in which one that was only late has told all


class InputPort(Protocol):
    """A microphone: one ring per channel that is listened to, at `DESK_RATE`."""

    name: str
    rings: list[Ring]
    latency_s: float
    """from the sound to the ring"""

    def open(self) -> None:
        """Raises `TsuyakuError`."""
        ...

    def close(self, wait_s: float = 0.0) -> None:
        """At once; waits at most `wait_s` until the device has let go."""
        ...

    def alive(self) -> bool: ...


class OutputPort(Protocol):
    """A loudspeaker: takes what is in `ring`, and puts what it played into `played`."""

    name: str
    ring: Ring
    played: Ring
    ahead_s: float
    """how much must wait in the ring so that nothing is torn"""
    underruns: int
    """times that the device had nothing to play: all that follows sounds later than it would have"""

    def open(self) -> None: ...

    def close(self, wait_s: float = 0.0) -> None: ...

    def alive(self) -> bool: ...


class Mouth:
    """A loudspeaker with what it speaks."""

    def __init__(self, port: OutputPort) -> None:
        self.port = port
        self.player = Player()
        self._late = True
        self._underruns = 0
        self._moved = False
        self._silent = 0  # frames that it was, and could not tell
        self._waited, self._settled = 0, 0.0

    def fill(self) -> None:
        while len(self.port.ring) < self.port.ahead_s * DESK_RATE:
            self.port.ring.write(self.player.frame())

    def told(self, heard: int) -> bool:
        """Whether it is known what sounded next. `heard` samples wait on the other side. Where it is not, the device
        may only be late in telling; one that stays late has played nothing meanwhile."""
        if self._silent:
            return True
        late = len(self.port.played) < FRAME and (self._late or heard > LATE_S * DESK_RATE)
        self._moved = self._moved or late > self._late
        self._late = late
        return late or len(self.port.played) >= FRAME

    def played(self, heard: int) -> Samples:
        """The next frame that sounded; silence where the loudspeaker gave none. As many samples more as were `heard`
        are no drift, only this loop that was kept from its work."""
        if self._silent:
            self._silent -= 1
            return SILENCE
        if len(self.port.played) - heard > DRIFT_S * DESK_RATE:
            self.port.played.read(len(self.port.played) - heard)
            self._moved = True
        frame = self.port.played.read(FRAME)
        return frame if len(frame) == FRAME else np.concatenate([frame, SILENCE[len(frame) :]])

    def settle(self, heard: int, now: float) -> None:
        """`heard` samples still wait, at `now` (monotonic s), for what some loudspeaker has not told. As many as wait
        for this one all the time wait for what was never played: it was silent for so long, and goes on as if not."""
        self._waited = min(self._waited, max(0, heard - len(self.port.played)))
        if now - self._settled > SETTLED_S:
            self._silent += self._waited // FRAME
            self._moved = self._moved or self._silent > 0
            self._waited, self._settled = heard, now

    def moved(self) -> bool:
        """Whether, since the last call, echoes began to come sooner or later than before."""
        moved = self._moved or self.port.underruns > self._underruns
        self._moved, self._underruns = False, self.port.underruns
        return moved


class Ear:
    """One channel of a microphone, freed of what `mouth` plays. `deliver` takes 16 kHz on the loop's thread."""

    def __init__(
        self,
        port: InputPort,
        channel: int,
        deliver: Callable[[Samples], None],
        *,
        canceller: Canceller | None = None,
        mouth: Mouth | None = None,
    ) -> None:
        self.port = port
        self.mouth = mouth
        self.canceller = canceller or Passing()
        self.health = Health(port.name)
        self.stir = Stir()
        self.open = True
        """closed, it hears silence"""
        self.cpu_s = 0.0
        self._ring = port.rings[channel]
        self._lost = 0
        self._deliver = deliver
        self._convert = to_engine()
        self._block: list[Samples] = []

    @property
    def latency_s(self) -> float:
        return self.port.latency_s + BLOCK_FRAMES * FRAME_S / 2

    def hear(self, played: Samples) -> list[Notice] | None:
        """One frame, if there is one."""
        if len(self._ring) < FRAME:
            return None
        self._make_up()
        frame = self._ring.read(FRAME)
        notices = self.health.hear(frame)
        self.stir.hear(frame, played, suspected=self.canceller.suspects)
        try:
            left = self.canceller.process(frame, played)
        except Exception as error:
            self.canceller = HalfDuplex()
            left = self.canceller.process(frame, played)
            failed = f"Echo cancellation failed ({type(error).__name__})"
            text = f"{failed}: {self.port.name} is closed while the voice speaks."
            notices = [*notices, Notice("echo-failed", text)]
        self._take(left)
        return notices

    def _make_up(self) -> None:
        """What was lost is silence: the clock of the conversation counts samples."""
        lost = (self._ring.overruns - self._lost) // FRAME
        if lost:
            self._lost += lost * FRAME
            self.miss(lost)

    def miss(self, frames: int) -> None:
        """The device is gone for the time of `frames`."""
        for _ in range(frames):
            self._take(SILENCE)

    @property
    def waiting(self) -> int:
        """Samples."""
        return len(self._ring)

    def _take(self, samples: Samples) -> None:
        self._block.append(samples if self.open else np.zeros_like(samples))
        if sum(map(len, self._block)) >= BLOCK_FRAMES * FRAME:
            self._deliver(self._convert.process(np.concatenate(self._block)))
            self._block.clear()


class SoundLoop:
    """Runs ears and mouths; `notify` is called on the threads of the loop."""

    def __init__(self, ears: list[Ear], mouths: list[Mouth], notify: Callable[[Notice], None]) -> None:
        self.ears, self.mouths = ears, mouths
        self.cpu_s = 0.0
        self._notify = notify
        self._failed: Callable[[Exception], None] = lambda error: None
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
            for name, work in (("sound", self._carry), ("devices", self._watch))
        ]
        ports: list[InputPort | OutputPort] = [*{id(e.port): e.port for e in ears}.values()]
        ports += [mouth.port for mouth in mouths]
        self._ports = {id(port): _Watched(port) for port in ports}
        self._overruns = 0

    @property
    def overruns(self) -> int:
        """Samples of microphones that came too fast and were lost."""
        return sum(ring.overruns for ear in self.ears for ring in ear.port.rings)

    def start(self, failed: Callable[[Exception], None]) -> None:
        """Open all devices. Raises the `TsuyakuError` of the first that cannot be opened. `failed` is called on a
        thread of the loop that ends of itself: nobody is heard any more."""
        self._failed = failed
        for watched in self._ports.values():
            watched.port.open()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(CLOSING_S)
        for watched in self._ports.values():
            watched.port.close(CLOSING_S)  # PortAudio is torn down when the process ends, with no stream left

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._failed(error)

    def _carry(self) -> None:
        while not self._stop.wait(TICK_S):
            begin = time.thread_time()
            for mouth in self.mouths:
                mouth.fill()
            self._hear()
            self._tell_overruns()
            self.cpu_s += time.thread_time() - begin

    def _hear(self) -> None:
        """As many frames as every ear has: the reference is shared between them."""
        for ear in self.ears:
            self._silence(ear)
        while any(ear.waiting >= FRAME for ear in self.ears):
            heard = max(ear.waiting for ear in self.ears)
            if not all(mouth.told(heard) for mouth in self.mouths):
                break
            played = {id(mouth): mouth.played(heard) for mouth in self.mouths}
            moved = {id(mouth) for mouth in self.mouths if mouth.moved()}
            for ear in self.ears:
                if id(ear.mouth) in moved:
                    ear.canceller.moved()
                reference = played[id(ear.mouth)] if ear.mouth is not None else SILENCE
                for notice in ear.hear(reference) or ():
                    self._notify(notice)
        for mouth in self.mouths:
            mouth.settle(max(ear.waiting for ear in self.ears), time.monotonic())

    def _silence(self, ear: Ear) -> None:
        watched = self._ports[id(ear.port)]
        if watched.gone_since is not None:
            due = int((time.monotonic() - watched.silent_until) / FRAME_S)
            if due > 0:
                ear.miss(due)
                if ear is [e for e in self.ears if e.port is ear.port][-1]:
                    watched.silent_until += due * FRAME_S

    def _tell_overruns(self) -> None:
        if self.overruns > self._overruns:
            self._overruns = self.overruns
            self._notify(Notice("overrun", f"Sound came faster than it could be taken: {self._overruns} samples lost."))

    def _watch(self) -> None:
        while not self._stop.wait(RETRY_S):
            for watched in self._ports.values():
                watched.look(self._notify)


class _Watched:
    """A device and whether it is there: looked at on one thread, read on another."""

    def __init__(self, port: InputPort | OutputPort) -> None:
        self.port = port
        self.gone_since: float | None = None
        self.silent_until = 0.0
        self._said = ""

    def look(self, notify: Callable[[Notice], None]) -> None:
        if self.gone_since is None:
            if not self.port.alive():
                self.silent_until = self.gone_since = time.monotonic()
                self.port.close()
                self._said = ""
                notify(Notice("device-gone", f"{self.port.name} is gone; waiting until it is back."))
            return
        try:
            self.port.open()
        except TsuyakuError as error:
            if error.code not in ("device-missing", self._said):
                self._said = error.code
                notify(Notice(error.code, error.message))
            return
        self.gone_since = None
        notify(Notice("device-back", f"{self.port.name} is back."))
