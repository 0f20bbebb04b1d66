"""What a session finds out, as messages to those whom it concerns."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from app.broadcast import Broadcast, Member
from app.history import History
from app.outbox import Outbox
from app.protocol import Role, Wanted
from app.reporter import Reporter
from pipeline.events import AUDIO_DROPPED, Miss, Speech, StageTime, Trace


class Listening(Member):
    """A member whose messages are read here."""

    def __init__(self, broadcast: Broadcast, role: Role, *captions: str) -> None:
        wanted = Wanted(captions=captions)
        outbox = Outbox(broadcast.history, broadcast.tails, wanted, 0, lambda: None)
        super().__init__(role, outbox, lambda code: None)
        broadcast.members.add(self)

    def got(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while (item := self.outbox.next()) is not None:
            found.append(json.loads(item.content))
        return found


def trace(*, spoken_ms: float | None) -> Trace:
    return Trace(
        emitted_ms=6000,
        language="pt",
        segment=4,
        source_start_ms=1000,
        captured_ms=3000,
        committed_ms=3700,
        translated_ms=3900,
        spoken_ms=spoken_ms,
        stages={"recognise": StageTime(100, 150)},
        unaccounted_ms=650,
        end_to_end_ms=900,
    )


def speech(*, emitted_ms: float, play_ms: float) -> Speech:
    return Speech(
        emitted_ms=emitted_ms,
        language="pt",
        segment=4,
        text="Bom dia.",
        sample_rate=24_000,
        duration_ms=500,
        play_ms=play_ms,
        rate=1,
        last=False,
        dropped=False,
        source_start_ms=1000,
        source_end_ms=3000,
        pcm=bytes(24_000),
    )


def miss(stage: str, action: str, *, actual_ms: float, language: str = "pt") -> Miss:
    return Miss(
        emitted_ms=6000,
        stage=stage,
        language=language,
        segment=4,
        budget_ms=250,
        actual_ms=actual_ms,
        action=action,
    )


def test_stages_of_a_clause_add_up_to_what_people_waited() -> None:
    broadcast = Broadcast(History(10))
    reader = Listening(broadcast, "listener", "pt")
    reporter = Reporter(1, "en", broadcast)
    reporter.capture_ms = 60
    reporter.take(trace(spoken_ms=4100))
    (lag,) = reader.got()
    assert lag["stages"] == {"capture": 60, "recognise": 700, "translate": 200, "speak": 200}
    assert lag["end_to_end_ms"] == lag["stages"]["recognise"] + lag["stages"]["translate"]


def test_clause_that_sounded_before_its_end_was_translated_took_no_time_to_speak() -> None:
    broadcast = Broadcast(History(10))
    reader = Listening(broadcast, "listener", "pt")
    Reporter(1, "en", broadcast).take(trace(spoken_ms=3800))
    assert reader.got()[0]["stages"]["speak"] == 0


def test_speech_that_waits_for_the_clause_before_it_was_made_no_later() -> None:
    """The listener's page measures that wait itself."""
    broadcast = Broadcast(History(10))
    reader = Listening(broadcast, "listener", "pt")
    reporter = Reporter(1, "en", broadcast)
    reporter.take(speech(emitted_ms=4000, play_ms=5500))
    reporter.take(speech(emitted_ms=4300, play_ms=6000))
    reporter.take(trace(spoken_ms=5500))
    assert reader.got()[0]["stages"]["speak"] == 100


def test_time_of_a_clause_is_told_to_its_readers_and_to_who_speaks() -> None:
    broadcast = Broadcast(History(10))
    reader, other = Listening(broadcast, "listener", "pt"), Listening(broadcast, "listener", "ja")
    speaker = Listening(broadcast, "speaker")
    reporter = Reporter(1, "en", broadcast)
    reporter.take(miss("translate", "open clauses coalesced", actual_ms=400))
    reporter.take(trace(spoken_ms=None))
    for member in (reader, speaker):
        assert [(m["type"], m["misses"]) for m in member.got()] == [("lag", ["translate"])]
    assert other.got() == []


def test_failure_is_told_apart_from_an_engine_that_was_replaced() -> None:
    broadcast = Broadcast(History(10))
    reader = Listening(broadcast, "listener", "pt")
    reporter = Reporter(1, "en", broadcast)
    reporter.take(miss("speak", "voice-missing", actual_ms=0))
    reporter.take(miss("translate", "llama-resting", actual_ms=3))
    assert [(m["stage"], m["code"], m["replaced"]) for m in reader.got()] == [
        ("speak", "voice-missing", False),
        ("translate", "llama-resting", True),
    ]


def test_dropped_audio_is_told_to_everybody_and_not_all_the_time() -> None:
    broadcast = Broadcast(History(10))
    reader = Listening(broadcast, "listener", "ja")
    reporter = Reporter(1, "en", broadcast)
    told: list[int] = []
    for ms in range(0, 12_000, 100):
        dropped = miss("capture", AUDIO_DROPPED, actual_ms=0, language="")
        reporter.take(msgspec.structs.replace(dropped, segment=-1, emitted_ms=ms))
        told += [ms for message in reader.got() if (message["stage"], message["code"]) == ("capture", "audio-dropped")]
    assert told == [0, 5000, 10_000]


def test_failure_of_a_session_concerns_everybody() -> None:
    broadcast = Broadcast(History(10))
    reader = Listening(broadcast, "listener", "ja")
    Reporter(1, "en", broadcast).take(miss("session", "internal", actual_ms=0, language=""))
    assert reader.got()[0]["stage"] == "session"
