"""The full screen in a real terminal: what it shows in each state, what its keys do, and what it leaves behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.room import near
from tests.conftest import Recording
from tests.desk.conftest import spoken
from tests.desk.room import Listener, Room, wait_until
from tests.desk.running import READY_S, TSUYAKU, answered, say
from tests.desk.terminal import PROMPT, Terminal

pytestmark = pytest.mark.desk

COMMAND = (TSUYAKU, "interpret", "--between", "en", "pt")
KEYS = ("1 left", "2 right", "0 auto", "r repeat", "s slower", "w swap", "m mute", "v voice", "o mode", "c correct")
UNSPOILT = "0 1 0"


@pytest.fixture
def terminal(room: Room, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """What runs in it ends with it."""
    pictures = os.environ.get("TSUYAKU_DESK_PICTURES")
    folder = Path(pictures) / request.node.name if pictures else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    room.echo(60, -12.0)
    with Terminal(room.environment, folder) as made:
        yield made
    room.still()


def begin(terminal: Terminal, *options: str) -> None:
    terminal.press("C-l")
    terminal.run(*COMMAND, *options)
    terminal.shows("q quit", READY_S)


def end(terminal: Terminal) -> None:
    wait_until(lambda: terminal.modes.startswith("0"), 40, "the end")
    terminal.shows(PROMPT)


def sounds_for(voice: Listener, since: float) -> float:
    """s that the voice speaks, from when it begins to when it has been silent for a while."""
    wait_until(lambda: len(voice.loud(since)), 15, "the voice")
    wait_until(lambda: voice.silent_for(since) > 1.2, 40, "the end of the voice")
    loud = voice.loud(since)
    return float(loud[-1] - loud[0])


def test_states_and_keys_in_a_terminal_of_80_by_24(
    terminal: Terminal,
    room: Room,
    people: Listener,
    voice: Listener,
    recordings: dict[str, Recording],
    tmp_path: Path,
) -> None:
    saved = tmp_path / "talk.txt"
    one = spoken(recordings, "fleurs_en_4", "sample")[0]
    before = terminal.ask("stty -a")
    begin(terminal, "--save", str(saved))
    shown = terminal.picture("waiting")
    assert all(key in shown for key in KEYS), shown
    assert "EN" in shown
    assert "voice after – " in shown

    turn = say(room, people, one.name, one.language, near(one.path))
    terminal.picture("said")
    answered(turn, voice)
    shown = terminal.picture("answered")
    row = next(line for line in shown.splitlines() if "▸" in line)
    assert row.index("▸") < 40, "English is on the left"
    assert len(row.strip()) > 45, "its translation stands beside it"
    assert " of 2.5 s" in shown

    now = time.monotonic()
    terminal.press("r")
    plain = sounds_for(voice, now)
    now = time.monotonic()
    terminal.press("s")
    slow = sounds_for(voice, now)
    assert slow > 1.1 * plain

    terminal.press("2")
    terminal.shows("PT (chosen)")
    terminal.press("0")
    terminal.press("m")
    terminal.shows("microphone muted")
    terminal.picture("muted")
    terminal.press("m")
    terminal.press("v")
    terminal.shows("voice off")
    terminal.press("v")
    terminal.press("o")
    terminal.shows("simultaneous")
    terminal.press("o")
    terminal.shows("consecutive")
    terminal.press("w")
    wait_until(lambda: terminal.screen().splitlines()[0].lstrip().startswith("PT"), 5, "the other side")
    terminal.picture("swapped")
    terminal.press("w")

    terminal.press("c")
    wait_until(lambda: "quit" not in terminal.screen().rstrip().splitlines()[-1], 10, "the line for typing")
    terminal.press("C-a", "C-k")
    now = time.monotonic()
    terminal.type("Good morning, everybody.")
    terminal.picture("correcting")
    terminal.press("Enter")
    sounds_for(voice, now)
    terminal.shows("✎ Good morning, everybody.")
    terminal.shows("Bom dia")
    terminal.picture("corrected")
    terminal.press("u")
    wait_until(lambda: "Good morning" not in terminal.screen(), 5, "the correction to be undone")

    room.unplug()
    terminal.shows("is gone")
    terminal.picture("microphone-gone")
    room.plug()
    terminal.shows("is back")

    terminal.press("q")
    end(terminal)
    assert terminal.modes == UNSPOILT
    assert terminal.ask("stty -a") == before
    text = saved.read_text("utf-8")
    assert text.strip()
    assert "Bom dia" not in text, "what was undone is not saved"


def test_push_to_talk_listens_after_a_key_only_and_ctrl_c_restores_the_terminal(
    terminal: Terminal, room: Room, people: Listener, voice: Listener, recordings: dict[str, Recording]
) -> None:
    one = spoken(recordings, "fleurs_en_4", "sample")[0]
    before = terminal.ask("stty -a")
    begin(terminal, "--push-to-talk")
    terminal.shows("microphone muted")
    say(room, people, one.name, one.language, near(one.path))
    assert "▸" not in terminal.screen()
    terminal.press("1")
    terminal.shows("EN (chosen)")
    turn = say(room, people, one.name, one.language, near(one.path))
    answered(turn, voice)
    terminal.shows("▸")
    terminal.picture("push-to-talk")
    terminal.press("C-c")
    terminal.picture("ending")
    end(terminal)
    assert terminal.modes == UNSPOILT
    assert terminal.ask("stty -a") == before


@pytest.mark.parametrize("options", [(), ("--plain",)], ids=["screen", "plain"])
def test_closing_the_terminal_saves_what_was_said_and_ends_the_command(
    options: tuple[str, ...],
    room: Room,
    people: Listener,
    voice: Listener,
    recordings: dict[str, Recording],
    tmp_path: Path,
) -> None:
    one = spoken(recordings, "fleurs_en_4", "sample")[0]
    saved = tmp_path / "talk.txt"
    with Terminal(room.environment, tmp_path) as terminal:
        terminal.run(*COMMAND, *options, "--save", str(saved))
        terminal.shows("listening" if options else "q quit", READY_S)
        answered(say(room, people, one.name, one.language, near(one.path)), voice)
        command = next(p for p in psutil.process_iter(["cmdline"]) if str(saved) in (p.info["cmdline"] or []))
    command.wait(40)
    assert saved.read_text("utf-8").strip()


def test_terminal_is_restored_after_a_crash(
    terminal: Terminal, room: Room, people: Listener, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    one = spoken(recordings, "fleurs_en_4", "sample")[0]
    full = tmp_path / "talk.jsonl"
    full.symlink_to("/dev/full")
    before = terminal.ask("stty -a")
    terminal.press("C-l")
    terminal.run(*COMMAND, "--save", str(full))
    terminal.shows("q quit", READY_S)
    say(room, people, one.name, one.language, near(one.path))
    wait_until(lambda: terminal.modes.startswith("0") and "tsuyaku: " in terminal.screen(), 60, "the crash")
    terminal.picture("crashed")
    assert terminal.modes == UNSPOILT
    assert terminal.ask("stty -a") == before
