"""The command between real devices of a PulseAudio server, whose loudspeaker is fed back into its microphone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from app.media import MediaFile, SpeechFile
from models.protocols import SAMPLE_RATE
from tests.conftest import Recording

pytestmark = pytest.mark.desk

TSUYAKU = str(Path(sys.executable).with_name("tsuyaku"))
READY_S = 90


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if shutil.which("pulseaudio") is None:
        pytest.skip("needs PulseAudio: apt-get install pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins")
    folder = tmp_path_factory.mktemp("run")
    server = subprocess.Popen([str(Path(__file__).with_name("pulse.sh")), str(folder)])
    paths = {"XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": f"{folder}/pulse", "XDG_STATE_HOME": str(folder)}
    environment = {**os.environ, **paths}
    wait_until(lambda: "mic" in pactl(environment, "list", "short", "sources"), 20)
    yield environment
    server.terminate()
    server.wait(10)


def pactl(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run(["pactl", *arguments], env=environment, capture_output=True, text=True, check=False).stdout


def convert(source: Path, wav: Path) -> None:
    samples = np.concatenate(list(MediaFile(source)))
    with SpeechFile(wav, SAMPLE_RATE) as file:
        file.write((samples * 32767).astype("<i2").tobytes(), 0.0)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def test_spoken_turns_are_routed_and_the_voice_is_never_heard(
    room: dict[str, str], recordings: dict[str, Recording], tmp_path: Path
) -> None:
    if "pt_cheetah" not in recordings:
        pytest.skip("needs the recordings of TSUYAKU_TEST_AUDIO")
    turns = [recordings[name] for name in ("fleurs_en_4", "pt_cheetah", "en_jfk")]
    log, errors = tmp_path / "talk.jsonl", tmp_path / "errors"
    with errors.open("w") as stream:
        desk = subprocess.Popen(
            [TSUYAKU, "interpret", "--between", "en", "pt", "--plain", "--save", str(log)], env=room, stderr=stream
        )
        try:
            wait_until(lambda: "listening" in errors.read_text() or desk.poll() is not None, READY_S)
            for turn in turns:
                wav = tmp_path / f"{turn.name}.wav"
                convert(turn.path, wav)
                subprocess.run(["paplay", "--device=room", str(wav)], env=room, check=True)
                time.sleep(12)
        finally:
            desk.send_signal(signal.SIGINT)
            desk.wait(30)
    print(errors.read_text())
    found = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    heard = [(e["language"], e["committed"]) for e in found if e["event"] == "words" and e["committed"].strip()]
    order = [language for n, (language, _) in enumerate(heard) if n == 0 or heard[n - 1][0] != language]
    assert order == ["en", "pt", "en"], heard
    assert {e["language"] for e in found if e["event"] == "speech"} == {"en", "pt"}
    assert sum(1 for e in found if e["event"] == "voice" and e["active"]) <= len(turns) + 4
