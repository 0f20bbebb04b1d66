"""What all tests share: recordings, and the default engines, each loaded once."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.sample import TEXT, sample_path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Recording:
    name: str
    path: Path
    language: str
    transcript: str
    translations: dict[str, str]


def audio_folder() -> Path:
    return Path(os.environ.get("TSUYAKU_TEST_AUDIO", ROOT.parent / "shared" / "audio"))


@pytest.fixture(scope="session")
def recordings() -> dict[str, Recording]:
    """The recordings of TSUYAKU_TEST_AUDIO; where there are none, the sample that the embedded voice speaks."""
    manifest = audio_folder() / "manifest.json"
    if not manifest.exists():
        print(f"no recordings in {audio_folder()}: tests run on synthetic speech")
        sample = Recording("sample", sample_path(), "en", " ".join(TEXT), {})
        return {"sample": sample}
    return {entry["id"]: _recording(manifest.parent, entry) for entry in json.loads(manifest.read_text("utf-8"))}


@pytest.fixture(scope="session")
def english(recordings: dict[str, Recording]) -> Recording:
    """A short English recording with its transcript."""
    return recordings.get("en_jfk") or recordings["sample"]


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
