"""A room made of a PulseAudio server of its own: people, a loudspeaker, its echo, and the microphone that hears both.

people ──────────────────────▶ room ─▶ mic          (unplugged: `mic` is gone)
speaker ──delay, attenuation──▶ room
"""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pulsectl

from models.protocols import SAMPLE_RATE, Samples

LOUD_DB = -50.0
HUM_DB = -70.0
HOP_S = 0.01
STAYS = "source_dont_move=true sink_dont_move=true adjust_time=0"  # no resampling to chase a latency: a room has none


def dies_with_me() -> None:
    """For a child before it runs: whatever ends this process ends it, too (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def wait_until(true: Callable[[], object], seconds: float, what: str = "it") -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


class Room:
    """Start it, and give `environment` to whoever is in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.state = folder / "state"
        runtime = folder / "pulse"
        runtime.mkdir(parents=True, mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        own = {"XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": str(runtime), "XDG_STATE_HOME": str(self.state)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PULSE_")}
        self.environment = {**kept, **own, "PULSE_SERVER": f"unix:{runtime / 'native'}"}
        self._socket = f"unix:{runtime / 'native'}"
        self._server: subprocess.Popen[bytes] | None = None
        self._hum: subprocess.Popen[bytes] | None = None
        self._echo = self._mic = self._speaker = -1

    def start(self, *, call: bool = True) -> None:
        """`call`: with the virtual devices of one."""
        assert shutil.which("pulseaudio"), "PulseAudio is missing: make test-desk installs it"
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=no"]
        command += [f"--log-target=file:{self._folder / 'log'}", "--disallow-exit"]
        command += ["-L", f"module-native-protocol-unix auth-anonymous=1 socket={self._socket[5:]}"]
        for sink in ("people", "room"):
            command += ["-L", f"module-null-sink sink_name={sink} rate=48000 channels=1"]
        self._server = subprocess.Popen(command, env=self.environment, preexec_fn=dies_with_me)
        wait_until(lambda: self._answers(), 30, "PulseAudio")
        with self.pulse() as pulse:
            pulse.module_load("module-loopback", f"source=people.monitor sink=room latency_msec=20 {STAYS}")
            for sink in ("tsuyaku_from_call", "tsuyaku_to_call") if call else ():
                pulse.module_load("module-null-sink", f"sink_name={sink} rate=48000")
        self.plug_speaker()
        self.plug()
        self._breathe()

    def stop(self) -> None:
        for process in (self._hum, self._server):
            if process is not None:
                process.kill()
                process.wait(10)

    def freeze(self) -> None:
        """The sound server answers nobody and takes no sound."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def _breathe(self) -> None:
        """No room is without any sound: noise 70 dB below full scale, as long as the server runs."""
        command = [
            "pacat",
            "--playback",
            "--raw",
            "--format=float32le",
            "--rate=16000",
            "--channels=1",
            "--device=room",
        ]
        hum = subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=dies_with_me,
        )
        self._hum = hum
        noise = np.random.default_rng(0).normal(0, 10 ** (HUM_DB / 20), SAMPLE_RATE).astype("<f4").tobytes()

        def feed() -> None:
            assert hum.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                while True:
                    hum.stdin.write(noise)

        threading.Thread(target=feed, daemon=True).start()

    def pulse(self) -> Any:
        return pulsectl.Pulse("test", server=self._socket)

    def _answers(self) -> bool:
        try:
            with self.pulse() as pulse:
                return any(sink.name == "room" for sink in pulse.sink_list())
        except pulsectl.PulseError:
            return False

    def plug(self) -> None:
        """The microphone is there."""
        with self.pulse() as pulse:
            self._mic = pulse.module_load("module-remap-source", "master=room.monitor source_name=mic")
            pulse.source_default_set("mic")

    def unplug(self) -> None:
        with self.pulse() as pulse:
            pulse.module_unload(self._mic)

    def plug_speaker(self) -> None:
        with self.pulse() as pulse:
            self._speaker = pulse.module_load("module-null-sink", "sink_name=speaker rate=48000 channels=1")
            pulse.sink_default_set("speaker")

    def unplug_speaker(self) -> None:
        with self.pulse() as pulse:
            pulse.module_unload(self._speaker)

    def mute(self, muted: bool) -> None:
        """The microphone gives no sound at all."""
        with self.pulse() as pulse:
            pulse.mute(pulse.get_source_by_name("mic"), muted)

    def echo(self, delay_ms: int, level_db: float) -> None:
        """What the loudspeaker plays comes back into the room, so late and so loud."""
        self.still()
        with self.pulse() as pulse:
            self._echo = pulse.module_load(
                "module-loopback", f"source=speaker.monitor sink=room latency_msec={delay_ms} {STAYS}"
            )
            fed = next(entry for entry in pulse.sink_input_list() if entry.owner_module == self._echo)
            pulse.volume_set_all_chans(fed, 10 ** (level_db / 60))  # PulseAudio's volume is cubic

    def still(self) -> None:
        """No echo."""
        if self._echo >= 0:
            with self.pulse() as pulse:
                pulse.module_unload(self._echo)
            self._echo = -1

    def say(self, samples: Samples, sink: str = "people") -> None:
        """Returns when all of it was played. 16 kHz; a column for each channel where there are several."""
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        command = ["pacat", "--playback", "--raw", "--format=float32le", f"--rate={SAMPLE_RATE}"]
        command += [f"--channels={channels}", f"--device={sink}", "--latency-msec=40"]
        subprocess.run(command, env=self.environment, input=samples.astype("<f4").tobytes(), check=True, timeout=120)


class Listener:
    """Records what one sink plays, on the clock of `time.monotonic`."""

    def __init__(self, room: Room, source: str) -> None:
        command = ["parec", "--raw", "--format=s16le", f"--rate={SAMPLE_RATE}", "--channels=1", f"--device={source}"]
        self._process = subprocess.Popen(
            [*command, "--latency-msec=20"],
            env=room.environment,
            stdout=subprocess.PIPE,
            bufsize=0,
            preexec_fn=dies_with_me,
        )
        self._levels: list[float] = []
        self._times: list[float] = []
        self._sound: list[np.ndarray] = []
        self._kept_s = 0.0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._thread.join(10)

    def _read(self) -> None:
        hop = round(HOP_S * SAMPLE_RATE)
        rest = b""
        assert self._process.stdout is not None
        while data := self._process.stdout.read(4096):
            now = time.monotonic()
            rest += data
            count = len(rest) // (2 * hop)
            block = np.frombuffer(rest[: count * 2 * hop], "<i2").astype(np.float32).reshape(count, hop) / 32768
            rest = rest[count * 2 * hop :]
            self._times.extend(now - (count - np.arange(count)) * HOP_S)
            power = np.mean(np.square(block), axis=1)
            self._levels.extend(10 * np.log10(np.maximum(power, 1e-10)))
            if self._kept_s:
                self._sound.append(block.reshape(-1))

    def keep(self) -> None:
        """From now on the sound itself is kept."""
        self._sound, self._kept_s = [], 1.0

    def kept(self) -> Samples:
        self._kept_s = 0.0
        return np.concatenate(self._sound) if self._sound else np.zeros(0, np.float32)

    def loud(self, since: float, until: float = float("inf")) -> np.ndarray:
        """Monotonic seconds of the hops in which something sounded."""
        count = len(self._levels)
        first = bisect.bisect_left(self._times, since, hi=count)
        at, levels = np.array(self._times[first:count]), np.array(self._levels[first:count])
        return at[(levels > LOUD_DB) & (at < until)]

    def silent_for(self, since: float) -> float:
        """s since the last sound, of those since `since`."""
        return time.monotonic() - max([since, *self.loud(since)[-1:]])
