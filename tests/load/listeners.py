"""Many listeners in one process: sockets that read frames and note when each committed caption came.

`python -m tests.load.listeners PORT TOKEN COUNT` connects, prints `ready`, reads until the room ends and prints one
line of JSON. Only loopback addresses are used; each address takes its share of the connections.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field

PER_ADDRESS = 100
PING_S = 10.0
LONGEST_S = 240.0


@dataclass
class Arrivals:
    """When each listener got each committed message, in s on the machine's monotonic clock."""

    captions: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    emitted_ms: dict[int, float] = field(default_factory=dict)
    sequences: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    closed: int = 0


class Listener(asyncio.Protocol):
    """A WebSocket client of RFC 6455 that only reads what is not masked and not fragmented."""

    def __init__(self, number: int, token: str, arrivals: Arrivals, welcomed: asyncio.Semaphore) -> None:
        self._number = number
        self._token = token
        self._arrivals = arrivals
        self._welcomed = welcomed
        self._buffer = bytearray()
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        if not self._open:
            self._handshake()
        while self._open and (frame := self._frame()) is not None:
            self._take(frame, now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrivals.closed += 1
        self._welcomed.release()

    def _handshake(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        assert self._buffer.startswith(b"HTTP/1.1 101"), bytes(self._buffer[:100])
        del self._buffer[: end + 4]
        self._open = True
        wanted = {"captions": ["pt"], "tentative": True, "source": False}
        self.send({"type": "hello", "version": 1, "token": self._token, "wanted": wanted})

    def send(self, message: dict[str, object]) -> None:
        payload = json.dumps(message).encode()
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self._transport.write(b"\x81" + length + b"\0\0\0\0" + payload)  # a mask of zeros leaves it as it is

    def _frame(self) -> bytes | None:
        if len(self._buffer) < 2:
            return None
        length, at = self._buffer[1] & 0x7F, 2
        if length == 126:
            length, at = int.from_bytes(self._buffer[2:4], "big"), 4
        elif length == 127:
            length, at = int.from_bytes(self._buffer[2:10], "big"), 10
        if len(self._buffer) < at + length:
            return None
        kind = self._buffer[0] & 0x0F
        payload = bytes(self._buffer[at : at + length])
        del self._buffer[: at + length]
        return payload if kind == 1 else b""

    def _take(self, frame: bytes, now: float) -> None:
        if frame.startswith(b'{"type":"welcome"'):
            self._welcomed.release()
        elif frame.startswith(b'{"type":"caption"'):
            message = json.loads(frame)
            self._arrivals.captions[message["sequence"]].append(now)
            self._arrivals.emitted_ms[message["sequence"]] = message["emitted_ms"]
            self._arrivals.sequences[self._number].append(message["sequence"])


async def main(port: int, token: str, count: int) -> None:
    loop = asyncio.get_running_loop()
    arrivals, welcomed = Arrivals(), asyncio.Semaphore(0)
    listeners: list[Listener] = []
    for number in range(count):
        address = f"127.0.0.{2 + number // PER_ADDRESS}"
        _, listener = await loop.create_connection(
            lambda n=number: Listener(n, token, arrivals, welcomed), "127.0.0.1", port, local_addr=(address, 0)
        )
        listeners.append(listener)
        await welcomed.acquire()
    print("ready", flush=True)
    begin = asked = time.monotonic()
    while arrivals.closed < count and time.monotonic() - begin < LONGEST_S:
        await asyncio.sleep(0.2)
        if time.monotonic() - asked > PING_S:
            asked = time.monotonic()
            for number, listener in enumerate(listeners):
                listener.send({"type": "ping", "id": number})
                await asyncio.sleep(0)
    print(json.dumps(report(arrivals, count)), flush=True)


def report(arrivals: Arrivals, count: int) -> dict[str, object]:
    """Delays count from the event: the channel's clock is aligned by the quickest arrival of all."""
    origin = min(min(times) - arrivals.emitted_ms[n] / 1000 for n, times in arrivals.captions.items())
    delays = sorted(
        (at - origin) * 1000 - arrivals.emitted_ms[n] for n, times in arrivals.captions.items() for at in times
    )
    whole = sorted(arrivals.captions)
    return {
        "listeners": count,
        "captions": len(whole),
        "whole": sum(1 for number in range(count) if arrivals.sequences[number] == whole),
        "p50_ms": delays[len(delays) // 2],
        "p99_ms": delays[int(len(delays) * 0.99)],
        "most_ms": delays[-1],
    }


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
