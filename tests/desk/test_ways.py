"""The other ways to sit at the desk: between a person and a call, a microphone each, recordings in place of people."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jiwer
import numpy as np
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from app.media import MediaFile
from benchmarks.room import near
from models.protocols import SAMPLE_RATE, RecognitionRequest, Samples
from models.store import Store
from models.whisper import Context, WhisperRecognizer
from tests.conftest import Recording
from tests.desk.conftest import spoken
from tests.desk.room import Listener, Room, wait_until
from tests.desk.running import TSUYAKU, Desk, answered, say

pytestmark = pytest.mark.desk

READ_BACK = 0.15


def languages(desk: Desk, since: int = 0) -> set[str]:
    return {e["language"] for e in desk.events[since:] if e["event"] == "words" and e["committed"].strip()}


def test_call_hears_one_side_and_the_headphones_the_other(
    room: Room, people: Listener, voice: Listener, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    mine, theirs = spoken(recordings, "fleurs_en_4", "sample")[0], spoken(recordings, "pt_coxinha", "sample_pt")[0]
    room.still()
    to_call, from_call = Listener(room, "tsuyaku_to_call.monitor"), Listener(room, "tsuyaku_from_call.monitor")
    try:
        with Desk(room, tmp_path, "--in-call") as desk:
            turn = say(room, people, mine.name, mine.language, near(mine.path))
            answered(turn, to_call)
            assert turn.first_voice_s is not None
            assert languages(desk) == {"en"}
            assert not len(voice.loud(turn.began)), "I do not hear my own translation"
            since = len(desk.events)
            said = say(room, from_call, theirs.name, theirs.language, near(theirs.path), "tsuyaku_from_call")
            answered(said, voice)
            assert said.first_voice_s is not None
            assert languages(desk, since) == {"pt"}
            assert not len(to_call.loud(said.began)), "the call does not hear its own translation"
    finally:
        to_call.stop()
        from_call.stop()


def test_left_and_right_of_a_microphone_are_a_person_each(
    room: Room, voice: Listener, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    """The second person's side is Portuguese whatever is heard there."""
    english, portuguese = spoken(recordings, "en_jfk", "sample")[0], spoken(recordings, "pt_coxinha", "sample_pt")[0]
    with room.pulse() as pulse:
        booth = pulse.module_load("module-null-sink", "sink_name=booth rate=48000 channels=2")
    try:
        options = ("--microphone", "booth.monitor", "--split", "--headphones")
        with Desk(room, tmp_path, *options) as desk:
            for side, one in enumerate((english, portuguese)):
                since = len(desk.events)
                both = np.zeros((len(near(one.path)), 2), np.float32)
                both[:, side] = near(one.path)
                room.say(both, "booth")
                wait_until(lambda since=since: languages(desk, since), 20, one.name)
                wait_until(lambda: voice.silent_for(0) > 1.5, 40, "the voice to end")
                assert languages(desk, since) == {one.language}
    finally:
        with room.pulse() as pulse:
            pulse.module_unload(booth)


def test_script_is_interpreted_saved_and_spoken_as_a_second_recogniser_reads_back(
    recordings: dict[str, Recording], tmp_path: Path
) -> None:
    turn = spoken(recordings, "pt_cheetah", "sample_pt")[0]
    heard, saved = tmp_path / "heard.wav", tmp_path / "talk.jsonl"
    options = ["--file", turn.path, "--voice", "en=piper", "--speed", "en=0.9", "--speak", heard, "--save", saved]
    command = [TSUYAKU, "interpret", "--between", "en", "pt", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert {line.split()[1] for line in done.stdout.splitlines()} == {f"{turn.language}:"}
    events = [json.loads(line) for line in saved.read_text("utf-8").splitlines()]
    text = " ".join(e["text"] for e in events if e["event"] == "speech" and e["language"] == "en")
    recogniser = WhisperRecognizer(Store().ensure("whisper-base"), context=Context(30.0), beam_size=5)
    check(recogniser, text, "en", np.concatenate(list(MediaFile(heard))))


def check(recogniser: WhisperRecognizer, text: str, language: str, samples: Samples) -> None:
    """It is read back to its end: the first word and the last are whole."""
    normalise = BasicTextNormalizer()
    quiet = np.zeros(SAMPLE_RATE // 2, np.float32)
    loud = np.flatnonzero(np.abs(samples) > 0.003)
    clip = np.concatenate([quiet, samples[loud[0] : loud[-1]], quiet]).astype(np.float32)
    found = recogniser.recognize(RecognitionRequest(clip[: 30 * SAMPLE_RATE], language, closed=True))
    read, wanted = normalise("".join(word.text for word in found.words)), normalise(text)
    print(f"to say: {wanted}\nread:   {read}")
    letters, said = ("".join(text.split()) for text in (read, wanted))
    assert jiwer.cer(said, letters) <= READ_BACK  # of letters: one sentence is too short for a rate of words
    assert letters.startswith(wanted.split()[0])
    assert letters.endswith(wanted.split()[-1])


def test_call_without_its_devices_is_explained(tmp_path: Path) -> None:
    empty = Room(tmp_path)
    empty.start(call=False)
    try:
        done = subprocess.run(
            [TSUYAKU, "interpret", "--between", "en", "pt", "--in-call", "--plain"],
            env=empty.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        empty.stop()
    assert "module-null-sink" in done.stderr
    assert done.stderr.strip().endswith("[call-missing]")
