"""All rooms of this process: made, found by a token, ended by themselves, and what is kept of them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from app import protocol
from app.access import Addresses, Bucket, Grant, Limits, Links
from app.metrics import Metrics
from app.protocol import CloseCode, Role, encode
from app.room import EndCode, OpenSession, Room, RoomOptions
from app.speaking import SpeakingChannel

FAREWELL_S = 5.0  # that listeners have to take what waits for them when the process stops
TOKEN_ROLES: tuple[Role, ...] = ("host", "speaker", "listener")


class Busy(Exception):
    """The process has as many as it takes; `code` and a sentence for the person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Entry:
    """A room and its links. The tokens are kept only to be shown to the host."""

    room: Room
    tokens: dict[Role, str]
    guesses: Bucket
    downloads: Bucket


class Rooms:
    """`open_session` gives a session of the shared engines."""

    def __init__(
        self,
        open_session: OpenSession,
        metrics: Metrics,
        limits: Limits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self.addresses = Addresses(self.limits)
        self.draining = False
        self._open_session = open_session
        self._metrics = metrics
        self._now = now
        self._links = Links()
        self._rooms: dict[str, Entry] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def create(self, options: RoomOptions, address: str) -> Entry:
        """Raises `Busy`."""
        if self.draining:
            raise Busy("restarting", "The server is about to stop; try again in a minute.")
        if len(self._rooms) >= self.limits.rooms:
            raise Busy("too-many-rooms", "This server has as many rooms as it takes; try again later.")
        if not self.addresses.rooms.take(address, self._now()):
            raise Busy("too-many-rooms", "Too many rooms were opened from here; try again in a minute.")
        name = secrets.token_hex(8)
        room = Room(name, options, self.limits, self._open_session, self._metrics, self._now)
        tokens: dict[Role, str] = {role: self._links.issue(Grant(name, role)) for role in TOKEN_ROLES}
        per_minute = self.limits.code_attempts_per_minute
        downloads = self.limits.downloads_per_minute
        entry = Entry(room, tokens, Bucket(per_minute / 60, per_minute), downloads=Bucket(downloads / 60, downloads))
        self._rooms[name] = entry
        return entry

    def find(self, token: str) -> tuple[Entry, Role] | None:
        """The room that a token opens and as whom; None where it opens none."""
        grant = self._links.find(token)
        entry = self._rooms.get(grant.room) if grant else None
        return (entry, grant.role) if grant and entry else None

    def code_opens(self, entry: Entry, code: str) -> bool:
        """Whether `code` is the room's. Guessing is slowed down for the room as a whole."""
        expected = entry.room.options.code
        if not expected:
            return True
        if secrets.compare_digest(code.encode("utf-8", "replace"), expected.encode("utf-8", "replace")):
            return True
        if not entry.guesses.take(1, self._now()):
            raise Busy("too-many-guesses", "Too many wrong codes; wait a minute.")
        return False

    def may_download(self, entry: Entry) -> bool:
        """Whether a transcript may be made now: it takes the processor from everybody."""
        return entry.downloads.take(1, self._now())

    def links(self, entry: Entry) -> protocol.Links:
        return protocol.Links(speaker=entry.tokens["speaker"], listener=entry.tokens["listener"])

    def rotate(self, entry: Entry, role: Role) -> None:
        """Replace a link; whoever came by the old one is disconnected."""
        name = entry.room.name
        self._links.revoke(Grant(name, role))
        entry.tokens[role] = self._links.issue(Grant(name, role))
        for member in list(entry.room.members):
            if member.role == role:
                member.close(CloseCode.UNAUTHORISED)
            elif member.role == "host":
                member.outbox.tell(encode(self.links(entry)))

    @property
    def channels(self) -> int:
        """Speaking channels that are open in all rooms."""
        return sum(len(entry.room.open_channels) for entry in self._rooms.values())

    @property
    def busy(self) -> bool:
        return self.draining or self.channels >= self.limits.channels

    def gauges(self) -> dict[str, float]:
        rooms = [entry.room for entry in self._rooms.values()]
        members = [member for room in rooms for member in room.members]
        return {
            "rooms": sum(1 for room in rooms if room.ended is None),
            "speaking_channels": self.channels,
            "listeners": sum(1 for member in members if member.role == "listener"),
            "connections": len(members),
            "languages_translated": sum(len(room.targets[0] | room.targets[1]) for room in rooms),
            "messages_waiting": sum(len(member.outbox) for member in members),
            "audio_portions_waiting": sum(c.session.waiting for room in rooms for c in room.open_channels),
        }

    async def run(self) -> None:
        """What time brings to rooms, for ever."""
        while True:
            await asyncio.sleep(self.limits.check_s)
            self.tick()

    def tick(self) -> None:
        for entry in list(self._rooms.values()):
            room = entry.room
            if room.ended is None and (code := room.tick()) is not None:
                room.end(code)
            if room.ended is not None and self._now() - room.ended_at >= max(self.limits.return_s, room.options.keep_s):
                self._forget(entry)

    def open_channel(self, room: Room, start: protocol.Start) -> SpeakingChannel:
        """Raises `Busy`: as many people speak, in this room or in all, as can at once, or the room ends."""
        if room.closing or room.ended is not None:
            raise Busy("busy", "This room is over.")
        if len(room.open_channels) >= self.limits.channels_per_room:
            raise Busy("too-many-channels", "As many people speak in this room as can at once.")
        if self.busy:
            raise Busy("busy", "This server interprets as many people as it can; try again in a minute.")
        return room.open_channel(start)

    def end(self, entry: Entry, code: EndCode) -> None:
        entry.room.end(code)

    def close(self, entry: Entry) -> None:
        """End a room for its host: nobody begins to speak, and what was said is worked through, at most `close_s`."""
        if not entry.room.closing:
            entry.room.closing = True
            task = asyncio.create_task(self._close(entry.room))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close(self, room: Room) -> None:
        await asyncio.wait([asyncio.create_task(room.drain())], timeout=self.limits.close_s)
        room.end("host")

    def _forget(self, entry: Entry) -> None:
        self._links.revoke_room(entry.room.name)
        self._rooms.pop(entry.room.name, None)

    async def drain(self) -> None:
        """No new rooms or speech; what was said is worked through, at most `drain_s`; then all rooms end."""
        self.draining = True
        entries = list(self._rooms.values())
        drains = [asyncio.create_task(entry.room.drain()) for entry in entries]
        if drains:
            await asyncio.wait(drains, timeout=self.limits.drain_s)
        for entry in entries:
            entry.room.end("shutdown")
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                for entry in entries:
                    await entry.room.emptied.wait()
