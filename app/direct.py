"""Fan-out without detours: frames are serialised once for all listeners and written to the socket in one go.

An ASGI server serialises a message anew for each connection and wakes a task for it; for a thousand listeners that
alone is more than the budget of the stage. Frames of a server are not masked (RFC 6455, section 5.1), so they are the
same bytes for everybody.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode

EXTENSION = "tsuyaku.direct"


class Outgoing:
    """A message on its way, to one listener or to many."""

    __slots__ = ("content", "frame")

    def __init__(self, content: str | bytes) -> None:
        self.content = content
        binary = isinstance(content, bytes)
        opcode = Opcode.BINARY if binary else Opcode.TEXT
        data = content if isinstance(content, bytes) else content.encode()
        self.frame: bytes = Frame(opcode, data).serialize(mask=False, extensions=[])


class DirectProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, whose scope also has a `Direct`."""

    async def run_asgi(self) -> None:
        cast("dict[str, Any]", self.scope)["extensions"][EXTENSION] = Direct(self)
        await super().run_asgi()


class Direct:
    """The way past the ASGI server, for whole frames after the handshake."""

    def __init__(self, protocol: WebSocketsSansIOProtocol) -> None:
        self._protocol = protocol

    @property
    def writable(self) -> asyncio.Event:
        """Cleared while the socket is full."""
        return self._protocol.writable

    def write(self, frames: list[bytes]) -> None:
        """Write at once; nothing is written to a connection that is closing or gone."""
        protocol = self._protocol
        if not protocol.close_sent and not protocol.disconnected and not protocol.transport.is_closing():
            protocol.transport.write(b"".join(frames))
