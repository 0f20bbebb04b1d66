"""`tsuyaku sample`: a recording of ours, spoken here, and heard as what it says."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from app.sample import TEXT
from models.store import Store
from tests.real.command import assert_one_sentence, committed, events, run, wer

pytestmark = pytest.mark.real


def test_sample_is_spoken_once_and_its_place_is_printed(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path), "TSUYAKU_MODELS": str(Store().root)}
    first = run("sample", **environment)
    assert (first.returncode, first.stderr) == (0, b"")
    path = Path(first.stdout.decode().strip())
    assert path.is_relative_to(tmp_path)
    made = path.stat()
    second = run("sample", **environment)
    assert second.stdout == first.stdout
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (made.st_mtime_ns, made.st_ino)
    assert [each.name for each in path.parent.iterdir() if each.suffix == ".wav"] == [path.name]


def test_sample_says_its_text(tmp_path: Path) -> None:
    path = tmp_path / "sample.wav"
    done = run("sample", "-o", path)
    assert (done.returncode, done.stdout.decode()) == (0, f"{path}\n")
    with wave.open(str(path)) as file:
        assert 15 < file.getnframes() / file.getframerate() < 60
    heard = committed(events(run("translate", path, "--from", "en", "--format", "jsonl").stdout), "words", "en")
    assert wer(" ".join(TEXT).replace("Tsuyaku", ""), heard.replace("Tsuyaku", "")) <= 0.1, heard


@pytest.mark.parametrize(
    ("place", "code", "status"), [("/dev/full", "disk-full", 3), ("none/x.wav", "output-unwritable", 2)]
)
def test_sample_that_cannot_be_written_is_said(place: str, code: str, status: int) -> None:
    assert_one_sentence(run("sample", "-o", place), code, status)
