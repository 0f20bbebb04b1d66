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
SECONDS = 40


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


def test_committed_captions_reach_every_listener_in_time(english: Recording, tmp_path: Path) -> None:
    count = int(os.environ.get("TSUYAKU_LOAD_LISTENERS", LISTENERS))
    speech = np.concatenate(list(MediaFile(english.path)))
    samples = np.tile(speech, -(-SECONDS * SAMPLE_RATE // len(speech)))
    with serve(tmp_path) as server:
        warm = server.post("/api/rooms")
        asyncio.run(speak(server, warm["host"], speech))
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
        found = json.loads(clients.communicate(timeout=120)[0])
        lag = server.metric("tsuyaku_event_loop_lag_most_seconds")
        work = server.metric("process_cpu_seconds_total") - loaded
    others = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"\n{found}, {each / 1024:.1f} KiB a listener, event loop late by at most {lag * 1000:.0f} ms")
    print(f"{work:.0f} s of processor for the server; load of the machine {others} on {os.cpu_count()} cores")
    assert found["captions"] > 10
    assert found["whole"] == count
    if count == LISTENERS:
        assert found["p99_ms"] <= P99_MS
