"""Several recordings and languages in one command: what is written where, and that it is of the right recording."""

from __future__ import annotations

import json
import re
import wave
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from app.formats import json_schema
from tests.conftest import Recording
from tests.real.command import committed, events, letters_unlike, run, wer

pytestmark = pytest.mark.real


def stems(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_subtitles_and_speech_of_several_recordings_go_into_folders(
    english: Recording, portuguese: Recording, tmp_path: Path
) -> None:
    texts, voices = tmp_path / "texts", tmp_path / "voices"
    given = ("--to", "pt,en", "--format", "vtt", "-o", texts, "--speak", voices)
    done = run("translate", english.path, portuguese.path, *given)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    both = (english, portuguese)
    assert stems(texts) == sorted(f"{each.path.stem}.vtt" for each in both)
    assert stems(voices) == sorted(f"{each.path.stem}.{code}.wav" for each in both for code in ("pt", "en"))
    for each in both:
        text = (texts / f"{each.path.stem}.vtt").read_text("utf-8")
        assert text.startswith("WEBVTT\n\n00:00:")
        rows = [line for line in text.splitlines()[1:] if line and "-->" not in line]
        own = " ".join(rows[0 if each.language == "pt" else 1 :: 2])
        assert letters_unlike(each.transcript, own) <= 0.15, "a line of each language in a cue, in the order of --to"
    for path in voices.iterdir():
        with wave.open(str(path)) as file:
            assert np.abs(np.frombuffer(file.readframes(file.getnframes()), "<i2")).max() > 1000, path


def test_documents_of_several_recordings_hold_all_that_was_said(
    english: Recording, portuguese: Recording, tmp_path: Path
) -> None:
    done = run("translate", english.path, portuguese.path, "--to", "pt,en", "--format", "json", "-o", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, b"")
    for each, other in ((english, "pt"), (portuguese, "en")):
        document: dict[str, Any] = json.loads((tmp_path / "out" / f"{each.path.stem}.json").read_text("utf-8"))
        assert list(document) == ["source_languages", "target_languages", "source_text", "text", "segments", "end"]
        assert document["source_languages"] == [each.language]
        assert set(document["target_languages"]) == set(document["text"]) == {"pt", "en"}
        assert letters_unlike(each.transcript, document["source_text"]) <= 0.15
        assert document["text"][each.language].split() == document["source_text"].split()
        segments = document["segments"]
        assert " ".join(segment["source"] for segment in segments).split() == document["source_text"].split()
        for code in (each.language, other):
            said = " ".join(segment["targets"][code] for segment in segments).split()
            assert said == document["text"][code].split()
        assert document["text"][other] != document["source_text"]
        times = [time for segment in segments for time in (segment["start_ms"], segment["end_ms"])]
        assert times == sorted(times)
        schema = json_schema()
        jsonschema.validate(document["end"], {"$ref": "#/$defs/End", "$defs": schema["$defs"]})
        assert document["end"]["reason"] == "end"


@pytest.mark.parametrize("format", ["jsonl", "txt"])
def test_lines_of_several_recordings_follow_each_other_in_one_file(
    format: str, english: Recording, portuguese: Recording, tmp_path: Path
) -> None:
    path = tmp_path / f"all.{format}"
    done = run("translate", english.path, portuguese.path, "--to", "en", "--format", format, "-o", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert stems(tmp_path) == [path.name]
    if format == "txt":
        text = path.read_text("utf-8")
        assert wer(english.transcript, text[: len(english.transcript)]) <= 0.2
        assert len(re.findall(r"\w+", text)) > 1.3 * len(english.transcript.split())
        return
    found = events(path.read_bytes())
    assert [event["reason"] for event in found if event["event"] == "end"] == ["end", "end"]
    assert wer(english.transcript, committed(found, "words", "en")) <= 0.2
    assert letters_unlike(portuguese.transcript, committed(found, "words", "pt")) <= 0.15
