"""The command on real recordings with the real engines: what a user types, and what comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import wave
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import jsonschema
import numpy as np
import pytest

from app.media import MediaFile
from tests.conftest import Recording
from tests.real.command import RATE, TSUYAKU, Events, committed, events, run, silence, wer, write_wav

pytestmark = pytest.mark.real


def test_recording_becomes_words_translation_and_speech(english: Recording, tmp_path: Path) -> None:
    spoken = tmp_path / "pt.wav"
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "jsonl", "--speak", spoken)
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert wer(english.transcript, committed(found, "words", "en")) <= 0.1
    assert len(committed(found, "translation", "pt").split()) > 10
    assert_follows_schema(found)
    assert found[-1]["event"] == "end"
    assert found[-1]["reason"] == "end"
    with wave.open(str(spoken)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.abs(samples).max() > 1000
    placed = [e for e in found if e["event"] == "speech"]
    assert file.getnframes() / file.getframerate() * 1000 >= float(str(placed[-1]["play_ms"]))


def assert_follows_schema(found: Events) -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs" / "events.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    known = {definition["title"].lower(): set(definition["properties"]) for definition in schema["$defs"].values()}
    for event in found:
        validator.validate(event)
        assert set(event) <= known[str(event["event"])], "no field without a name in the schema"


def test_realtime_words_appear_while_the_recording_plays(english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--realtime", "--format", "jsonl")
    found = events(done.stdout)
    assert_follows_schema(found)
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
    text = json.loads(run("translate", english.path, "--from", "en", "--to", "pt", "--format", "json").stdout)["text"]
    cues = [cue.splitlines() for cue in target.read_text("utf-8").strip().split("\n\n")]
    assert [cue[0] for cue in cues] == [str(number + 1) for number in range(len(cues))]
    assert {len(cue) for cue in cues} == {4}, "number, times, what was said, its translation"
    assert " ".join(cue[2] for cue in cues).split() == text["en"].split()
    assert " ".join(cue[3] for cue in cues).split() == text["pt"].split()
    times = [time for cue in cues for time in cue[1].split(" --> ")]
    assert times == sorted(times)
    assert times[0].startswith("00:00:0")


def test_several_files_and_languages_come_in_order(english: Recording, portuguese: Recording) -> None:
    done = run("translate", english.path, portuguese.path, "--to", "pt,en", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    ends = [number for number, event in enumerate(found) if event["event"] == "end"]
    assert len(ends) == 2
    for part, language in ((found[: ends[0] + 1], "en"), (found[ends[0] + 1 :], "pt")):
        assert {event["language"] for event in part if event["event"] == "words"} == {language}
        assert {e["language"] for e in part if e["event"] == "translation"} == {"pt", "en"}
        assert committed(part, "translation", language).split() == committed(part, "words", language).split()


@pytest.mark.parametrize("pause_s", [0.3, 2.5])
def test_change_of_language_is_noticed(
    pause_s: float, english: Recording, portuguese: Recording, tmp_path: Path
) -> None:
    """Both ways, after a pause and within a breath."""
    first, second = (np.concatenate(list(MediaFile(each.path))) for each in (english, portuguese))
    path = write_wav(tmp_path / "both.wav", np.concatenate([first, silence(pause_s), second, silence(pause_s), first]))
    found = events(run("translate", path, "--from", "auto", "--to", "pt,en", "--format", "jsonl").stdout)
    said = [e for e in found if e["event"] == "words" and e["committed"]]
    languages = [language for language, _ in groupby(said, key=lambda event: event["language"])]
    assert languages == ["en", "pt", "en"]
    assert wer(f"{english.transcript} {english.transcript}", committed(found, "words", "en")) <= 0.2
    assert wer(portuguese.transcript, committed(found, "words", "pt")) <= 0.3


def test_change_of_language_within_a_breath_is_noticed(
    recordings: dict[str, Recording], english: Recording, portuguese: Recording, tmp_path: Path
) -> None:
    """Between quiet that is too short to end an utterance."""
    first, second = recordings.get("fleurs_pt_2", portuguese), recordings.get("fleurs_en_1", english)
    one, other = (spoken_part(np.concatenate(list(MediaFile(each.path)))) for each in (first, second))
    path = write_wav(tmp_path / "both.wav", np.concatenate([one, silence(0.3), other, silence(0.3), one, silence(1)]))
    found = events(run("translate", path, "--from", "auto", "--format", "jsonl").stdout)
    said = [e for e in found if e["event"] == "words" and e["committed"]]
    assert [language for language, _ in groupby(said, key=lambda event: event["language"])] == ["pt", "en", "pt"]
    assert wer(second.transcript, committed(found, "words", "en")) <= 0.4
    assert wer(f"{first.transcript} {first.transcript}", committed(found, "words", "pt")) <= 0.6


def spoken_part(samples: np.ndarray) -> np.ndarray:
    """Without the quiet at its ends."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[max(0, loud[0] - RATE // 20) : loud[-1] + RATE // 20]


def test_sound_of_a_video_that_begins_late_keeps_its_times(english: Recording, tmp_path: Path) -> None:
    late_s = 3.0
    speech = np.concatenate(list(MediaFile(english.path)))
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as file:
        picture = file.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for _ in range(round((late_s + len(speech) / RATE) * 10)):
            file.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        samples = (np.clip(speech, -1, 1) * 32767).astype("<i2")[np.newaxis]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, round(late_s * RATE), Fraction(1, RATE)
        file.mux(sound.encode(frame))
        file.mux([*picture.encode(None), *sound.encode(None)])
    found = [
        events(run("translate", each, "--from", "en", "--format", "jsonl").stdout) for each in (english.path, path)
    ]
    begins = [next(float(str(e["source_start_ms"])) for e in each if e["event"] == "words") for each in found]
    assert begins[1] - begins[0] == pytest.approx(late_s * 1000, abs=150)
    assert wer(*(committed(each, "words", "en") for each in found)) <= 0.05


def test_raw_pcm_on_standard_input_is_interpreted(english: Recording) -> None:
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
