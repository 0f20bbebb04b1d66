""" "Try it with a recording": a room in which the server itself speaks the sample, at the pace of the voice."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from pathlib import Path

from app.frames import Uplink
from app.interpret import paced_portions
from app.interpreter import SAMPLE_LANGUAGE
from app.media import MediaFile
from app.protocol import Start
from app.rooms import Busy, Entry, Rooms

WAIT_S = 60.0  # for the page that asked
LINGER_S = 20.0  # after the last word, in which the voice is heard to its end


class DemoRoom:
    """`run` begins when somebody wants captions or a voice, and ends the room."""

    def __init__(self, rooms: Rooms, entry: Entry, recording: Path) -> None:
        self._rooms = rooms
        self._entry = entry
        self._recording = recording

    async def run(self) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._entry.room.wanted.wait()
        except TimeoutError:
            self._rooms.end(self._entry, "demo")
            return
        with suppress(Busy):  # since the room was made
            await self._speak()
            await asyncio.sleep(LINGER_S)
        self._rooms.end(self._entry, "demo")

    async def _speak(self) -> None:
        """Raises `Busy`."""
        room = self._entry.room
        channel = self._rooms.open_channel(room, Start(key=secrets.token_urlsafe(12), language=SAMPLE_LANGUAGE))
        sequence = 0
        async for samples in paced_portions(MediaFile(self._recording)):
            if channel.ended or not any(True for _ in room.members):
                break
            sequence += 1
            channel.accept(Uplink(channel.number, sequence, channel.position, samples))
        await room.drain()
