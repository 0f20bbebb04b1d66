"""The command on real recordings with the real engines: what a user types, and what comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Recording
from tests.real.command import TSUYAKU, committed, events, run, wer

pytestmark = pytest.mark.real


def test_recording_becomes_words_translation_and_speech(english: Recording, tmp_path: Path) -> None:
    spoken = tmp_path / "pt.wav"
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "jsonl", "--speak", spoken)
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert wer(english.transcript, committed(found, "words", "en")) <= 0.1
    assert len(committed(found, "translation", "pt").split()) > 10
    assert found[-1]["event"] == "end"
    assert found[-1]["reason"] == "end"
    with wave.open(str(spoken)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.abs(samples).max() > 1000
    placed = [e for e in found if e["event"] == "speech"]
    assert file.getnframes() / file.getframerate() * 1000 >= float(str(placed[-1]["play_ms"]))


def test_realtime_words_appear_while_the_recording_plays(english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--realtime", "--format", "jsonl")
    found = events(done.stdout)
    assert wer(english.transcript, committed(found, "words", "en")) <= 0.15
    emitted = [float(str(e["emitted_ms"])) for e in found if e["event"] == "words" and e["committed"]]
    end = float(str(found[-1]["source_ms"]))
    assert emitted[0] < end / 2
    assert len(emitted) >= 4


def test_language_is_identified(portuguese: Recording) -> None:
    found = events(run("translate", portuguese.path, "--to", "en", "--format", "jsonl").stdout)
    assert {e["language"] for e in found if e["event"] == "words"} == {"pt"}
    assert committed(found, "translation", "en")


def test_subtitles_are_bilingual_on_request(english: Recording, tmp_path: Path) -> None:
    target = tmp_path / "out.srt"
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "srt", "--bilingual", "-o", target)
    assert done.returncode == 0
    assert "00:00:0" in target.read_text("utf-8")


def test_raw_pcm_on_standard_input_is_interpreted(english: Recording) -> None:
    from app.media import MediaFile

    samples = np.concatenate(list(MediaFile(english.path)))
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    done = run("translate", "-", "--from", "en", "--format", "jsonl", stdin=pcm)
    assert wer(english.transcript, committed(events(done.stdout), "words", "en")) <= 0.1


def test_interrupted_session_writes_what_was_said(english: Recording) -> None:
    command = [TSUYAKU, "translate", str(english.path), "--from", "en", "--realtime", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines: list[bytes] = []
        for line in process.stdout:
            lines.append(line)
            event = json.loads(line)
            if event["event"] == "words" and event["committed"]:
                process.send_signal(signal.SIGINT)
                break
        lines.extend(process.stdout)
        assert process.wait(60) == 130
    assert json.loads(lines[-1])["event"] == "end"
