"""Rooms as time goes by: nothing lasts without a reason. The clock is a number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.access import Limits
from app.demo import DemoRoom
from app.download import download
from app.frames import Uplink
from app.metrics import Metrics
from app.protocol import CloseCode, Role, Start, Wanted, decode_server
from app.room import Member, Room, RoomOptions
from app.rooms import Busy, Entry, Rooms
from models.errors import InputError
from models.protocols import TranslationRequest
from pipeline.engines import Translated, TranslationEngine
from tests.app.serving import SPEECH, interpreter
from tests.pipeline.test_session import Rig


class Hanging(TranslationEngine):
    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rooms(clock: Clock) -> Rooms:
    return Rooms(interpreter().open_session, Metrics(), Limits(), clock)


def join(
    room: Room,
    role: Role = "listener",
    wanted: Wanted | None = None,
    close: Callable[[CloseCode], None] = lambda code: None,
) -> Member:
    member = Member(role, room.join(role, wanted or Wanted(), 0, lambda: None), close)
    room.admit(member)
    return member


def later(rooms: Rooms, clock: Clock, seconds: float) -> None:
    clock.now += seconds
    rooms.tick()


async def test_empty_room_ends_by_itself_and_is_forgotten(rooms: Rooms, clock: Clock) -> None:
    entry = rooms.create(RoomOptions(), "a")
    later(rooms, clock, rooms.limits.idle_s - 1)
    assert entry.room.ended is None
    later(rooms, clock, 2)
    assert entry.room.ended == "idle"
    assert rooms.find(entry.tokens["host"])
    later(rooms, clock, rooms.limits.return_s)
    assert rooms.find(entry.tokens["host"]) is None


async def test_room_with_a_listener_stays_until_its_lifetime_is_over(rooms: Rooms, clock: Clock) -> None:
    entry = rooms.create(RoomOptions(), "a")
    closed: list[CloseCode] = []
    member = join(entry.room, close=closed.append)
    later(rooms, clock, rooms.limits.idle_s * 2)
    assert entry.room.ended is None
    later(rooms, clock, rooms.limits.lifetime_s)
    assert entry.room.ended == "limit"
    assert closed == [CloseCode.ENDED]
    item = member.outbox.next()
    assert item
    texts = [decode_server(str(item.content))]
    assert texts[0].code == "limit"  # type: ignore[union-attr]


@pytest.mark.parametrize("keep_s", [0, 3600])
async def test_transcript_lives_as_long_as_the_host_chose(rooms: Rooms, clock: Clock, keep_s: int) -> None:
    entry = rooms.create(RoomOptions(keep_s=keep_s), "a")
    rooms.end(entry, "host")
    later(rooms, clock, max(keep_s, rooms.limits.return_s) - 1)
    assert rooms.find(entry.tokens["listener"])
    later(rooms, clock, 1)
    assert rooms.find(entry.tokens["listener"]) is None


async def test_language_is_dropped_a_while_after_its_last_listener_left(rooms: Rooms, clock: Clock) -> None:
    room = rooms.create(RoomOptions(), "a").room
    member = join(room, wanted=Wanted(captions=("pt",), voices=("es",)))
    other = join(room, wanted=Wanted(captions=("pt",)))
    room.leave(member)
    later(rooms, clock, rooms.limits.language_linger_s + 1)
    assert room.targets == (frozenset({"pt"}), frozenset())
    room.leave(other)
    later(rooms, clock, rooms.limits.language_linger_s - 1)
    assert room.targets[0] == {"pt"}
    later(rooms, clock, 2)
    assert room.targets[0] == frozenset()


async def test_room_is_translated_into_so_many_languages_and_the_wanted_ones_come_first(clock: Clock) -> None:
    limits = Limits(languages_per_room=2)
    room = Rooms(interpreter().open_session, Metrics(), limits, clock).create(RoomOptions(), "a").room
    first = join(room, wanted=Wanted(captions=("pt",), voices=("pt",)))
    second = join(room, wanted=Wanted(voices=("es",)))
    assert room.too_many(Wanted(captions=("pt", "de"), voices=("es",))) == {"de"}
    assert room.too_many(Wanted(captions=("de", "fr")), second.outbox.wanted) == {"fr"}
    clock.now += 1
    room.follow(second, Wanted(captions=("de",)))
    assert room.targets == ({"pt", "de"}, {"pt"})
    room.leave(first)
    assert room.targets[0] == {"pt", "de"}
    clock.now += 1
    room.follow(second, Wanted(captions=("de", "fr")))
    assert room.targets[0] == {"de", "fr"}


async def test_channel_waits_for_its_speaker_and_then_ends(rooms: Rooms, clock: Clock) -> None:
    room = rooms.create(RoomOptions(), "a").room
    speaker = join(room, "speaker")
    channel = room.open_channel(Start(key="a-key-of-mine", language="en"))
    channel.holder = speaker
    channel.accept(Uplink(channel.number, 0, 0, SPEECH))
    room.leave(speaker)
    later(rooms, clock, rooms.limits.channel_linger_s - 1)
    assert not channel.ended
    later(rooms, clock, 2)
    await room.drain()
    assert channel.ended
    assert not room.open_channels


async def spoken(rooms: Rooms, *languages: str) -> Entry:
    """A room in which two people have spoken, one after the other."""
    entry = rooms.create(RoomOptions(), "a")
    join(entry.room, wanted=Wanted(captions=languages))
    for key in ("the-first-key", "the-second-key"):
        channel = entry.room.open_channel(Start(key=key, language="en"))
        channel.accept(Uplink(channel.number, 0, 0, SPEECH))
        await entry.room.drain()
    return entry


async def test_transcript_of_several_speakers_is_whole(rooms: Rooms, clock: Clock) -> None:
    history = (await spoken(rooms, "pt", "es")).room.history
    name, kind, text = download(history, "txt", ["pt"])
    assert (name, kind) == ("tsuyaku-pt.txt", "text/plain")
    first, second = "WORD0 WORD1 WORD2.", "WORD0 WORD1."
    assert text.splitlines() == [first, first, second, second]
    for format, mark in (("srt", "-->"), ("vtt", "WEBVTT"), ("json", '"segments"')):
        assert mark in download(history, format, ["pt"])[2]
    both = download(history, "txt", [], bilingual=True)[2]
    assert both.count("pt: ") == both.count("es: ") == both.count("en: ") == 4
    with pytest.raises(InputError, match="no such format"):
        download(history, "exe", [])


async def test_file_name_of_a_transcript_holds_nothing_foreign(rooms: Rooms, clock: Clock) -> None:
    history = (await spoken(rooms)).room.history
    assert download(history, "txt", ['../"x\r\n'])[0] == "tsuyaku-x.txt"


async def test_speech_that_nobody_could_hear_is_told_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.speaking.LONGEST_PENDING_S", 2.0)
    metrics = Metrics()
    room = Rooms(interpreter().open_session, metrics).create(RoomOptions(), "a").room
    member = join(room)
    channel = room.open_channel(Start(key="a-key-of-mine", language="en"))
    for number in range(5):
        channel.accept(Uplink(1, number, channel.position, SPEECH[:16_000]))
    await room.drain()
    told = [json.loads(item.content) for item in iter(member.outbox.next, None)]
    assert [(m["stage"], m["code"]) for m in told if m["type"] == "trouble"] == [("capture", "audio-dropped")]
    assert metrics.drops.speech_s == 3.0


async def test_room_that_its_host_ends_waits_for_no_engine_that_hangs() -> None:
    rooms = Rooms(interpreter(Rig(Hanging())).open_session, Metrics(), Limits(close_s=0.02))
    entry = rooms.create(RoomOptions(), "a")
    closed = asyncio.Event()
    join(entry.room, wanted=Wanted(captions=("pt",)), close=lambda code: closed.set())
    channel = rooms.open_channel(entry.room, Start(key="a-key-of-mine", language="en"))
    channel.accept(Uplink(channel.number, 0, 0, SPEECH))
    rooms.close(entry)
    assert entry.room.ended is None
    with pytest.raises(Busy):
        rooms.open_channel(entry.room, Start(key="begun-too-late", language="en"))
    await asyncio.wait_for(closed.wait(), 5)
    assert entry.room.ended == "host"


async def test_demonstration_speaks_only_where_somebody_still_can(tmp_path: Path) -> None:
    rooms = Rooms(interpreter().open_session, Metrics(), Limits(channels=1))
    demo, other = (rooms.create(RoomOptions(), "a") for _ in range(2))
    task = asyncio.create_task(DemoRoom(rooms, demo, tmp_path / "none.wav").run())
    rooms.open_channel(other.room, Start(key="a-key-of-mine", language="en"))
    join(demo.room, wanted=Wanted(captions=("pt",)))
    await asyncio.wait_for(task, 5)
    assert demo.room.ended == "demo"
    assert rooms.channels == 1
    await other.room.drain()


async def test_draining_server_takes_no_room(rooms: Rooms, clock: Clock) -> None:
    await rooms.drain()
    with pytest.raises(Busy, match="about to stop"):
        rooms.create(RoomOptions(), "a")


async def test_shutdown_waits_no_longer_than_it_may(clock: Clock) -> None:
    rooms = Rooms(interpreter().open_session, Metrics(), Limits(drain_s=0.01), clock)
    entry = rooms.create(RoomOptions(), "a")

    async def never() -> None:
        await asyncio.Event().wait()

    entry.room.drain = never  # type: ignore[method-assign]
    await rooms.drain()
    assert entry.room.ended == "shutdown"
