"""A room for each module of tests, people and a voice that are listened to, and what the people say."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from tests.conftest import Recording
from tests.desk.room import Listener, Room


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    if shutil.which("pulseaudio") is None:
        pytest.skip("needs PulseAudio: make test-desk installs it")
    made = Room(tmp_path_factory.mktemp("room"))
    before = signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # told to end, as by `timeout`, it still tidies up
    made.start()
    yield made
    made.stop()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def people(room: Room) -> Iterator[Listener]:
    made = Listener(room, "people.monitor")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def voice(room: Room) -> Iterator[Listener]:
    made = Listener(room, "speaker.monitor")
    yield made
    made.stop()


@pytest.fixture
def in_room(room: Room, monkeypatch: pytest.MonkeyPatch) -> Room:
    """This process, too, sees the devices of the room."""
    for name, value in room.environment.items():
        monkeypatch.setenv(name, value)
    return room


def seconds(name: str, otherwise: float) -> float:
    """How long a test of endurance lasts: a variable in minutes, or `otherwise` in seconds."""
    return 60 * float(os.environ[name]) if name in os.environ else otherwise


def spoken(recordings: dict[str, Recording], *names: str) -> list[Recording]:
    """Those of the recordings that are there; skips where none is."""
    found = [recordings[name] for name in names if name in recordings]
    if not found:
        pytest.skip("needs the recordings of TSUYAKU_TEST_AUDIO")
    return found
