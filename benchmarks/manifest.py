"""Recordings with transcripts and reference translations, as listed by a manifest.json.

A manifest is a list of objects: `id`, `file`, `language` (BCP 47), `seconds`, and where they exist `transcript` and
`translations` (language → file). Files lie beside the manifest; texts are UTF-8, one segment a line.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from models.errors import InputError

DEFAULT_FOLDER = "../shared/audio"


@dataclass(frozen=True, slots=True)
class Part:
    """A recording that another one is made of, and when it begins there, in s."""

    recording: Recording
    start_s: float


@dataclass(frozen=True, slots=True)
class Recording:
    id: str
    path: Path
    language: str
    seconds: float
    transcript: tuple[str, ...] = ()
    """lines; empty where there is none"""
    translations: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """lines of each target language"""
    parts: tuple[Part, ...] = ()
    """of one that `benchmarks.long` made"""

    @property
    def text(self) -> str:
        return " ".join(self.transcript)


class _Entry(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(pattern=r"^[^/\\]{1,150}$")]
    file: str
    language: str
    seconds: Annotated[float, msgspec.Meta(gt=0)]
    transcript: str | None = None
    translations: dict[str, str] = {}


def default_manifest() -> Path:
    """manifest.json of TSUYAKU_TEST_AUDIO."""
    return Path(os.environ.get("TSUYAKU_TEST_AUDIO", DEFAULT_FOLDER)) / "manifest.json"


def load(path: Path | None = None, ids: Sequence[str] = ()) -> list[Recording]:
    """The recordings of a manifest (or of the one in a folder), all or those with `ids` in that order."""
    path = path or default_manifest()
    path = path / "manifest.json" if path.is_dir() else path
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=list[_Entry])
    except OSError as error:
        raise InputError("manifest-unreadable", f"There is no manifest at {path}: {error.strerror}.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError("manifest-invalid", f"{path} is no manifest: {error}.") from error
    known = {entry.id: entry for entry in entries}
    if len(known) < len(entries):
        raise InputError("manifest-invalid", f"{path} has two recordings with the same id.")
    for wanted in ids:
        if wanted not in known:
            raise InputError("unknown-recording", f"'{wanted}' is not in {path}.")
    return [_recording(path.parent, known[name]) for name in ids or known]


def _recording(folder: Path, entry: _Entry) -> Recording:
    translations = {language: _lines(folder / name) for language, name in entry.translations.items()}
    transcript = _lines(folder / entry.transcript) if entry.transcript else ()
    return Recording(entry.id, folder / entry.file, entry.language, entry.seconds, transcript, translations)


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("manifest-invalid", f"The manifest names {path}, which cannot be read as text.") from error
