"""WhisperLiveKit's own server, in its own environment, fed with PCM over its WebSocket at the pace of the voice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import venv
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path
from websockets.asyncio.client import ClientConnection, connect

from app.interpret import PORTION
from benchmarks.peers.common import SECOND_MS, Job, Writer, job
from models.errors import UnavailableError
from models.protocols import SAMPLE_RATE

VERSION = "0.2.26"
READY_S = 120.0
DRAIN_S = 240.0  # how long after the audio its last words are waited for


def environment() -> Path:
    """Where its virtual environment is, whether made or not."""
    return user_cache_path("tsuyaku") / "peers" / f"whisperlivekit-{VERSION}"


def install() -> Path:
    """Make the environment if there is none; from PyPI, some minutes and 2 GB."""
    folder = environment()
    if not _server(folder).is_file():
        venv.create(folder, with_pip=True)
        wanted = [f"whisperlivekit=={VERSION}", "faster-whisper"]
        subprocess.run([folder / "bin" / "pip", "install", "-q", *wanted], check=True)
    return folder


def _server(folder: Path) -> Path:
    return folder / "bin" / "whisperlivekit-server"


@dataclass(slots=True)
class Progress:
    """Turns its messages, which repeat everything, into what was added.

    A committed word that the server rewrites later stays as it was first shown; `rewritten` counts those.
    """

    committed: int = 0
    shown: tuple[str, ...] = ()
    rewritten: int = 0

    def take(self, message: dict[str, Any]) -> tuple[str, str]:
        """(newly committed, tentative) of a message."""
        lines: list[dict[str, Any]] = message.get("lines") or []
        words = tuple(" ".join(str(line.get("text") or "") for line in lines).split())
        self.rewritten += sum(a != b for a, b in zip(self.shown, words, strict=False))
        added = words[self.committed :]
        self.committed = max(self.committed, len(words))
        self.shown = words
        tail = str(message.get("buffer_transcription") or "").strip()
        return "".join(f" {word}" for word in added), f" {tail}" if tail else ""


def main() -> None:
    given = job()
    folder = environment()
    if not _server(folder).is_file():
        raise SystemExit("WhisperLiveKit is not installed here: tsuyaku bench peers --install")
    with _running(folder, given) as port:
        asyncio.run(_drive(given, port))


@contextlib.contextmanager
def _running(folder: Path, given: Job) -> Generator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [str(_server(folder)), "--model_dir", str(given.model), "--lan", given.language, "--pcm-input"]
    command += ["--backend-policy", "localagreement", "--backend", "faster-whisper"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=sys.stderr, stderr=sys.stderr)
    try:
        yield port
    finally:
        server.terminate()
        server.wait()


async def _drive(given: Job, port: int) -> None:
    connection = await _connected(port)
    try:
        writer = Writer(given.language)
        receiving = asyncio.create_task(_receive(connection, writer, given.seconds))
        await _send(connection, given, writer)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(receiving, DRAIN_S)
        writer.end(given.seconds)
    finally:
        await connection.close()


async def _connected(port: int) -> ClientConnection:
    for _ in range(round(READY_S)):
        try:
            return await connect(f"ws://127.0.0.1:{port}/asr", max_size=None)
        except OSError:
            await asyncio.sleep(1.0)
    raise UnavailableError("peer-silent", f"WhisperLiveKit did not answer within {READY_S:.0f} s.")


async def _send(connection: ClientConnection, given: Job, writer: Writer) -> None:
    pcm = (np.clip(given.audio, -1, 1) * 32767).astype("<i2").tobytes()
    size = PORTION * 2
    for begin in range(0, len(pcm), size):
        due_ms = (begin + size) / 2 / SAMPLE_RATE * SECOND_MS
        await asyncio.sleep(max(0.0, due_ms - writer.now_ms()) / SECOND_MS)
        await connection.send(pcm[begin : begin + size])
    await connection.send(b"")


async def _receive(connection: ClientConnection, writer: Writer, seconds: float) -> None:
    progress = Progress()
    before = ("", "")
    async for data in connection:
        message: dict[str, Any] = json.loads(data)
        if message.get("type") == "ready_to_stop":
            break
        update = progress.take(message)
        if update[0] or update[1] != before[1]:
            writer.words(*update, min(writer.now_ms(), seconds * SECOND_MS))
            before = update
    if progress.rewritten:
        print(f"{progress.rewritten} committed words were rewritten", file=sys.stderr)


if __name__ == "__main__":
    main()
