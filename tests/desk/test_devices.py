"""Microphone and loudspeaker of a running desk: unplugged, returned, muted, too loud; found, chosen and remembered."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from benchmarks.room import near
from models.protocols import SAMPLE_RATE
from tests.conftest import Recording
from tests.desk.conftest import spoken
from tests.desk.room import Listener, Room, wait_until
from tests.desk.running import TSUYAKU, Desk, Turn, answered, say

pytestmark = pytest.mark.desk

NOTICED_S = 2.0
READ_S = 0.3  # until a test has read what the desk wrote


@dataclass
class Troubles:
    """What was done to the devices and when the desk said so, in s from the one to the other."""

    noticed_s: dict[str, float | None] = field(default_factory=dict[str, float | None])
    turns: list[Turn] = field(default_factory=list[Turn])
    lines: str = ""
    state: dict[str, str] = field(default_factory=dict[str, str])


@pytest.fixture(scope="module")
def troubles(
    room: Room,
    people: Listener,
    voice: Listener,
    recordings: dict[str, Recording],
    tmp_path_factory: pytest.TempPathFactory,
) -> Troubles:
    found = Troubles()
    english = spoken(recordings, "fleurs_en_4", "sample")[0]
    portuguese = spoken(recordings, "pt_coxinha", "sample_pt")[0]

    def noticed(code: str, since: float) -> None:
        end = time.monotonic() + 6
        while desk.notice(code, since) is None and time.monotonic() < end:
            time.sleep(0.05)
        at = desk.notice(code, since)
        found.noticed_s[code] = None if at is None else at - since

    def turn(one: Recording) -> None:
        said = say(room, people, one.name, one.language, near(one.path))
        answered(said, voice)
        said.words = desk.words(said.began - 0.4, said.ended + 0.8)
        found.turns.append(said)

    with Desk(room, tmp_path_factory.mktemp("desk"), "--microphone", "mic", "--loudspeaker", "speaker") as desk:
        turn(english)
        now = time.monotonic()
        room.unplug()
        noticed("device-gone", now)
        time.sleep(1)
        now = time.monotonic()
        room.plug()
        noticed("device-back", now)
        turn(portuguese)
        now = time.monotonic()
        room.mute(True)
        noticed("microphone-silent", now)
        now = time.monotonic()
        room.mute(False)
        noticed("microphone-heard", now)
        now = time.monotonic()
        room.say(np.sign(np.sin(np.arange(2 * SAMPLE_RATE) * 0.1)).astype(np.float32))
        noticed("microphone-clipping", now)
        time.sleep(2)
        turn(english)
        found.lines = desk.output.read_text("utf-8")
    found.state = json.loads((room.state / "tsuyaku" / "devices.json").read_text("utf-8"))
    print({code: f"{late:.1f} s" if late is not None else "never" for code, late in found.noticed_s.items()})
    return found


@pytest.mark.parametrize(
    "code", ["device-gone", "device-back", "microphone-silent", "microphone-heard", "microphone-clipping"]
)
def test_trouble_is_said_within_two_seconds(troubles: Troubles, code: str) -> None:
    late = troubles.noticed_s[code]
    assert late is not None
    assert late <= NOTICED_S + READ_S


def test_conversation_goes_on_after_the_microphone_returned_and_keeps_what_was_said(troubles: Troubles) -> None:
    assert [turn.heard for turn in troubles.turns] == [turn.language for turn in troubles.turns]
    assert all(turn.first_voice_s is not None for turn in troubles.turns)
    assert [line[8:10] for line in troubles.lines.splitlines()][:1] == [troubles.turns[0].language]


def test_chosen_devices_are_remembered(troubles: Troubles) -> None:
    assert troubles.state == {"microphone": "mic", "loudspeaker": "speaker"}


def test_command_ends_and_keeps_what_was_said_while_the_sound_server_hangs(
    room: Room, people: Listener, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    one = spoken(recordings, "fleurs_en_4", "sample")[0]
    with Desk(room, tmp_path) as desk:
        turn = say(room, people, one.name, one.language, near(one.path))
        room.freeze()
        try:
            desk.process.send_signal(signal.SIGINT)
            desk.process.wait(40)
        finally:
            room.thaw()
        assert desk.words(turn.began - 0.4)


def test_devices_are_listed_by_name(room: Room) -> None:
    done = subprocess.run(
        [TSUYAKU, "interpret", "--list-devices"], env=room.environment, capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert any(line[1:2] == ["mic"] and "default" in " ".join(line) for line in lines), done.stdout
    assert any(line[1:2] == ["speaker"] for line in lines)
    assert "(virtual)" in done.stdout


def test_loudspeaker_that_is_unplugged_is_waited_for(
    room: Room, people: Listener, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    one = spoken(recordings, "pt_coxinha", "sample_pt")[0]
    with Desk(room, tmp_path, "--loudspeaker", "speaker") as desk:
        now = time.monotonic()
        room.unplug_speaker()
        wait_until(lambda: desk.notice("device-gone", now), NOTICED_S + READ_S, "the loudspeaker to be missed")
        now = time.monotonic()
        room.plug_speaker()
        wait_until(lambda: desk.notice("device-back", now), NOTICED_S + READ_S, "the loudspeaker to be back")
        again = Listener(room, "speaker.monitor")
        try:
            turn = say(room, people, one.name, one.language, near(one.path))
            answered(turn, again)
        finally:
            again.stop()
        assert turn.first_voice_s is not None


def test_unknown_device_is_refused_in_one_line(room: Room) -> None:
    done = subprocess.run(
        [TSUYAKU, "interpret", "--between", "en", "pt", "--microphone", "nothing", "--plain"],
        env=room.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip().splitlines()[-1].endswith("[device-unknown]")
    assert done.returncode != 0
