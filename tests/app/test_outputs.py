"""Where several recordings go, and what is refused before a recording is lost."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from app.outputs import STDIN, Guarded, Streams, places
from models.errors import InputError, UnavailableError


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF")
    return path


def code_of(files: list[Path], format: str, output: Path | None, speak: Path | None = None, to: str = "pt") -> str:
    with pytest.raises(InputError) as caught:
        places(files, format, output, speak, to.split(","))
    return caught.value.code


def test_one_recording_goes_where_it_is_told(talk: Path, tmp_path: Path) -> None:
    [place] = places([talk], "srt", tmp_path / "a.srt", tmp_path / "a.wav", ["pt"])
    assert (place.text, place.speech) == (tmp_path / "a.srt", tmp_path / "a.wav")


def test_existing_folder_gets_a_file_named_after_the_recording(talk: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert [p.text for p in places([talk], "vtt", tmp_path / "out", None, [])] == [tmp_path / "out" / "talk.vtt"]


def test_documents_of_several_recordings_go_into_a_folder(talk: Path, tmp_path: Path) -> None:
    chosen = places([talk, STDIN], "json", tmp_path / "new" / "out", tmp_path / "voices", ["pt"])
    assert [place.text for place in chosen] == [tmp_path / "new/out/talk.json", tmp_path / "new/out/stdin.json"]
    assert [place.speech for place in chosen] == [tmp_path / "voices/talk.wav", tmp_path / "voices/stdin.wav"]


def test_text_of_several_recordings_is_joined(talk: Path, tmp_path: Path) -> None:
    chosen = places([talk, talk], "txt", tmp_path / "all.txt", None, [])
    assert [place.text for place in chosen] == [tmp_path / "all.txt"] * 2


def test_documents_do_not_share_standard_output(talk: Path) -> None:
    assert code_of([talk, talk], "srt", None) == "output-shared"


def test_recordings_of_one_name_do_not_share_a_file(talk: Path, tmp_path: Path) -> None:
    assert code_of([talk, tmp_path / "else" / "talk.mp3"], "srt", tmp_path / "out") == "output-shared"


def test_text_and_speech_do_not_share_a_file(talk: Path, tmp_path: Path) -> None:
    assert code_of([talk], "txt", tmp_path / "x", tmp_path / "x") == "output-shared"


@pytest.mark.parametrize("name", ["talk.wav", "link.wav", "hard.wav", "./talk.wav"])
def test_recording_is_never_overwritten(talk: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "link.wav").symlink_to(talk)
    (tmp_path / "hard.wav").hardlink_to(talk)
    assert code_of([talk], "txt", tmp_path / name) == "output-is-input"
    assert code_of([talk], "txt", None, tmp_path / name) == "output-is-input"
    assert talk.read_bytes() == b"RIFF"


def test_recording_is_not_overwritten_by_the_speech_of_one_of_several_languages(talk: Path, tmp_path: Path) -> None:
    spanish = talk.rename(tmp_path / "talk.es.wav")
    assert code_of([spanish], "txt", None, tmp_path / "talk.wav", "pt,es") == "output-is-input"


def test_devices_take_any_number_of_outputs(talk: Path) -> None:
    null = Path("/dev/null")
    assert [place.text for place in places([talk], "txt", null, null, ["pt"])] == [null]


def test_stream_that_is_asked_for_twice_is_opened_once(tmp_path: Path) -> None:
    streams = Streams()
    for word in ("one ", "two"):
        streams.get(tmp_path / "a.txt").write(word)
    streams.close()
    assert (tmp_path / "a.txt").read_text() == "one two"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_stream_on_a_full_disk_says_so() -> None:
    full = io.TextIOWrapper(open("/dev/full", "wb", buffering=0), encoding="utf-8", write_through=True)  # noqa: SIM115
    with full, pytest.raises(UnavailableError) as caught:
        Guarded(full, "out.txt").write("word")
    assert caught.value.code == "disk-full"


def test_name_that_no_file_can_have_is_unwritable(talk: Path, tmp_path: Path) -> None:
    assert code_of([talk], "txt", tmp_path / ("x" * 300)) == "output-unwritable"
