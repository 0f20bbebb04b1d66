"""A listener without a browser: one that comes back by itself and misses nothing that was committed."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import urlsplit

import websockets

from app.frames import Voice
from app.protocol import (
    VERSION,
    CloseCode,
    Ended,
    Hello,
    Ping,
    Pong,
    Resume,
    ServerMessage,
    Wanted,
    Welcome,
    decode_server,
    encode,
)
from models.errors import InputError, UnavailableError

PING_S = 5.0
DEAD_S = 15.0  # without any frame
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 8.0
RETRY_CLOSES = frozenset({CloseCode.SLOW, CloseCode.BUSY, CloseCode.RESTARTING, 1001, 1005, 1006, 1011})
REFUSALS = {
    CloseCode.UNAUTHORISED: "The link opens no room: it was replaced, or the room is over; ask the host for a new one.",
    CloseCode.CODE_REQUIRED: "The room has a code; give it with --code.",
    CloseCode.GUESSES: "Too many wrong codes were tried in this room; wait a minute.",
    CloseCode.ENDED: "The room is over.",
    CloseCode.UNSUPPORTED_VERSION: "The server speaks another version of the protocol; update Tsuyaku.",
}


@dataclass(frozen=True, slots=True)
class Link:
    """Where a room is: the socket's address, and the token from behind `#`."""

    socket: str
    token: str

    @staticmethod
    def parse(url: str) -> Link:
        """Raises `InputError` `link-invalid`."""
        parts = urlsplit(url)
        token = parts.fragment.split("&")[0]
        if parts.scheme not in ("http", "https") or not parts.hostname or not token:
            raise InputError("link-invalid", "This is no listener's link; copy it whole, with what follows the '#'.")
        folder = parts.path.rsplit("/", 1)[0]
        return Link(f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{folder}/ws", token)


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection broke and is being retried; nothing committed will be missing."""

    retry_s: float


@dataclass(frozen=True, slots=True)
class Gone:
    """So much was said during the interruption that the server does not have all of it any more."""


@dataclass(frozen=True, slots=True)
class Cut:
    """So much was said before the first connection that the server does not have its beginning any more."""


class Listener:
    """`messages` ends with the room. Committed messages come once, in order, however often the connection breaks."""

    def __init__(
        self,
        link: Link,
        wanted: Wanted,
        *,
        code: str = "",
        patience_s: float = 300.0,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._link = link
        self._wanted = wanted
        self._code = code
        self._patience_s = patience_s
        self._trust = trust
        self._resume: Resume | None = None
        self._pings = 0

    async def messages(self) -> AsyncGenerator[ServerMessage | Voice | Lost | Gone | Cut]:
        """To be left with `aclose`, which closes the socket. Raises `InputError` `link-refused`, `UnavailableError`
        `server-unreachable`."""
        retry_s, lost_at = FIRST_RETRY_S, time.monotonic()
        while True:
            try:
                async with aclosing(self._connected()) as connected:
                    async for message in connected:
                        retry_s, lost_at = FIRST_RETRY_S, time.monotonic()
                        yield message
                        if isinstance(message, Ended):
                            return
            except websockets.ConnectionClosed as error:
                self._judge(error)
            except (OSError, TimeoutError, websockets.InvalidHandshake) as error:
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise UnavailableError(
                        "server-untrusted", "The server's certificate is unknown here; give it with --certificate."
                    ) from error
            if time.monotonic() - lost_at > self._patience_s:
                raise UnavailableError(
                    "server-unreachable", "The server does not answer; check the link and the network."
                )
            yield Lost(retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    async def _connected(self) -> AsyncGenerator[ServerMessage | Voice | Gone | Cut]:
        trust = self._trust if self._link.socket.startswith("wss") else None
        async with websockets.connect(
            self._link.socket, ssl=trust, max_size=None, ping_interval=None, open_timeout=10, close_timeout=1
        ) as socket:
            hello = Hello(
                version=VERSION, token=self._link.token, wanted=self._wanted, resume=self._resume, code=self._code
            )
            await socket.send(encode(hello))
            beat = asyncio.create_task(self._beat(socket))
            try:
                while True:
                    frame = await asyncio.wait_for(socket.recv(), DEAD_S)
                    if isinstance(frame, bytes):
                        yield Voice.decode(frame)
                        continue
                    message = decode_server(frame)
                    if isinstance(message, Welcome):
                        if self._resume and not message.recovered:
                            yield Gone()
                        elif self._resume is None and message.cut:
                            yield Cut()
                        self._welcome(message)
                    elif self._is_new(message) and not isinstance(message, Pong):
                        yield message
            finally:
                beat.cancel()

    async def _beat(self, socket: websockets.ClientConnection) -> None:
        while True:
            await asyncio.sleep(PING_S)
            self._pings += 1
            await socket.send(encode(Ping(id=self._pings)))

    def _welcome(self, welcome: Welcome) -> None:
        """What another epoch had before is no part of this log."""
        same = self._resume is not None and self._resume.epoch == welcome.epoch
        self._resume = Resume(welcome.epoch, self._resume.sequence if self._resume and same else 0)

    def _is_new(self, message: ServerMessage) -> bool:
        """Note how far the log was read; what was read before is not handed on again."""
        sequence = getattr(message, "sequence", None)
        if sequence is None or self._resume is None:
            return True
        if sequence <= self._resume.sequence:
            return False
        self._resume = Resume(self._resume.epoch, sequence)
        return True

    def _judge(self, error: websockets.ConnectionClosed) -> None:
        code = error.rcvd.code if error.rcvd else 1006
        if code not in RETRY_CLOSES:
            known = REFUSALS.get(CloseCode(code)) if code in set(CloseCode) else None
            raise InputError("link-refused", known or f"The server closed the connection ({code}).")
