"""The catalogue of weights: what exists, under which licence, from where, and with which hashes.

`catalog.toml` holds what the default needs; docs/models.md says where the hashes of each file come from.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from models.errors import InputError

FILES = ("catalog.toml", "catalog_whisper.toml", "catalog_firefox.toml", "catalog_piper.toml")
"""of this package; where two entries serve a language, the earlier one is preferred"""


class File(msgspec.Struct, frozen=True):
    name: str
    sha256: str
    size: int
    """bytes"""


class Source(msgspec.Struct, frozen=True):
    kind: Literal["package", "hub", "url", "folder"]
    location: str = ""
    """hub: owner/name; url: the address above the files; folder: its path"""
    revision: str = ""
    """hub: a commit"""
    files: dict[str, list[str]] = {}
    """per file, where it lies in the source; package: `import_name/path`, several are joined in order"""
    packed: dict[str, Literal["gz", "xz"]] = {}


class Entry(msgspec.Struct, frozen=True):
    id: str
    task: Literal["vad", "asr", "mt", "tts"]
    engine: str
    languages: list[str]
    """of mt: source, target; empty where it serves all"""
    licence: str
    files: list[File]
    sources: list[Source]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    entry: list[Entry]


class Catalog:
    """Entries by id."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = {entry.id: entry for entry in entries}

    @staticmethod
    @cache
    def load() -> Catalog:
        return Catalog(entry for name in FILES for entry in Catalog.read(name).values())

    @staticmethod
    def read(name: str) -> dict[str, Entry]:
        """The entries of one of `FILES`, by id."""
        text = (files("models") / name).read_bytes()
        return {entry.id: entry for entry in msgspec.toml.decode(text, type=_Document).entry}

    def entry(self, name: str) -> Entry:
        """Raises `InputError` `unknown-model`."""
        if name not in self.entries:
            close = [known for known in self.entries if known.endswith(f"-{name}")][:3]
            close = close or difflib.get_close_matches(name, self.entries, 3)
            advice = f"did you mean {', '.join(close)}?" if close else "tsuyaku models list names them all."
            raise InputError("unknown-model", f"There is no model '{name}'; {advice}")
        return self.entries[name]

    def find(self, task: str, languages: Iterable[str] = ()) -> list[Entry]:
        """Entries of a task that serve all of `languages`."""
        wanted = set(languages)
        return [e for e in self.entries.values() if e.task == task and (not e.languages or wanted <= set(e.languages))]

    def legs(self, source: str, target: str) -> dict[tuple[str, str], Entry | None]:
        """The models to run one after the other, by their pair: one for the pair itself, else two through English.
        None where the catalogue has no model of a pair."""
        by_pair = {tuple(e.languages): e for e in self.entries.values() if e.task == "mt"}
        if (source, target) in by_pair or "en" in (source, target):
            return {(source, target): by_pair.get((source, target))}
        return {leg: by_pair.get(leg) for leg in ((source, "en"), ("en", target))}

    def translation_route(self, source: str, target: str) -> list[Entry]:
        """`legs` where none is missing; else empty."""
        legs = list(self.legs(source, target).values())
        return [leg for leg in legs if leg] if all(legs) else []
