"""What the keys of the desk do to what is spoken, and how a conversation ends."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from app.cli.interpret import _appending, _replace
from app.desk.channel import Channel
from app.desk.config import DeskConfig
from app.desk.conversation import Conversation
from app.desk.loop import Ear, Mouth, SoundLoop
from app.desk.player import Piece, Player
from app.desk.script import Recorder
from app.desk.set_up import Wish, set_up
from app.desk.sound import DESK_RATE, FRAME
from app.engines import EngineConfig, build
from models.errors import InputError, TsuyakuError, UnavailableError
from pipeline.config import SessionConfig
from pipeline.events import AnyEvent, End, Speech, Voice

from .test_desk import LOUD, Dictionary, SilentPort, Speaker, two_clauses


class Quiet(SoundLoop):
    """Without devices."""

    def __init__(self) -> None:
        super().__init__([], [], lambda notice: None)


def conversation_with(*, push_to_talk: bool = False, speaks: tuple[str, ...] = ("",)) -> tuple[Conversation, Player]:
    """Whose first person has said two clauses; one loudspeaker."""
    engines = replace(build(EngineConfig()), translator=Dictionary())
    mouth = Mouth(Speaker())
    config = DeskConfig(("en", "pt"), push_to_talk=push_to_talk)
    conversation = Conversation(config, engines, {"en": mouth, "pt": mouth})
    conversation.join([person(conversation, language) for language in speaks])
    two_clauses(conversation.record)
    return conversation, mouth.player


def person(conversation: Conversation, speaks: str = "") -> Channel:
    return Channel(Ear(SilentPort(), 0, lambda samples: None), conversation.session(SessionConfig()), speaks)


def spoken(conversation: Conversation, segment: int, *, seconds: float = 0.5) -> None:
    """The voice of a clause comes."""
    event = Speech(
        emitted_ms=0,
        language="pt",
        segment=segment,
        text="Olá.",
        sample_rate=48_000,
        duration_ms=1000 * seconds,
        play_ms=0,
        rate=1.0,
        last=True,
        dropped=False,
        source_start_ms=0,
        source_end_ms=0,
        pcm=np.full(round(48_000 * seconds), 9000, "<i2").tobytes(),
    )
    conversation._spoken(0, conversation.channels[0], event)


async def until(true: Any) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


async def test_clause_that_was_taken_back_is_not_spoken_also_where_its_voice_comes_later() -> None:
    conversation, player = conversation_with()
    spoken(conversation, 0)
    spoken(conversation, 1)
    conversation.said.undo()
    spoken(conversation, 1)
    assert player.waiting_s == pytest.approx(0.5)


async def test_clause_that_was_typed_anew_is_spoken_as_it_was_meant_and_repeated_as_it_stands() -> None:
    conversation, player = conversation_with()
    spoken(conversation, 1)
    conversation.said.correct((0, 1), "Goodbye.")
    await until(lambda: conversation.record.replaced((0, 1)) and player.waiting_s)
    meant_s = player.waiting_s
    spoken(conversation, 1)
    assert player.waiting_s == meant_s, "its own translation comes too late"
    conversation.said.undo()
    assert player.waiting_s == 0
    assert conversation.said.repeat()
    assert player.waiting_s == pytest.approx(0.5)


async def test_correction_that_is_taken_back_while_it_is_translated_says_and_shows_nothing() -> None:
    conversation, player = conversation_with()
    conversation.said.correct((0, 1), "Goodbye.")
    conversation.said.undo()
    await asyncio.sleep(0.05)
    assert [row.source for row in conversation.rows()] == ["Hello.", "Thanks."]
    assert not player.waiting_s


async def test_second_correction_that_is_taken_back_leaves_the_first() -> None:
    conversation, player = conversation_with()
    conversation.said.correct((0, 1), "Goodbye.")
    await until(lambda: conversation.record.replaced((0, 1)) and player.waiting_s)
    conversation.said.correct((0, 1), "Good night.")
    conversation.said.undo()
    await asyncio.sleep(0.05)
    assert [row.source for row in conversation.rows()] == ["Hello.", "Goodbye."]
    conversation.said.undo()
    assert [row.source for row in conversation.rows()] == ["Hello.", "Thanks."]


async def test_clause_that_is_repeated_slowly_and_taken_back_is_not_spoken() -> None:
    conversation, player = conversation_with()
    assert conversation.said.slower()
    conversation.said.undo()
    await asyncio.sleep(0.05)
    assert not player.waiting_s
    assert not conversation.said._asked


async def test_silenced_voice_says_nothing_whatever_is_asked_for() -> None:
    conversation, player = conversation_with()
    spoken(conversation, 1)
    conversation.mute_voice()
    assert not conversation.said.repeat()
    assert not conversation.said.slower()
    conversation.said.correct((0, 1), "Goodbye.")
    await asyncio.gather(*conversation.said._asked.values())
    assert not player.waiting_s


async def test_correction_that_is_under_way_at_the_end_is_in_the_transcript() -> None:
    conversation, _ = conversation_with()
    conversation.channels.clear()
    conversation.said.muted = True
    conversation.said.correct((0, 1), "Goodbye.")
    await conversation.run(Quiet())
    assert [row.target for row in conversation.rows()] == ["Olá.", "Adeus."]


@pytest.mark.parametrize(("key", "open_ears"), [("en", [True, False]), ("pt", [False, True]), ("", [False, False])])
async def test_talk_key_opens_the_microphone_of_its_language(
    key: str, open_ears: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.desk.conversation.RELEASE_S", 0.0)
    conversation, _ = conversation_with(push_to_talk=True, speaks=("en", "pt"))
    conversation.talk(key or "en")
    if not key:
        conversation.talk("en")
        await asyncio.sleep(0.01)
    assert [channel.ear.open for channel in conversation.channels] == open_ears


async def test_what_is_said_as_a_talk_key_is_let_go_is_heard() -> None:
    conversation, _ = conversation_with(push_to_talk=True)
    conversation.talk("en")
    conversation.talk("en")
    assert conversation.channels[0].ear.open


async def test_remote_party_is_heard_whichever_key_is_down_and_mute_opens_nothing() -> None:
    conversation, _ = conversation_with(push_to_talk=True, speaks=("en", "pt"))
    conversation.channels[1].remote = True
    conversation._open_ears()
    assert [channel.ear.open for channel in conversation.channels] == [False, True]
    conversation.mute()
    conversation.mute()
    assert [channel.ear.open for channel in conversation.channels] == [False, True]


async def test_sides_that_change_in_a_call_change_what_each_hears() -> None:
    conversation, _ = conversation_with(speaks=("en", "pt"))
    mine, theirs = Mouth(Speaker()), Mouth(Speaker())
    conversation.mouths.update(en=mine, pt=theirs)
    conversation.swap()
    assert conversation.channels[0].speaks == "pt"
    assert conversation.mouths == {"en": theirs, "pt": mine}


def test_phrase_goes_on_before_what_was_asked_for_meanwhile() -> None:
    player = Player()
    for turn, level, goes_on in ((1, 0.1, False), (2, 0.3, False), (1, 0.2, True)):
        player.play(Piece(turn, np.full(FRAME, level, np.float32), goes_on=goes_on))
    assert [float(player.frame()[0]) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_phrase_that_was_hushed_stays_so_where_another_turn_is_stopped() -> None:
    player = Player()
    player.play(Piece(2, LOUD))
    player.stop()
    player.stop(1)
    player.play(Piece(2, LOUD, goes_on=True))
    assert not player.waiting_s


async def test_session_that_ends_early_ends_the_conversation_with_its_own_error() -> None:
    async def events() -> AsyncIterator[AnyEvent]:
        yield Voice(emitted_ms=0, source_ms=0, active=True)
        yield End(emitted_ms=0, source_ms=0, segments=0, misses=0, reason="engine-failed", message="It failed.")

    conversation, _ = conversation_with()
    session = SimpleNamespace(events=events, speaks=lambda language: None)
    conversation.join([replace(person(conversation), session=cast(Any, session))])
    with pytest.raises(TsuyakuError, match="It failed") as raised:
        await conversation.run(Quiet())
    assert raised.value.code == "engine-failed"


async def test_recording_is_not_overwritten_by_what_the_loudspeaker_plays(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    wish = Wish(files=(path,), speak=tmp_path / "." / "a.wav")
    with pytest.raises(InputError, match="one of the recordings"):
        set_up(wish, DeskConfig(("en", "pt")), build(EngineConfig()), SessionConfig())
    assert path.read_bytes() == b"sound"


def test_transcript_of_an_earlier_conversation_is_replaced_by_the_first_event_of_this_one(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text("earlier\n")
    with path.open("a") as stream:
        add = _appending(stream)
        assert path.read_text() == "earlier\n"
        add(0, Voice(emitted_ms=0, source_ms=0, active=True))
    assert "earlier" not in path.read_text()
    assert '"voice"' in path.read_text()


def test_device_that_a_transcript_is_written_to_is_neither_emptied_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.symlink_to("/dev/null")
    with path.open("a") as stream:
        _appending(stream)(0, Voice(emitted_ms=0, source_ms=0, active=True))
    _replace(path.resolve(), "said")
    assert path.is_symlink()
    assert Path("/dev/null").is_char_device()


def test_recorder_that_finds_no_room_lets_the_conversation_go_on_and_says_so_at_the_end() -> None:
    recorder = Recorder(Path("/dev/null"), DESK_RATE)
    recorder._file._file = io.FileIO("/dev/full", "wb")
    for _ in range(250):
        recorder.record(LOUD)
    with pytest.raises(UnavailableError, match="no room"):
        recorder.close()
