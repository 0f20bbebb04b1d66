"""Many listeners of one language in one room, through real sockets, while recognition runs beside them.

TSUYAKU_LOAD_LISTENERS sets how many; with another number than the default the test only reports.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from app.media import MediaFile
from models.protocols import SAMPLE_RATE
from tests.conftest import ROOT, Recording
from tests.real.serving import Serve, serve
from tests.real.test_serve import Client

pytestmark = pytest.mark.load

LISTENERS = 1000
P99_MS = 250
SECONDS = 25
TRIES = 5
MOST_OTHERS = 0.25  # of the machine's time, of other programs


async def speak(server: Serve, token: str, samples: np.ndarray) -> None:
    host = Client(server, token, captions=[], source=False)
    async with host:
        await host.say("start", key="a-key-of-the-test", language="en")
        channel = (await host.got("started"))["channel"]
        await host.speak(samples, channel, len(samples))
        await host.say("stop", channel=channel)
        await host.got("closed")
        await host.say("close")
        await host.got("ended")


def memory(server: Serve) -> float:
    return server.metric("process_resident_memory_bytes")


def settled_memory(server: Serve) -> float:
    """Once voices that load in the background have done so."""
    seen, end = memory(server), time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(2)
        now = memory(server)
        if abs(now - seen) < 1 << 20:
            return now
        seen = now
    return seen


def machine_s() -> float:
    """Time that all processors have worked or were taken away."""
    user, nice, system, _idle, _wait, *rest = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def own_s(server: Serve) -> float:
    """Time that the server, the listeners and this test have worked."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return server.metric("process_cpu_seconds_total") + children.ru_utime + children.ru_stime + time.process_time()


def hear(server: Serve, samples: np.ndarray, count: int) -> dict[str, float]:
    """One room with `count` listeners: what they report, and what they cost."""
    room = server.post("/api/rooms")
    before = settled_memory(server)
    begun, machine, own = time.monotonic(), machine_s(), own_s(server)
    clients = subprocess.Popen(
        [sys.executable, "-m", "tests.load.listeners", str(server.port), room["listener"], str(count)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert clients.stdout
    assert clients.stdout.readline() == b"ready\n"
    each = (memory(server) - before) / count
    asyncio.run(speak(server, room["host"], samples))
    found: dict[str, float] = json.loads(clients.communicate(timeout=120)[0])
    found["kib_a_listener"] = round(each / 1024, 1)
    found["loop_late_ms"] = round(server.metric("tsuyaku_event_loop_lag_most_seconds") * 1000)
    capacity = (time.monotonic() - begun) * (os.cpu_count() or 1)
    found["others"] = round((machine_s() - machine - own_s(server) + own) / capacity, 2)
    return found


def test_committed_captions_reach_every_listener_in_time(english: Recording, tmp_path: Path) -> None:
    """Nothing is ever lost. The time is promised for a machine of its own: a try in which others took more than their
    share of it is not judged."""
    count = int(os.environ.get("TSUYAKU_LOAD_LISTENERS", LISTENERS))
    speech = np.concatenate(list(MediaFile(english.path)))
    samples = np.tile(speech, -(-SECONDS * SAMPLE_RATE // len(speech)))
    judged: list[float] = []
    with serve(tmp_path) as server:
        asyncio.run(speak(server, server.post("/api/rooms")["host"], speech))
        for _ in range(TRIES if count == LISTENERS else 1):
            found = hear(server, samples, count)
            print(f"\n{found} on {os.cpu_count()} cores")
            assert found["captions"] > 10
            assert found["whole"] == count
            if found["others"] <= MOST_OTHERS or found["p99_ms"] <= P99_MS:
                judged.append(found["p99_ms"])
            if judged and min(judged) <= P99_MS:
                break
    if count != LISTENERS:
        return
    if not judged:
        pytest.skip(f"nothing was lost; in every try others took more than {MOST_OTHERS:.0%} of the machine")
    assert min(judged) <= P99_MS, judged
