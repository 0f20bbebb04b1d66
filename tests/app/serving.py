"""A server on a loopback port, with engines made for tests, and clients that speak the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import websockets

from app.access import Limits
from app.cli.serve import Draining, configuration, listen
from app.frames import Uplink, Voice
from app.interpreter import Interpreter
from app.presets import PRESETS
from app.protocol import Resume, Wanted
from app.server import Server, ServerOptions
from models.protocols import SAMPLE_RATE, Samples
from tests.pipeline.test_session import Rig
from tests.pipeline.test_stages import sound

FRAME = SAMPLE_RATE // 10
SPEECH = np.concatenate([sound(0.5, False), sound(3, True), sound(2, False), sound(2, True), sound(1.5, False)])


@dataclass
class Client:
    """One WebSocket; `texts` and `voices` are what it got."""

    socket: websockets.ClientConnection
    texts: list[dict[str, Any]] = field(default_factory=list)
    voices: list[Voice] = field(default_factory=list)

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def next(self) -> dict[str, Any]:
        """The next text frame."""
        while isinstance(frame := await asyncio.wait_for(self.socket.recv(), 10), bytes):
            self.voices.append(Voice.decode(frame))
        self.texts.append(json.loads(frame))
        return self.texts[-1]

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Read on to the first message of a kind with these fields."""
        while True:
            message = await self.next()
            if message["type"] == kind and all(message[name] == value for name, value in fields.items()):
                return message

    async def closed(self) -> int:
        """Read to the end; the close code."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self.next()
        return self.socket.close_code or 0

    def log(self) -> list[tuple[int, str]]:
        """Committed messages: sequence and type."""
        return [(m["sequence"], m["type"]) for m in self.texts if "sequence" in m and m["type"] != "welcome"]

    def text(self, kind: str = "caption", language: str = "pt") -> str:
        return "".join(m["text"] for m in self.texts if m["type"] == kind and m["language"] == language)

    async def start(self, key: str = "key-of-the-channel", language: str = "en", **more: Any) -> dict[str, Any]:
        await self.send("start", key=key, language=language, **more)
        return await self.until("started")

    async def speak(self, channel: int, samples: Samples, position: int = 0) -> None:
        for number, at in enumerate(range(0, len(samples), FRAME)):
            frame = Uplink(channel, number, position + at, samples[at : at + FRAME])
            await self.socket.send(frame.encode())


@dataclass
class Served:
    server: Server
    port: int
    process: Draining
    """uvicorn's part; it does not run, but for what a test calls of it"""
    http: httpx2.AsyncClient

    async def room(self, **asked: Any) -> dict[str, str]:
        answer = await self.http.post("/api/rooms", json=asked)
        assert answer.status_code == 201, answer.text
        return answer.json()

    @contextlib.asynccontextmanager
    async def open(self, **headers: str) -> AsyncGenerator[Client]:
        url = f"ws://127.0.0.1:{self.port}/ws"
        async with websockets.connect(url, additional_headers=headers, max_size=None, max_queue=None) as socket:
            yield Client(socket)

    @contextlib.asynccontextmanager
    async def connect(
        self,
        token: str,
        captions: Sequence[str] = (),
        voices: Sequence[str] = (),
        resume: Resume | None = None,
        **wanted: Any,
    ) -> AsyncGenerator[Client]:
        """A client that has been welcomed."""
        async with self.open() as client:
            follow = Wanted(captions=tuple(captions), voices=tuple(voices), **wanted)
            await client.send("hello", **hello(token, follow, resume))
            await client.until("welcome")
            yield client

    async def gone_to(self, count: int) -> None:
        """Until only `count` members are left in all rooms."""
        async with asyncio.timeout(5):
            while self.server.rooms.gauges()["connections"] > count:
                await asyncio.sleep(0.005)


def hello(token: str, wanted: Wanted | None = None, resume: Resume | None = None) -> dict[str, Any]:
    follow = wanted or Wanted()
    fields = {name: getattr(follow, name) for name in follow.__struct_fields__}
    more = {"resume": {"epoch": resume.epoch, "sequence": resume.sequence}} if resume else {}
    return {"version": 1, "token": token, "wanted": fields, **more}


def interpreter(rig: Rig | None = None) -> Interpreter:
    pairs = {"en": ("es", "pt"), "pt": ("en",)}
    return Interpreter((rig or Rig()).engines(), replace(PRESETS["balanced"]), pairs)


@contextlib.asynccontextmanager
async def serving(
    limits: Limits | None = None,
    options: ServerOptions | None = None,
    sample: Path = Path("there-is-none.wav"),
    interpret: Interpreter | None = None,
) -> AsyncGenerator[Served]:
    options = replace(options or ServerOptions(), limits=limits or Limits(), web=Path(__file__).parent)
    server = Server(interpret or interpreter(), lambda: sample, options)
    config = configuration(server)
    config.load()
    process = Draining(config, server)
    loop = asyncio.get_running_loop()

    def protocol() -> asyncio.Protocol:
        return config.http_protocol_class(config=config, server_state=process.server_state, app_state={}, _loop=loop)

    listening = await loop.create_server(protocol, sock=listen("127.0.0.1", 0))
    port = listening.sockets[0].getsockname()[1]
    process.servers = [listening]
    async with (
        server.lifespan(),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as http,
    ):
        async with asyncio.timeout(10):
            while not server.ready:
                await asyncio.sleep(0)
        try:
            yield Served(server, port, process, http)
        finally:
            listening.close()
            for connection in list(process.server_state.connections):
                connection.transport.abort()
            await asyncio.gather(*process.server_state.tasks, return_exceptions=True)
