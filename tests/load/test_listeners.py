"""Many listeners of one language in one room, through real sockets, while recognition runs beside them.

TSUYAKU_LOAD_LISTENERS sets how many; with another number than the default the test only reports.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
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


def hear(server: Serve, samples: np.ndarray, count: int) -> dict[str, float]:
    """One room with `count` listeners: what they report, and what they cost."""
    room = server.post("/api/rooms")
    before = memory(server)
    loaded = server.metric("process_cpu_seconds_total")
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
    found["server_cpu_s"] = round(server.metric("process_cpu_seconds_total") - loaded)
    found["load"] = round(os.getloadavg()[0], 1)
    return found


def test_committed_captions_reach_every_listener_in_time(english: Recording, tmp_path: Path) -> None:
    """Nothing is ever lost. The time is promised for a machine of its own: what else runs on it may spoil a try."""
    count = int(os.environ.get("TSUYAKU_LOAD_LISTENERS", LISTENERS))
    speech = np.concatenate(list(MediaFile(english.path)))
    samples = np.tile(speech, -(-SECONDS * SAMPLE_RATE // len(speech)))
    with serve(tmp_path) as server:
        asyncio.run(speak(server, server.post("/api/rooms")["host"], speech))
        tries: list[float] = []
        while not tries or (count == LISTENERS and min(tries) > P99_MS and len(tries) < TRIES):
            found = hear(server, samples, count)
            print(f"\n{found} on {os.cpu_count()} cores")
            assert found["captions"] > 10
            assert found["whole"] == count
            tries.append(found["p99_ms"])
    if count == LISTENERS:
        assert min(tries) <= P99_MS, tries
