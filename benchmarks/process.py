"""A process measured while it writes a log of events: CPU and memory of it and all that it starts."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.extra import require
from benchmarks.log import Log, parse
from models.errors import UnavailableError

SAMPLE_EVERY_S = 0.1
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Usage:
    """A sample: since the process started, in s and MB (10⁶ bytes)."""

    at_s: float
    cpu_s: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Measured:
    log: Log
    usage: list[Usage]
    audio_started_s: float
    """when the recording began, since the process started"""

    def figures(self, seconds: float) -> dict[str, float]:
        """`cpu` of the whole process and `cpu_session` from the first sample on, in s per s of audio; memory in MB."""
        if not self.usage:
            return {}
        cpu = self.usage[-1].cpu_s
        before = max((u.cpu_s for u in self.usage if u.at_s <= self.audio_started_s), default=0.0)
        during = [u.memory_mb for u in self.usage if u.at_s >= self.audio_started_s] or [self.usage[-1].memory_mb]
        return {
            "cpu": cpu / seconds,
            "cpu_session": (cpu - before) / seconds,
            "startup": self.audio_started_s,
            "memory": max(u.memory_mb for u in self.usage),
            "memory_growth": _growth(during),
        }


def _growth(memory: Sequence[float]) -> float:
    """Highest of the last tenth over the highest of the second tenth, minus 1. The first tenth still loads."""
    tenth = max(1, len(memory) // 10)
    return max(memory[-tenth:]) / max(memory[tenth : 2 * tenth] or memory) - 1


@dataclass(slots=True)
class _Sampler:
    """Watches a process tree from its own thread until told to stop."""

    pid: int
    children_only: bool
    usage: list[Usage] = field(default_factory=list[Usage])
    _ended: dict[int, float] = field(default_factory=dict[int, float])
    _stop: threading.Event = field(default_factory=threading.Event)
    _begin: float = field(default_factory=time.monotonic)

    def watch(self) -> None:
        psutil = require("psutil")
        while not self._stop.wait(SAMPLE_EVERY_S):
            try:
                self._sample(psutil)
            except psutil.Error:
                continue  # a process ended between listing and reading; what it used is in `_ended`

    def stop(self) -> None:
        self._stop.set()

    def _sample(self, psutil: Any) -> None:
        root = psutil.Process(self.pid)
        tree = [*([] if self.children_only else [root]), *root.children(recursive=True)]
        memory = 0.0
        for process in tree:
            times = process.cpu_times()
            self._ended[process.pid] = times.user + times.system
            memory += process.memory_info().rss / 1e6
        if not memory:
            return  # ended, and not reaped yet
        self.usage.append(Usage(time.monotonic() - self._begin, sum(self._ended.values()), memory))


def measure(command: Sequence[str], path: Path, *, limit_s: float, children_only: bool = False) -> Measured:
    """Run `command`, keep the events it writes to standard output in `path`, and measure it.

    Raises `UnavailableError` where it fails or takes longer than `limit_s`.
    """
    require("psutil")
    path.parent.mkdir(parents=True, exist_ok=True)
    errors = path.with_suffix(".stderr")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    begin = time.monotonic()
    with errors.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=environment)
    sampler = _Sampler(process.pid, children_only)
    watching = threading.Thread(target=sampler.watch, daemon=True)
    watching.start()
    late = threading.Event()

    def end() -> None:
        late.set()
        process.terminate()

    overdue = threading.Timer(limit_s, end)
    overdue.start()
    try:
        assert process.stdout is not None
        arrived = _copy(process.stdout, path, begin)
        status = process.wait()
    finally:
        overdue.cancel()
        sampler.stop()
        watching.join()
        if process.poll() is None:
            process.terminate()
            process.wait()
    name = Path(command[0]).name
    if late.is_set():
        raise UnavailableError("benchmark-failed", f"{name} took longer than {limit_s:.0f} s and was ended.")
    if status:
        tail = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise UnavailableError("benchmark-failed", f"{name} ended with {status}: {' '.join(tail)}")
    log = parse(path.read_bytes().splitlines())
    first = log.events[0].emitted_ms / 1000 if log.events else 0.0
    return Measured(log, sampler.usage, max(0.0, arrived - first))


def _copy(stream: IO[bytes], path: Path, begin: float) -> float:
    """Copy to the end; returns when the first line came, in s."""
    arrived = 0.0
    with path.open("wb") as out:
        for line in stream:
            arrived = arrived or time.monotonic() - begin
            out.write(line)
    return arrived
