"""What all tests share: recordings, and the default engines, each loaded once."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from app.media import SpeechFile
from app.sample import TEXT, sample_path
from app.voices import Voices
from models.errors import TsuyakuError
from models.store import Store

settings.register_profile("any machine", deadline=None)  # a busy one takes longer, and that says nothing
settings.load_profile("any machine")

ROOT = Path(__file__).parent.parent
PORTUGUESE = "Bom dia a todos. O trem para a costa sai às nove e meia, e o próximo sai uma hora mais tarde."


@dataclass(frozen=True)
class Recording:
    name: str
    path: Path
    language: str
    transcript: str
    translations: dict[str, str]


def audio_folder() -> Path:
    return Path(os.environ.get("TSUYAKU_TEST_AUDIO", ROOT.parent / "shared" / "audio"))


def pytest_report_header() -> str:
    if (audio_folder() / "manifest.json").exists():
        return f"speech: the recordings in {audio_folder()}"
    return f"speech: synthetic, by the embedded voices, as there are no recordings in {audio_folder()}"


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    """The recordings of TSUYAKU_TEST_AUDIO; where there are none, what the embedded voices speak."""
    manifest = audio_folder() / "manifest.json"
    if not manifest.exists():
        portuguese = speak(PORTUGUESE, "pt", tmp_path_factory.mktemp("speech") / "pt.wav")
        return {
            "sample": Recording("sample", sample_path(), "en", " ".join(TEXT), {}),
            "sample_pt": Recording("sample_pt", portuguese, "pt", PORTUGUESE, {}),
        }
    return {entry["id"]: _recording(manifest.parent, entry) for entry in json.loads(manifest.read_text("utf-8"))}


@pytest.fixture(scope="session")
def english(recordings: dict[str, Recording]) -> Recording:
    """A short English recording with its transcript."""
    return recordings.get("en_jfk") or recordings["sample"]


@pytest.fixture(scope="session")
def portuguese(recordings: dict[str, Recording]) -> Recording:
    """A short Portuguese recording with its transcript."""
    return recordings.get("pt_falabrasil") or recordings["sample_pt"]


def speak(text: str, language: str, path: Path) -> Path:
    """A WAV file in which the best installed voice says `text`, however long that takes."""
    try:
        voice = Voices(Store(), "kokoro").load(language) if language != "en" else Voices(Store()).load(language)
    except TsuyakuError:
        voice = Voices(Store(), "espeak").load(language)
    with SpeechFile(path, voice.sample_rate) as file:
        file.write((np.clip(voice.synthesize(text), -1, 1) * 32767).astype("<i2").tobytes(), 200)
        file.write(b"", file.duration_ms + 300)
    return path


def _recording(folder: Path, entry: dict[str, object]) -> Recording:
    def text(name: object) -> str:
        return (folder / str(name)).read_text("utf-8") if name else ""

    translations = entry.get("translations") or {}
    assert isinstance(translations, dict)
    return Recording(
        str(entry["id"]),
        folder / str(entry["file"]),
        str(entry["language"]),
        text(entry.get("transcript")),
        {language: text(name) for language, name in translations.items()},
    )
