"""Where the text and the speech of each recording go, decided and checked before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from app.media import output_errors
from models.errors import InputError

JOINED = frozenset({"live", "txt", "jsonl"})
"""formats of which several, one after the other, are one again"""
SUFFIXES = {"live": "txt"}
STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Place:
    """Of one recording. `text` is None for standard output, `speech` where nothing is spoken into a file."""

    text: Path | None
    speech: Path | None


def places(
    files: Sequence[Path], format: str, output: Path | None, speak: Path | None, languages: Sequence[str]
) -> list[Place]:
    """`output` and `speak` name a file, or a folder with a file for each recording in it.

    Raises `InputError`: `output-shared` where two recordings would be written into one file, `output-is-input`.
    """
    several = len(files) > 1
    joined = format in JOINED
    if several and output is None and not joined:
        raise InputError("output-shared", f"Several recordings cannot share one {format}; add -o FOLDER.")
    texts = _each(files, output, SUFFIXES.get(format, format), folder=several and not joined)
    speeches = _each(files, speak, "wav", folder=several)
    apart = list(dict.fromkeys(texts)) if joined and texts[0] == output else texts
    spoken = [path for speech in speeches if speech for path in speech_paths(speech, languages).values()]
    check([path for path in apart if path] + spoken, [file for file in files if file != STDIN])
    return [Place(text, speech) for text, speech in zip(texts, speeches, strict=True)]


def speech_paths(path: Path, languages: Sequence[str]) -> dict[str, Path]:
    """`OUT.wav` for one language; `OUT.pt.wav` and so on for several."""
    if len(languages) == 1:
        return {languages[0]: path}
    return {language: path.with_suffix(f".{language}{path.suffix or '.wav'}") for language in languages}


def _each(files: Sequence[Path], target: Path | None, suffix: str, *, folder: bool) -> list[Path | None]:
    if target is None:
        return [None for _ in files]
    with output_errors(target):
        if not (folder or target.is_dir()):
            return [target for _ in files]
        target.mkdir(parents=True, exist_ok=True)
    return [target / f"{'stdin' if file == STDIN else file.stem}.{suffix}" for file in files]


def check(written: Sequence[Path], read: Sequence[Path]) -> None:
    """Raises `InputError`: `output-shared`, `output-is-input`."""
    for number, path in enumerate(written):
        if any(_same(path, other) for other in written[:number]):
            raise InputError("output-shared", f"Two things would be written to {path}; give them different names.")
        if any(_same(path, other) for other in read):
            raise InputError("output-is-input", f"{path} is one of the recordings; write to another place.")


def _same(one: Path, other: Path) -> bool:
    """Devices such as /dev/null take any number of outputs."""
    if one.exists() and not one.is_file():
        return False
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


class Streams:
    """Text files and standard output, each opened once; a failure to write says `disk-full` or `output-unwritable`."""

    def __init__(self) -> None:
        self._open: dict[Path | None, Guarded] = {}

    def get(self, path: Path | None) -> Guarded:
        if path not in self._open:
            name = "standard output" if path is None else str(path)
            with output_errors(name):
                stream = sys.stdout if path is None else path.open("w", encoding="utf-8")
            self._open[path] = Guarded(stream, name)
        return self._open[path]

    def close(self) -> None:
        for path, stream in self._open.items():
            stream.flush()
            if path is not None:
                stream.close()


class Guarded:
    """A text stream whose failures are ours, except that of a reader who left."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        with output_errors(self._name):
            return self._stream.write(text)

    def flush(self) -> None:
        with output_errors(self._name):
            self._stream.flush()

    def close(self) -> None:
        with output_errors(self._name):
            self._stream.close()
