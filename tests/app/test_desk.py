"""The parts of the desk that know no device: rings, the player, health, half duplex, rows, devices by name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from app.cli.interpret import _speeds, _voices
from app.desk.call import call_devices
from app.desk.channel import Channel
from app.desk.config import BargeIn, DeskConfig, Mode
from app.desk.conversation import Conversation
from app.desk.devices import Device, Remembered, choose, recall, remember
from app.desk.echo import Passing
from app.desk.floor import PRE_ROLL_S, TAIL_S, Floor
from app.desk.health import Health, Notice
from app.desk.loop import LATE_S, SETTLED_S, TICK_S, Ear, Mouth, SoundLoop
from app.desk.player import Piece, Player
from app.desk.ports import Loudspeaker, refused
from app.desk.record import Record
from app.desk.ring import Ring
from app.desk.screen import latency, meter
from app.desk.sound import DESK_RATE, FRAME, FRAME_S, SILENCE
from app.engines import EngineConfig, build
from app.formats import DOCUMENTS
from models.errors import InputError, UnavailableError
from models.protocols import Samples, TranslationRequest
from pipeline.config import SessionConfig
from pipeline.engines import Translated, TranslationEngine
from pipeline.events import Translation, Voice, Words

LOUD = np.full(FRAME, 0.5, np.float32)
DEVICES = [
    Device("microphone", "usb", "USB Headset", 1, 0),
    Device("microphone", "built-in", "Laptop Microphone", 2, 0, default=True),
    Device("loudspeaker", "speaker", "Laptop Loudspeaker", 2, 0),
]


def test_ring_gives_back_what_fits_and_counts_the_rest() -> None:
    ring = Ring(10)
    for start in range(0, 40, 8):
        ring.write(np.arange(start, start + 8, dtype=np.float32))
        assert list(ring.read(8)) == list(range(start, start + 8))
    ring.write(np.zeros(13, np.float32))
    assert ring.overruns == 3
    assert len(ring) == 10


def test_player_speaks_pieces_without_a_gap_and_says_which_began() -> None:
    player = Player()
    player.play(Piece(1, np.full(FRAME + 10, 0.1, np.float32)))
    player.play(Piece(2, np.full(FRAME - 10, 0.2, np.float32)))
    sound = np.concatenate([player.frame(), player.frame()])
    assert np.count_nonzero(sound) == 2 * FRAME
    assert player.begun() == [1, 2]
    assert player.frame() is SILENCE


def test_held_player_finishes_what_has_begun() -> None:
    player = Player()
    player.play(Piece(1, np.ones(2 * FRAME, np.float32)))
    player.play(Piece(2, LOUD))
    player.frame()
    player.hold(True)
    assert player.frame().any()
    assert player.frame() is SILENCE
    player.hold(False)
    assert player.frame().any()


def test_held_player_finishes_a_phrase_of_which_more_comes() -> None:
    player = Player()
    player.play(Piece(1, LOUD))
    player.frame()
    player.hold(True)
    player.play(Piece(1, LOUD, goes_on=True))
    player.play(Piece(1, LOUD))
    assert player.frame().any()
    assert player.frame() is SILENCE


@pytest.mark.parametrize("turn", [1, None])
def test_what_comes_of_a_stopped_phrase_is_not_spoken(turn: int | None) -> None:
    player = Player()
    player.play(Piece(1, LOUD))
    player.stop(turn)
    player.play(Piece(1, LOUD, goes_on=True))
    player.play(Piece(1, LOUD, goes_on=True))
    assert player.frame() is SILENCE
    player.play(Piece(2, LOUD))
    player.play(Piece(2, LOUD, goes_on=True))
    assert player.frame().any()
    assert player.frame().any()


def test_what_comes_of_a_phrase_is_spoken_where_another_turn_was_stopped() -> None:
    player = Player()
    player.play(Piece(2, LOUD))
    player.stop(1)
    player.play(Piece(2, LOUD, goes_on=True))
    assert player.frame().any()
    assert player.frame().any()


def test_phrase_that_is_taken_back_waits_and_is_spoken_once_more_from_its_start() -> None:
    player = Player()
    player.play(Piece(1, np.full(FRAME, 0.1, np.float32)))
    player.play(Piece(2, np.full(FRAME, 0.2, np.float32)))
    player.play(Piece(2, np.full(2 * FRAME, 0.3, np.float32), goes_on=True))
    player.play(Piece(3, np.full(FRAME, 0.4, np.float32)))
    assert player.step_back(1.0) is None, "nothing sounds"
    for _ in range(3):
        player.frame()
    assert player.step_back(FRAME_S) is None, "it began earlier"
    assert player.step_back(2 * FRAME_S) == 2
    player.frame()
    assert player.frame() is SILENCE
    player.hold(False)
    assert [float(player.frame()[0]) for _ in range(4)] == pytest.approx([0.2, 0.3, 0.3, 0.4])
    assert player.begun().count(1) == 1


def test_phrase_is_taken_back_only_once_for_else_it_might_never_be_said() -> None:
    player = Player()
    player.play(Piece(1, np.ones(4 * FRAME, np.float32)))
    player.frame()
    assert player.step_back(1.0) == 1
    player.frame()
    player.hold(False)
    player.frame()
    assert player.step_back(1.0) is None


def test_phrase_that_was_stopped_is_not_taken_back() -> None:
    player = Player()
    player.play(Piece(1, np.ones(4 * FRAME, np.float32)))
    player.frame()
    player.stop()
    assert player.step_back(1.0) is None


def test_stopped_turn_is_not_spoken_and_the_others_are() -> None:
    player = Player()
    player.play(Piece(1, LOUD))
    player.play(Piece(2, LOUD))
    assert player.stop(1) == 1
    player.frame()
    assert player.begun() == [2]


def test_ducked_voice_is_quieter() -> None:
    player = Player()
    player.play(Piece(1, np.full(FRAME * 20, 0.5, np.float32)))
    player.duck(True)
    frames = [player.frame() for _ in range(15)]
    assert frames[-1].max() < 0.25 * frames[0].max()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError("Device unavailable", -9985), "device-busy"),
        (OSError("Unanticipated host error: Permission denied", -9999), "device-refused"),
        (OSError("Invalid sample rate", -9997), "device-failed"),
    ],
)
def test_device_that_cannot_be_opened_is_said_to_be_busy_refused_or_broken(error: OSError, code: str) -> None:
    assert refused("Mic", error).code == code


def test_voices_and_speeds_are_chosen_for_both_sides_or_for_one() -> None:
    assert _voices(["espeak", "pt=kokoro/jf_alpha"], ("en", "pt")) == {"": "espeak", "pt": "kokoro/jf_alpha"}
    assert _speeds(["pt=0.8", "0.9"], ("en", "pt")) == {"en": 0.9, "pt": 0.8}
    for wrong in ("fast", "de=0.8", "9"):
        with pytest.raises(InputError):
            _speeds([wrong], ("en", "pt"))
    with pytest.raises(InputError):
        _voices(["de=kokoro"], ("en", "pt"))


@pytest.mark.parametrize("kind", ["txt", "srt", "vtt", "json"])
def test_transcript_is_saved_with_both_languages(kind: str) -> None:
    record = Record(("en", "pt"))
    record.add(0, words("en", " Hello.", "", 900))
    record.add(0, translation("Olá.", final=True))
    text = DOCUMENTS[kind](record.transcript(), None, True)
    assert "Hello." in text
    assert "Olá." in text


def test_silent_and_clipping_microphones_are_said_within_two_seconds_and_once() -> None:
    health = Health("Mic")
    codes = [notice.code for _ in range(200) for notice in health.hear(SILENCE)]
    codes += [notice.code for _ in range(200) for notice in health.hear(np.ones(FRAME, np.float32))]
    assert codes == ["microphone-silent", "microphone-heard", "microphone-clipping"]


def words(language: str, committed: str, tentative: str, end: float) -> Words:
    return Words(
        emitted_ms=end,
        language=language,
        committed=committed,
        tentative=tentative,
        source_start_ms=0,
        source_end_ms=end,
        confidence=1,
    )


def translation(committed: str, *, final: bool) -> Translation:
    return Translation(
        emitted_ms=0,
        language="pt",
        segment=0,
        committed=committed,
        tentative="",
        final=final,
        source_start_ms=0,
        source_end_ms=900,
        engine="x",
    )


def test_tentative_words_retract_and_committed_ones_stay() -> None:
    record = Record(("en", "pt"))
    record.add(0, words("pt", "", " O que", 500))
    assert record.rows()[0].source_tail == " O que"
    record.add(0, words("en", " Hello.", "", 900))
    (row,) = record.rows()
    assert (row.language, row.source, row.source_tail) == ("en", "Hello.", "")


def test_correction_replaces_a_clause_and_undo_takes_back_first_it_then_the_clause() -> None:
    record = Record(("en", "pt"))
    record.add(0, words("en", " Hello.", "", 900))
    record.add(0, translation("Olá.", final=True))
    record.correct((0, 0), "Goodbye.", "Adeus.")
    assert record.transcript().text("pt") == "Adeus."
    record.undo()
    assert record.transcript().text("pt") == "Olá."
    record.undo()
    assert record.rows() == []


def two_clauses(record: Record) -> None:
    record.add(0, words("en", " Hello.", "", 900))
    record.add(0, translation("Olá.", final=True))
    record.add(0, words("en", " Thanks.", "", 1800))
    later = translation("Obrigado.", final=True)
    record.add(0, msgspec.structs.replace(later, segment=1, source_start_ms=900, source_end_ms=1800))


def test_undo_takes_back_the_correction_of_an_older_clause_too() -> None:
    record = Record(("en", "pt"))
    two_clauses(record)
    record.correct((0, 0), "Goodbye.", "Adeus.")
    assert record.undo() == (0, 0)
    assert record.transcript().text("pt") == "Olá. Obrigado."
    assert record.undo() == (0, 1)
    assert record.transcript().text("pt") == "Olá."


class Dictionary(TranslationEngine):
    """Knows one sentence."""

    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        return Translated({"Goodbye.": "Adeus."}[request.source], "dictionary", 0.0, 0.0)


async def test_correction_is_of_the_clause_that_was_chosen_and_not_of_one_said_while_it_was_typed() -> None:
    mouth = Mouth(Speaker())
    engines = replace(build(EngineConfig()), translator=Dictionary())
    conversation = Conversation(DeskConfig(("en", "pt")), engines, {"pt": mouth})
    two_clauses(conversation.record)
    conversation.said.correct((0, 0), " Goodbye. ")
    async with asyncio.timeout(60):
        while not mouth.player.waiting_s:
            await asyncio.sleep(0.01)
    shown = [(row.source, row.target) for row in conversation.rows()]
    assert shown == [("Goodbye.", "Adeus."), ("Thanks.", "Obrigado.")]


async def test_end_does_not_wait_for_a_loudspeaker_that_plays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.desk.conversation.STUCK_S", 0.1)
    mouth = Mouth(Speaker())
    mouth.player.play(Piece(1, LOUD))
    conversation = Conversation(DeskConfig(("en", "pt")), build(EngineConfig()), {"pt": mouth})
    async with asyncio.timeout(10):
        await conversation._drained()


@pytest.mark.parametrize("wanted", ["usb", "USB Headset", "1", "headset"])
def test_device_is_chosen_by_name_number_or_part(wanted: str) -> None:
    assert choose(DEVICES, "microphone", wanted).name == "usb"


def test_default_device_is_chosen_where_none_is_named() -> None:
    assert choose(DEVICES, "microphone", None).name == "built-in"


def test_unknown_device_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(InputError, match="usb, built-in"):
        choose(DEVICES, "microphone", "nothing")
    with pytest.raises(UnavailableError):
        choose([], "microphone", None)


def test_chosen_devices_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state" / "devices.json"
    assert recall(path) == Remembered()
    remember(Remembered("usb", "speaker"), path)
    assert recall(path) == Remembered("usb", "speaker")


def test_call_without_virtual_devices_is_explained() -> None:
    with pytest.raises(UnavailableError) as raised:
        call_devices(DEVICES)
    assert raised.value.code == "call-missing"


def test_meters_show_their_range() -> None:
    assert meter(-100).startswith("▯")
    assert "▯" not in meter(0)
    assert latency(3000).endswith("late")


class SilentPort:
    """A microphone that gives what is written into its ring."""

    name = "Mic"
    latency_s = 0.0

    def __init__(self) -> None:
        self.rings = [Ring(4 * FRAME)]

    def open(self) -> None: ...

    def close(self, wait_s: float = 0.0) -> None: ...

    def alive(self) -> bool:
        return True


def test_sound_that_was_lost_becomes_silence_of_the_same_length() -> None:
    port = SilentPort()
    heard: list[np.ndarray] = []
    ear = Ear(port, 0, heard.append)
    for _ in range(20):
        port.rings[0].write(LOUD)
    for _ in range(20):
        ear.hear(SILENCE)
        port.rings[0].write(LOUD)
    given = 40 * FRAME * 16_000 // DESK_RATE
    assert abs(sum(map(len, heard)) - given) < 8 * FRAME


class Speaker(SilentPort):
    """A loudspeaker that played what is written into `played`."""

    name = "Speaker"
    ahead_s = 0.0
    underruns = 0

    def __init__(self) -> None:
        super().__init__()
        self.ring, self.played = Ring(4 * FRAME), Ring(DESK_RATE)


def sounding() -> Mouth:
    """One whose loudspeaker has played a frame."""
    mouth = Mouth(Speaker())
    mouth.port.played.write(LOUD)
    assert mouth.told(FRAME)
    assert mouth.played(FRAME) is not SILENCE
    assert not mouth.moved()
    return mouth


def test_loudspeaker_that_is_late_in_telling_what_it_played_is_waited_for() -> None:
    mouth = sounding()
    assert not mouth.told(10 * FRAME)
    mouth.port.played.write(np.tile(LOUD, 10))
    assert mouth.told(10 * FRAME)
    assert mouth.played(10 * FRAME).any()
    assert not mouth.moved()


def test_loudspeaker_that_played_nothing_meanwhile_was_silent_and_has_moved_its_echo() -> None:
    mouth = sounding()
    heard = round((LATE_S + 0.05) * DESK_RATE)
    assert mouth.told(heard)
    assert not mouth.played(heard).any()
    assert mouth.moved()
    assert mouth.told(FRAME), "and nothing waits for it until it is back"
    assert not mouth.moved()


def test_microphone_waits_no_longer_than_once_for_what_a_loudspeaker_never_played() -> None:
    mouth = sounding()
    for at in np.arange(0, 2 * SETTLED_S, TICK_S):
        mouth.settle(10 * FRAME, 100 + float(at))
        if mouth.moved():
            break
    assert at > SETTLED_S, "not before it is sure"
    for _ in range(10):
        assert mouth.told(FRAME)
        assert mouth.played(FRAME) is SILENCE
    assert not mouth.told(FRAME), "and then again with what is told"
    assert not mouth.moved()


def test_loudspeaker_that_has_told_all_is_given_no_silence_for_another_that_has_not() -> None:
    mouth = sounding()
    mouth.port.played.write(np.tile(LOUD, 10))
    for n in range(1000):
        mouth.settle(10 * FRAME, 100 + n * TICK_S)
    assert not mouth.moved()
    assert mouth.played(FRAME).any()


def test_loudspeaker_that_tells_late_and_in_bursts_was_not_silent() -> None:
    mouth = sounding()
    for n in range(1000):
        mouth.settle((n % 12) * FRAME, 100 + n * TICK_S)
    assert not mouth.moved()
    assert not mouth.told(FRAME)


def test_loudspeaker_that_ran_dry_has_moved_its_echo() -> None:
    mouth = sounding()
    mouth.port.underruns += 1
    assert mouth.moved()
    assert not mouth.moved()


def test_voice_is_handed_over_further_ahead_after_each_tear() -> None:
    speaker = Loudspeaker(DEVICES[0])
    data = np.zeros((FRAME, 1), np.float32)

    def plays() -> float:
        speaker._speak(data, FRAME, None, SimpleNamespace(output_underflow=False))  # pyright: ignore[reportPrivateUsage]
        return speaker.ahead_s

    before = plays()
    assert plays() == before, "nothing was handed over yet"
    for torn in range(1, 3):
        speaker.ring.write(LOUD)
        plays()
        assert plays() == plays() == pytest.approx(before + torn * FRAME_S)


class Broken(Passing):
    def process(self, heard: Samples, played: Samples) -> Samples:
        raise ValueError("shapes do not match")


def test_echo_canceller_that_fails_is_said_and_replaced_by_a_closed_microphone() -> None:
    port = SilentPort()
    heard: list[np.ndarray] = []
    ear = Ear(port, 0, heard.append, canceller=Broken())
    codes: list[str] = []
    for _ in range(20):
        port.rings[0].write(LOUD)
        codes += [notice.code for notice in ear.hear(LOUD) or ()]
    assert codes == ["echo-failed"]
    assert not np.concatenate(heard).any()
    for _ in range(100):
        port.rings[0].write(LOUD)
        ear.hear(SILENCE)
    assert heard[-1].any()


def test_sound_loop_that_ends_of_itself_says_so() -> None:
    port = SilentPort()

    def deliver(samples: Samples) -> None:
        raise ValueError("nobody takes it")

    told, failures = threading.Event(), list[Exception]()

    def failed(error: Exception) -> None:
        failures.append(error)
        told.set()

    loop = SoundLoop([Ear(port, 0, deliver)], [], lambda notice: None)
    for _ in range(4):
        port.rings[0].write(LOUD)
    loop.start(failed)
    assert told.wait(10)
    loop.stop()
    assert isinstance(failures[0], ValueError)


class Asleep(SilentPort):
    """A device of a sound server that does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = threading.Event(), threading.Event()

    def alive(self) -> bool:
        self.asked.set()
        return self.answer.wait(10)


def test_sound_goes_on_while_a_sound_server_does_not_answer() -> None:
    port, heard = Asleep(), threading.Event()
    loop = SoundLoop([Ear(port, 0, lambda samples: heard.set())], [], lambda notice: None)
    loop.start(lambda error: None)
    assert port.asked.wait(10)
    for _ in range(4):
        port.rings[0].write(LOUD)
    assert heard.wait(5)
    port.answer.set()
    loop.stop()


class FailingLoop(SoundLoop):
    """Its sound ends as soon as it has begun."""

    def start(self, failed: Callable[[Exception], None]) -> None:
        failed(ValueError("shapes do not match"))


async def test_sound_that_ends_of_itself_ends_the_conversation() -> None:
    def nothing(notice: Notice) -> None: ...

    conversation = Conversation(DeskConfig(("en", "pt")), build(EngineConfig()), {})
    conversation.join([])
    async with asyncio.timeout(10):
        with pytest.raises(UnavailableError, match="Sound stopped") as raised:
            await conversation.run(FailingLoop([], [], nothing))
    assert raised.value.code == "sound-failed"


async def test_answer_to_a_person_who_only_paused_is_late_from_their_end_on() -> None:
    """Consecutive: what is ready when they pause is spoken when they have ended; that is no lateness of the voice."""
    conversation = Conversation(DeskConfig(("en", "pt")), build(EngineConfig()), {})
    channel = somebody(conversation)
    conversation.join([channel])
    ends: list[float] = []
    for _ in range(2):
        conversation._voice(channel, Voice(emitted_ms=0, source_ms=0, active=True))
        conversation._voice(channel, Voice(emitted_ms=0, source_ms=0, active=False))
        assert channel.ended_at is not None
        ends.append(channel.ended_at)
        conversation._unanswered.setdefault(7, channel.ended_at)
        await asyncio.sleep(0.01)
    assert ends[1] > ends[0]
    assert conversation._unanswered[7] == ends[1]


def somebody(conversation: Conversation) -> Channel:
    return Channel(Ear(SilentPort(), 0, lambda samples: None), conversation.session(SessionConfig()))


def talking(mode: Mode = Mode.CONSECUTIVE, barge_in: BargeIn = BargeIn.DUCK) -> tuple[Floor, Channel, Player]:
    """A floor with one person and one voice for both languages, whose first phrase has sounded for 0.1 s."""
    conversation = Conversation(DeskConfig(("en", "pt"), mode, barge_in), build(EngineConfig()), {})
    mouth = Mouth(Speaker())
    floor, channel = Floor(mode, barge_in, {"en": mouth, "pt": mouth}), somebody(conversation)
    floor.join([channel])
    mouth.player.play(Piece(7, np.ones(DESK_RATE, np.float32)))
    for _ in range(10):
        mouth.player.frame()
    return floor, channel, mouth.player


def quiet() -> tuple[Floor, Channel, Player]:
    """The same, with nothing to say any more."""
    floor, channel, player = talking()
    player.stop()
    player.frame()
    return floor, channel, player


@pytest.mark.parametrize("barge_in", BargeIn)
async def test_voice_that_begins_as_a_person_goes_on_steps_back_until_they_have_ended(barge_in: BargeIn) -> None:
    floor, channel, player = talking(barge_in=barge_in)
    assert floor.begins(channel, PRE_ROLL_S + 0.1) == {7}
    player.frame()
    assert player.frame() is SILENCE
    floor.ends(channel, 0.5)
    assert player.frame().any()
    assert player.waiting_s == pytest.approx(0.99)


@pytest.mark.parametrize(("barge_in", "goes_on"), [(BargeIn.DUCK, True), (BargeIn.STOP, False)])
async def test_person_who_begins_later_speaks_over_the_voice(barge_in: BargeIn, goes_on: bool) -> None:
    floor, channel, player = talking(barge_in=barge_in)
    for _ in range(40):
        player.frame()
    assert floor.begins(channel, PRE_ROLL_S) == set()
    assert (player.waiting_s > 0.1) == goes_on


async def test_simultaneous_voice_goes_on_whoever_begins() -> None:
    floor, channel, player = talking(Mode.SIMULTANEOUS)
    assert floor.begins(channel, PRE_ROLL_S + 0.1) == set()
    assert player.frame().any()


async def test_nothing_begins_while_a_person_speaks_and_what_shows_no_words_is_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.desk.floor.WORDLESS_S", 0.02)
    floor, channel, player = quiet()
    floor.begins(channel, PRE_ROLL_S)
    player.play(Piece(8, LOUD))
    assert player.frame() is SILENCE
    await asyncio.sleep(0.03)
    floor.passes()
    assert player.frame().any()
    player.play(Piece(9, LOUD))
    channel.words = True
    floor.passes()
    assert player.frame() is SILENCE
    floor.ends(channel, 0.5)
    assert player.frame().any()


async def test_whoever_stirs_before_the_gate_opens_holds_the_voice_for_a_moment_and_noise_does_not_hold_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.desk.floor.STIR_S", 0.02)
    floor, channel, player = quiet()
    stir(floor, channel)
    player.play(Piece(8, LOUD))
    assert player.frame() is SILENCE
    await asyncio.sleep(0.03)
    stir(floor, channel)
    assert player.frame().any()


async def test_voice_steps_back_for_whoever_stirs_as_it_begins() -> None:
    floor, channel, player = talking()
    assert stir(floor, channel) == {7}
    player.frame()
    assert player.frame() is SILENCE


async def test_person_who_goes_on_as_their_pause_is_taken_for_the_end_holds_the_voice() -> None:
    floor, channel, player = quiet()
    floor.begins(channel, PRE_ROLL_S)
    stir(floor, channel)
    player.play(Piece(8, LOUD))
    floor.ends(channel, 0.5)
    assert player.frame() is SILENCE


async def test_end_of_what_was_said_does_not_stir() -> None:
    floor, channel, player = quiet()
    floor.begins(channel, PRE_ROLL_S)
    stir(floor, channel)
    player.play(Piece(8, LOUD))
    floor.ends(channel, TAIL_S)
    assert player.frame().any()


def stir(floor: Floor, channel: Channel) -> set[int]:
    channel.ear.stir.count += 1
    return floor.passes()
