"""One WebSocket from its hello to its end. Whatever a client does, it harms nobody but itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import protocol
from app.access import Bucket, Limits
from app.broadcast import Member
from app.direct import EXTENSION, Direct
from app.frames import MAX_BINARY_BYTES, OpusUplink, Uplink
from app.metrics import Metrics
from app.protocol import CloseCode, Hello, ProtocolError, Role, Wanted, decode_client, encode
from app.room import Room
from app.rooms import Busy, Entry, Rooms
from app.speaking import SpeakingChannel
from models.protocols import SAMPLE_RATE
from models.whisper import LANGUAGES

PORTION_BYTES = 65_536  # that are written at once
CONFIRM_SAMPLES = 8000  # of newly arrived audio before it is confirmed


class Connection:
    """`languages` are those that can be asked for."""

    def __init__(
        self,
        socket: WebSocket,
        rooms: Rooms,
        metrics: Metrics,
        languages: tuple[str, ...],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = rooms.limits
        self._socket = socket
        self._rooms = rooms
        self._limits: Limits = limits
        self._metrics = metrics
        self._languages = languages
        self._now = now
        self._messages = Bucket(limits.messages_per_s, limits.messages_burst)
        self._bytes = Bucket(limits.uplink_bytes_per_s, limits.uplink_burst_bytes)
        self._seconds = Bucket(limits.uplink_s_per_s, limits.uplink_burst_s)
        self._wants = Bucket(limits.wants_per_s, limits.wants_burst)
        self._changed = asyncio.Event()
        self._closing: CloseCode | None = None
        self._heard_at = now()
        self._direct = cast(Direct, socket.scope["extensions"][EXTENSION])
        self._begun_at = now()
        self._due = False
        self._stuck = asyncio.Event()
        self._sending_since: float | None = None
        self._confirmed: dict[int, int] = {}
        self._entry: Entry
        self._member: Member
        self._role: Role

    async def run(self) -> None:
        """Until the client or the server ends it."""
        try:
            code = await self._serve()
        except ProtocolError as error:
            code = error.code
        except WebSocketDisconnect:
            return
        if code is not None:
            self._metrics.refused.labels(str(int(code))).inc()
            with suppress(RuntimeError, WebSocketDisconnect):
                await self._socket.close(code)

    async def _serve(self) -> CloseCode | None:
        hello = await self._hello()
        self._entry, self._role = self._enter(hello)
        room = self._entry.room
        after = hello.resume.sequence if hello.resume and room.history.recovers(hello.resume) else 0
        granted = self._grant(hello.wanted, room, Wanted())
        outbox = room.join(self._role, granted.wanted, after, self._wake)
        self._member = Member(self._role, outbox, self._close, self._check)
        await self._socket.send_text(encode(self._welcome(hello)))
        self._refuse_languages(granted)
        if self._role == "host":
            outbox.tell(encode(self._rooms.links(self._entry)))
        room.admit(self._member)
        try:
            return await self._first_to_end(self._read(room), self._write(), self._lively())
        finally:
            room.leave(self._member)

    async def _first_to_end(self, *parts: Coroutine[None, None, CloseCode | None]) -> CloseCode | None:
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # hello

    async def _hello(self) -> Hello:
        try:
            async with asyncio.timeout(self._limits.hello_s):
                message = await self._receive()
        except TimeoutError as error:
            raise ProtocolError(CloseCode.MALFORMED, "no hello in time") from error
        if not isinstance(message, str) or not isinstance(hello := decode_client(message), Hello):
            raise ProtocolError(CloseCode.MALFORMED, "the first frame is no hello")
        if hello.version != protocol.VERSION:
            raise ProtocolError(CloseCode.UNSUPPORTED_VERSION, "unknown version")
        return hello

    def _enter(self, hello: Hello) -> tuple[Entry, Role]:
        found = self._rooms.find(hello.token)
        if found is None:
            raise ProtocolError(CloseCode.UNAUTHORISED, "no such token")
        entry, role = found
        if self._rooms.draining:
            raise ProtocolError(CloseCode.RESTARTING, "the server is about to stop")
        try:
            if role != "host" and not self._rooms.code_opens(entry, hello.code):
                raise ProtocolError(CloseCode.CODE_REQUIRED, "wrong code")
        except Busy as busy:
            raise ProtocolError(CloseCode.GUESSES, "too many wrong codes") from busy
        if entry.room.ended is not None:
            self._closing = CloseCode.ENDED  # once it has what it missed
        return entry, role

    def _welcome(self, hello: Hello) -> protocol.Welcome:
        room = self._entry.room
        return protocol.Welcome(
            version=protocol.VERSION,
            role=self._role,
            epoch=room.history.epoch,
            sequence=room.history.newest,
            recovered=room.history.recovers(hello.resume),
            languages=self._languages,
            keep_s=room.options.keep_s,
            demo=room.options.demo,
            cut=room.history.cut,
        )

    # the three parts

    async def _read(self, room: Room) -> CloseCode | None:
        while True:
            message = await self._receive()
            if isinstance(message, bytes):
                self._audio(message, room)
                await asyncio.sleep(0)  # frames that wait are read without a turn of the loop
            else:
                self._message(decode_client(message), room)

    async def _write(self) -> CloseCode:
        """Wait where the socket is full and for the end; what waits is written by `_pump`."""
        while self._closing is None or len(self._member.outbox):
            self._sending_since = self._now()
            await self._direct.writable.wait()
            self._sending_since = None
            self._pump()
            if self._direct.writable.is_set():
                self._changed.clear()
                if self._closing is None:
                    await self._changed.wait()
        return self._closing

    def _wake(self) -> None:
        """Something waits. What comes within one turn of the loop is written together."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._due = False
        outbox, writable = self._member.outbox, self._direct.writable
        while writable.is_set():
            frames, size = list[bytes](), 0
            while size < PORTION_BYTES and (item := outbox.next()) is not None:
                frames.append(item.frame)
                size += len(item.frame)
                if outbox.committed_at is not None and outbox.committed_at > self._begun_at:
                    self._metrics.fan_out.observe(self._now() - outbox.committed_at)
            if not frames:
                return
            self._direct.write(frames)
        self._changed.set()

    async def _lively(self) -> CloseCode:
        """Until the client took nothing, or said nothing, for too long."""
        await self._stuck.wait()
        return CloseCode.SLOW

    def _check(self, now: float) -> None:
        stalled = self._sending_since is not None and now - self._sending_since > self._limits.send_s
        if stalled or now - self._heard_at > self._limits.silent_s:
            self._stuck.set()

    def _close(self, code: CloseCode) -> None:
        """End the connection when what waits for it is sent."""
        self._closing = code
        self._changed.set()

    async def _receive(self) -> str | bytes:
        event = await self._socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        self._heard_at = self._now()
        frame: str | bytes = event["bytes"] if event.get("text") is None else event["text"]
        if not self._messages.take(1, self._heard_at):
            raise ProtocolError(CloseCode.FLOOD, "too many frames")
        if not self._bytes.take(len(frame), self._heard_at):
            raise ProtocolError(CloseCode.FLOOD, "too many bytes")
        return frame

    # what clients ask for

    def _message(self, message: protocol.ClientMessage, room: Room) -> None:
        match message:
            case protocol.Ping():
                if message.capture_ms and self._member.speaks:
                    room.heard_late(self._member, message.capture_ms)
                self._tell(protocol.Pong(id=message.id))
            case protocol.Want():
                if not self._wants.take(1, self._heard_at):
                    raise ProtocolError(CloseCode.FLOOD, "too many changes of what is wanted")
                granted = self._grant(message.wanted, room, self._member.outbox.wanted)
                self._refuse_languages(granted)
                room.follow(self._member, granted.wanted)
            case protocol.Start():
                self._start(message, room)
            case protocol.Stop():
                self._stop(message, room)
            case protocol.Rotate():
                if self._is_host():
                    self._rooms.rotate(self._entry, message.role)
            case protocol.Close():
                if self._is_host():
                    self._rooms.close(self._entry)
            case Hello():
                raise ProtocolError(CloseCode.MALFORMED, "a second hello")

    def _start(self, start: protocol.Start, room: Room) -> None:
        self._must_speak()
        if unknown := {start.language, *start.candidates} - {"auto", *LANGUAGES}:
            self._refuse("unknown-language", f"This server does not recognise {_named(unknown)}.")
            return
        channel = room.find_channel(start.key)
        if channel is None:
            channel = self._open(start, room)
        if channel is None:
            return
        channel.holder, channel.left_at = self._member, None
        self._confirmed[channel.number] = channel.position
        self._tell(protocol.Started(key=start.key, channel=channel.number, position=channel.position))

    def _open(self, start: protocol.Start, room: Room) -> SpeakingChannel | None:
        try:
            return self._rooms.open_channel(room, start)
        except Busy as busy:
            self._refuse(busy.code, busy.message)
            return None

    def _stop(self, stop: protocol.Stop, room: Room) -> None:
        self._must_speak()
        channel = room.channel(stop.channel)
        if channel is not None and channel.holder is self._member:
            self._confirm(channel)
            channel.finish()

    def _audio(self, frame: bytes, room: Room) -> None:
        self._must_speak()
        if len(frame) > MAX_BINARY_BYTES:
            raise ProtocolError(CloseCode.MALFORMED, "audio frame too large")
        kind = OpusUplink if frame[:1] == bytes([OpusUplink.KIND]) else Uplink
        uplink = kind.decode(frame)
        self._charge(len(uplink))
        channel = room.channel(uplink.channel)
        if channel is None or channel.holder is not self._member:
            return  # it ended or was taken over while the frame was under way
        self._charge(channel.accept(uplink))
        if channel.position - self._confirmed.get(channel.number, 0) >= CONFIRM_SAMPLES:
            self._confirm(channel)

    def _charge(self, samples: int) -> None:
        if not self._seconds.take(samples / SAMPLE_RATE, self._heard_at):
            raise ProtocolError(CloseCode.FLOOD, "too much audio")

    def _confirm(self, channel: SpeakingChannel) -> None:
        self._confirmed[channel.number] = channel.position
        self._tell(protocol.Confirmed(channel=channel.number, position=channel.position))

    def _must_speak(self) -> None:
        if self._role == "listener":
            raise ProtocolError(CloseCode.FORBIDDEN, "a listener cannot speak")

    def _is_host(self) -> bool:
        if self._role != "host":
            self._refuse("host-only", "Only the host of the room can do this.")
        return self._role == "host"

    def _grant(self, wanted: Wanted, room: Room, before: Wanted) -> _Granted:
        """What of it this server can do for a member that gives up `before`."""
        unknown = {*wanted.captions, *wanted.voices}.difference(self._languages)
        known = _without(wanted, unknown)
        too_many = room.too_many(known, before)
        return _Granted(_without(known, too_many), unknown, too_many)

    def _refuse_languages(self, granted: _Granted) -> None:
        if granted.unknown:
            self._refuse("unknown-language", f"This server does not know {_named(granted.unknown)}.")
        if granted.too_many:
            self._refuse(
                "too-many-languages", f"This room is translated into as many as can be; not {_named(granted.too_many)}."
            )

    def _refuse(self, code: str, message: str) -> None:
        self._tell(protocol.Refused(code=code, message=message))  # type: ignore[arg-type]

    def _tell(self, message: protocol.Message) -> None:
        self._member.outbox.tell(encode(message))


@dataclass(frozen=True, slots=True)
class _Granted:
    """What can be listened to of what was asked for, and the languages that cannot."""

    wanted: Wanted
    unknown: set[str]
    too_many: set[str]


def _without(wanted: Wanted, languages: set[str]) -> Wanted:
    captions = tuple(language for language in wanted.captions if language not in languages)
    voices = tuple(language for language in wanted.voices if language not in languages)
    return msgspec.structs.replace(wanted, captions=captions, voices=voices)


def _named(languages: set[str]) -> str:
    return ", ".join(sorted(languages))
