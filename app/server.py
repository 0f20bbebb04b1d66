"""The web server: pages, a little HTTP, one WebSocket a client. docs/protocol.md describes what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import unquote

import msgspec
import segno
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from app import protocol
from app.access import Limits, origin_allowed
from app.briefing import MAX_CHARACTERS, BriefingRequest, of_room
from app.connection import Connection
from app.demo import DemoRoom
from app.download import download
from app.interpreter import SAMPLE_LANGUAGE, Interpreter
from app.metrics import Metrics, Present
from app.pages import WEB, Guard, Pages
from app.protocol import CloseCode, Role
from app.room import RoomOptions
from app.rooms import Busy, Entry, Rooms
from models.errors import InputError
from models.scheduler import loads

MAX_BODY_BYTES = 4096
MAX_ROOM_BYTES = 4 * MAX_CHARACTERS + MAX_BODY_BYTES  # a room's glossary in any script
MAX_QR_CHARACTERS = 600
WARM_WITHIN_S = 60.0  # a click on the demonstration waits so long for a server that has just started
CODE_HEADER = "room-code"  # of a request for a transcript, percent-encoded: it is in no address
CUT_HEADER = "transcript-cut"  # of a transcript whose beginning is no longer kept
RETRY_AFTER_S = 5  # that who is refused for now does well to wait
RETENTION_S = (0, 3600, 24 * 3600)
LOCAL = ("127.0.0.1", "::1", "testclient")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    hosts: tuple[str, ...] = ()
    """names under which the server may be asked, besides addresses, localhost and .local"""
    origins: tuple[str, ...] = ()
    """of other pages that may connect"""
    address: str = ""
    """under which other machines reach the pages, where that is known; without a slash at its end"""
    metrics_to_all: bool = False
    web: Path = WEB
    limits: Limits = field(default_factory=Limits)


Body = TypeVar("Body", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True):
    """A request without fields."""


class RoomRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(max_length=32)] = ""
    keep_s: Annotated[int, msgspec.Meta(ge=0, le=RETENTION_S[-1])] = 0
    briefing: BriefingRequest | None = None


class QrRequest(msgspec.Struct, frozen=True):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_QR_CHARACTERS)]


class Refusal(Exception):
    """An HTTP answer with a code and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Server:
    """`app` is the ASGI application; `drain` ends all rooms once what was said is worked through.

    `sample` returns the path of the recording for the demonstration; it may take a while the first time.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        sample: Callable[[], Path],
        options: ServerOptions | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options or ServerOptions()
        self.interpreter = interpreter
        self.metrics = Metrics()
        self.rooms = Rooms(interpreter.open_session, self.metrics, self.options.limits, now)
        for collector in (Present(self.metrics.drops, self.rooms.gauges, loads), *interpreter.collectors):
            self.metrics.registry.register(collector)
        self.ready = False
        self._sample = sample
        self._sample_path: Path | None = None
        self._warmed = asyncio.Event()
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = Guard(self._application(), self.options.hosts)

    def _application(self) -> Starlette:
        return Starlette(
            routes=[
                WebSocketRoute("/ws", self._socket),
                Route("/api/info", self._info),
                Route("/api/rooms", self._create, methods=["POST"]),
                Route("/api/demo", self._demo, methods=["POST"]),
                Route("/api/sample.wav", self._sample_file),
                Route("/api/qr", self._qr, methods=["POST"]),
                Route("/api/transcript", self._transcript),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
                Mount("/", GZipMiddleware(Pages(self.options.web), minimum_size=1000)),
            ],
            exception_handlers={Refusal: _refused, HTTPException: _http_error},
            lifespan=self.lifespan,
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette | None = None) -> AsyncGenerator[None]:
        tasks = [asyncio.create_task(work) for work in (self._warm(), self.rooms.run(), self.metrics.watch_loop())]
        try:
            yield
        finally:
            for task in (*tasks, *self._tasks):
                task.cancel()
            await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)

    async def _warm(self) -> None:
        self._sample_path = await asyncio.to_thread(self._sample)
        await self.interpreter.warm()
        self.ready = True
        self._warmed.set()
        await self.interpreter.warm_the_rest()

    async def drain(self) -> None:
        self.ready = False
        await self.rooms.drain()

    # sockets

    async def _socket(self, socket: WebSocket) -> None:
        address = _address(socket)
        headers = socket.headers
        scheme = socket.url.scheme
        if not origin_allowed(headers.get("origin"), headers.get("host", ""), scheme, self.options.origins):
            await socket.close(CloseCode.FORBIDDEN)
            return
        await socket.accept()
        if not self.rooms.addresses.connect(address):
            self.metrics.refused.labels(str(int(CloseCode.BUSY))).inc()
            await socket.close(CloseCode.BUSY)
            return
        try:
            await Connection(socket, self.rooms, self.metrics, self.interpreter.languages).run()
        finally:
            self.rooms.addresses.disconnect(address)

    # rooms

    async def _info(self, request: Request) -> Response:
        languages = self.interpreter.languages
        return JSONResponse(
            {
                "version": protocol.VERSION,
                "address": self.options.address,
                "languages": languages,
                "voices": languages,
                "sources": list(self.interpreter.pairs),
                "pairs": self.interpreter.pairs,
                "alone": self.interpreter.alone,
                "demo": {"language": SAMPLE_LANGUAGE},
                "retention": RETENTION_S,
                "ready": self.ready,
                "busy": self.rooms.busy,
            }
        )

    async def _create(self, request: Request) -> Response:
        asked = await self._body(request, RoomRequest, MAX_ROOM_BYTES)
        try:
            briefing = of_room(asked.briefing, self.interpreter.briefing) if asked.briefing else None
        except InputError as error:
            raise Refusal(400, error.code, error.message) from error
        entry = self._new_room(request, RoomOptions(code=asked.code, keep_s=asked.keep_s, briefing=briefing))
        return JSONResponse({**entry.tokens, "keep_s": asked.keep_s}, 201)

    async def _demo(self, request: Request) -> Response:
        await self._body(request, Nothing)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._warmed.wait(), WARM_WITHIN_S)
        if self._sample_path is None or not self.ready:
            raise Refusal(503, "not-ready", "The server is still loading its models; try again in a moment.")
        if self.rooms.busy:
            raise Refusal(503, "busy", "This server interprets as many people as it can; try again in a minute.")
        entry = self._new_room(request, RoomOptions(demo=True))
        task = asyncio.create_task(DemoRoom(self.rooms, entry, self._sample_path).run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return JSONResponse({"listener": entry.tokens["listener"]}, 201)

    def _new_room(self, request: Request, options: RoomOptions) -> Entry:
        try:
            return self.rooms.create(options, _address(request))
        except Busy as busy:
            raise Refusal(429 if busy.code == "too-many-rooms" else 503, busy.code, busy.message) from busy

    async def _sample_file(self, request: Request) -> Response:
        if self._sample_path is None:
            raise Refusal(503, "not-ready", "The recording is not ready yet; try again in a moment.")
        return FileResponse(self._sample_path, media_type="audio/wav", headers={"cache-control": "no-cache"})

    async def _transcript(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = self.rooms.find(token.strip()) if scheme.casefold() == "bearer" else None
        if found is None:
            raise Refusal(401, "unauthorised", "This link does not open a room, or the room is over.")
        entry, role = found
        self._admit(entry, role, unquote(request.headers.get(CODE_HEADER, "")))
        query = request.query_params
        try:
            name, kind, text = await asyncio.to_thread(
                download,
                list(entry.room.history),
                query.get("format", "txt"),
                query.getlist("language"),
                bilingual=query.get("bilingual") == "1",
            )
        except InputError as error:
            raise Refusal(400, error.code, error.message) from error
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        if entry.room.history.cut:
            headers[CUT_HEADER] = "1"
        return Response(text, media_type=kind, headers=headers)

    def _admit(self, entry: Entry, role: Role, code: str) -> None:
        """To a room's transcript. Raises `Refusal`."""
        try:
            if role != "host" and not self.rooms.code_opens(entry, code):
                raise Refusal(403, "code-required", "This room has a code, and this is not it.")
        except Busy as busy:
            raise Refusal(429, busy.code, busy.message) from busy
        if not self.rooms.may_download(entry):
            raise Refusal(429, "too-many-requests", "The text was asked for too often; try again in a minute.")

    async def _qr(self, request: Request) -> Response:
        asked = await self._body(request, QrRequest)
        if not self.rooms.addresses.pictures.take(_address(request), self._now()):
            raise Refusal(429, "too-many-requests", "Too many pictures were asked for; try again in a moment.")
        out = io.BytesIO()
        segno.make(asked.text, error="m", micro=False).save(out, kind="svg", border=2, xmldecl=False, omitsize=True)
        return Response(out.getvalue(), media_type="image/svg+xml")

    # operation

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        return PlainTextResponse("ready\n") if self.ready else PlainTextResponse("not ready\n", 503)

    async def _metrics(self, request: Request) -> Response:
        if not self.options.metrics_to_all and _address(request) not in LOCAL:
            raise Refusal(403, "forbidden", "Metrics are given to this machine only; see --metrics-to-all.")
        return Response(self.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _body(self, request: Request, kind: type[Body], most_bytes: int = MAX_BODY_BYTES) -> Body:
        """A small JSON body of a page of ours. Raises `Refusal`."""
        headers = request.headers
        if not origin_allowed(headers.get("origin"), headers.get("host", ""), request.url.scheme, self.options.origins):
            raise Refusal(403, "forbidden", "Pages of other origins may not do this.")
        body = b""
        try:
            async with asyncio.timeout(self.options.limits.body_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > most_bytes:
                        raise Refusal(413, "too-large", "The request is too large.")
        except TimeoutError as error:
            raise Refusal(408, "too-slow", "The request took too long; try again.") from error
        try:
            return msgspec.json.decode(body or b"{}", type=kind)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise Refusal(400, "malformed", "The request is malformed.") from error


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    headers = {"retry-after": str(RETRY_AFTER_S)} if error.status in (429, 503) else None
    return JSONResponse({"code": error.code, "message": error.message}, error.status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method"}.get(error.status_code, "http")
    return JSONResponse({"code": code, "message": error.detail}, error.status_code)


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""
