"""Writes catalogue files from Git repositories of weights, without downloading the weights.

A large file in such a repository is a pointer that states its SHA-256 and size (Git LFS); a small one is hashed here.

    GIT_LFS_SKIP_SMUDGE=1 git clone https://github.com/mozilla/firefox-translations-models
    GIT_LFS_SKIP_SMUDGE=1 git clone https://huggingface.co/rhasspy/piper-voices
    python -m models.catalog_update firefox firefox-translations-models HEAD > models/catalog_firefox.toml
    python -m models.catalog_update piper piper-voices HEAD > models/catalog_piper.toml
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from models.catalog import Catalog, Entry, File, Source

FIREFOX_FILES = "https://media.githubusercontent.com/media/mozilla/firefox-translations-models"
PIPER_HUB = "rhasspy/piper-voices"
ARCHITECTURES = ("base-memory", "tiny", "base")
"""of Firefox models, the preferred first: `base-memory` is what Firefox ships where it exists"""
CODES = {"nb": "no"}
"""Whisper's code, where another one is usual"""
QUALITIES = ("medium", "high", "low", "x_low")
"""of Piper voices, the preferred first: `high` is too slow for two cores, the others are rough"""
LICENCES = (
    (r"cc0|publicdomain", "CC0-1.0"),
    (r"public domain", "public domain"),
    (r"by-nc-sa", "CC-BY-NC-SA-4.0"),
    (r"by-nc", "CC-BY-NC-4.0"),
    (r"by-sa.*3", "CC-BY-SA-3.0"),
    (r"by-sa", "CC-BY-SA-4.0"),
    (r"cc.by.*3", "CC-BY-3.0"),
    (r"cc.by|/by/4", "CC-BY-4.0"),
    (r"apache", "Apache-2.0"),
    (r"unlicense", "Unlicense"),
    (r"agpl", "AGPL-3.0"),
)
UNCLEAR = "unclear"
"""the voice's card names no licence, or only an address"""
_POINTER = re.compile(rb"version https://git-lfs\S+\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")


class _Config(msgspec.Struct):
    """Of a Piper voice."""

    num_speakers: int = 1


class Repository:
    """One commit of a Git repository."""

    def __init__(self, path: Path, revision: str) -> None:
        self._path = path
        self.revision = self._git("rev-parse", f"{revision}^{{commit}}").decode().strip()
        names = self._git("-c", "core.quotepath=off", "ls-tree", "-r", "-z", "--name-only", self.revision)
        self.paths = [PurePosixPath(name) for name in names.decode().split("\0") if name]

    def read(self, path: PurePosixPath) -> bytes:
        return self._git("show", f"{self.revision}:{path}")

    def file(self, path: PurePosixPath, name: str = "") -> File:
        """What `path` holds once Git LFS has fetched it."""
        data = self.read(path)
        if pointer := _POINTER.fullmatch(data):
            return File(name or path.name, pointer[1].decode(), int(pointer[2]))
        return File(name or path.name, hashlib.sha256(data).hexdigest(), len(data))

    def _git(self, *arguments: str) -> bytes:
        return subprocess.run(["git", "-C", str(self._path), *arguments], check=True, capture_output=True).stdout


def firefox(repository: Repository) -> Iterator[Entry]:
    """One entry a pair; files stay compressed, as their published hashes are those of the compressed files."""
    folders: dict[str, PurePosixPath] = {}
    for architecture in reversed(ARCHITECTURES):
        above = PurePosixPath("models") / architecture
        folders |= {path.parent.name: path.parent for path in repository.paths if path.parent.parent == above}
    for folder in (folders[pair] for pair in sorted(folders)):
        about = msgspec.json.decode(repository.read(folder / "metadata.json"), type=dict[str, object])
        languages = [CODES.get(code, code) for code in (str(about["sourceLanguage"]), str(about["targetLanguage"]))]
        wanted = [p for p in repository.paths if p.parent == folder and re.match(r"(lex|model|\w*vocab)\.", p.name)]
        files = [repository.file(path) for path in wanted]
        source = Source("url", f"{FIREFOX_FILES}/{repository.revision}/{folder}")
        yield Entry(f"firefox-{'-'.join(languages)}", "mt", "firefox", languages, "MPL-2.0", files, [source])


def piper(repository: Repository) -> Iterator[Entry]:
    """One entry a voice; the first of a language is the one that `tsuyaku models pull` takes."""
    voices = [path for path in repository.paths if path.suffix == ".onnx"]
    entries = [_voice(repository, path) for path in voices]
    yield from (entry for _, entry in sorted(entries, key=lambda ranked: ranked[0]))


def _voice(repository: Repository, path: PurePosixPath) -> tuple[tuple[str, int, int, str], Entry]:
    name = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode()
    config = path.with_name(path.name + ".json")
    files = [repository.file(path, f"{name}.onnx"), repository.file(config, f"{name}.onnx.json")]
    places = {file.name: [str(place)] for file, place in zip(files, (path, config), strict=True)}
    language = path.parts[0]
    licence = _licence(repository.read(path.with_name("MODEL_CARD")).decode())
    source = Source("hub", PIPER_HUB, repository.revision, places)
    restricted = licence == UNCLEAR or "NC" in licence
    speakers = msgspec.json.decode(repository.read(config), type=_Config).num_speakers
    rank = (language, 2 * restricted + (speakers > 1), QUALITIES.index(name.rsplit("-", 1)[1]), name)
    return rank, Entry(f"piper-{name}", "tts", "piper", [language], licence, files, [source])


def _licence(card: str) -> str:
    stated = re.search(r"licen[cs]e:\s*(.*)", card, re.IGNORECASE)
    text = re.sub(r"cc[- ]by", "cc-by", stated[1].lower()) if stated else ""
    return next((name for pattern, name in LICENCES if re.search(pattern, text)), UNCLEAR)


def write(entries: Iterator[Entry]) -> Iterator[str]:
    """TOML, one file a line."""
    for entry in entries:
        yield "\n[[entry]]"
        yield f'id = "{entry.id}"'
        yield f'task = "{entry.task}"'
        yield f'engine = "{entry.engine}"'
        yield f"languages = [{', '.join(_quoted(entry.languages))}]"
        yield f'licence = "{entry.licence}"'
        yield "files = ["
        yield from (f'  {{ name = "{f.name}", sha256 = "{f.sha256}", size = {f.size} }},' for f in entry.files)
        yield "]"
        for source in entry.sources:
            yield "[[entry.sources]]"
            yield f'kind = "{source.kind}"'
            yield f'location = "{source.location}"'
            if source.revision:
                yield f'revision = "{source.revision}"'
            if source.files:
                yield "[entry.sources.files]"
                yield from (f'"{name}" = [{", ".join(_quoted(parts))}]' for name, parts in source.files.items())


def _quoted(words: list[str]) -> list[str]:
    return [f'"{word}"' for word in words]


def main() -> None:
    kind, path, revision = sys.argv[1:]
    repository = Repository(Path(path), revision)
    known = Catalog.read("catalog.toml")
    found = {"firefox": firefox, "piper": piper}[kind](repository)
    print(f"# Written by `python -m models.catalog_update {kind} CLONE {repository.revision}`; do not edit.")
    print("\n".join(write(entry for entry in found if entry.id not in known)))


if __name__ == "__main__":
    main()
