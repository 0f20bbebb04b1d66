"""The store of weights: fetched once, verified, and never loaded otherwise.

An entry lives in a folder of its own. It is put together beside it, verified against the catalogue and published by one
rename, under a lock that other processes honour. A stamp records size and modification time of each verified file, so
that the next start need not hash it again.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import filelock
import msgspec
import platformdirs

from models.catalog import Catalog, Entry, File, Source
from models.errors import NO_ROOM, InputError, TsuyakuError, UnavailableError

CHUNK = 1 << 20  # bytes
STAMP = ".verified"
TIMEOUT_S = 30
HUB = "https://huggingface.co"  # HF_ENDPOINT names a mirror, as it does for the hub's own client

INSTALL = "make setup, or pip install 'tsuyaku[voices]'"

Progress = Callable[[str, int, int], None]
"""called with the file's name, bytes so far and bytes in all"""


class Store:
    """`root` defaults to TSUYAKU_MODELS, else to the platform's cache folder."""

    def __init__(self, root: Path | None = None, catalog: Catalog | None = None) -> None:
        self.root = root or _default_root()
        self.catalog = catalog or Catalog.load()

    def path(self, name: str) -> Path:
        """The folder of a verified entry. Raises `UnavailableError` `model-missing` or `model-corrupt`."""
        entry = self.catalog.entry(name)
        folder = self.root / name
        if not folder.is_dir():
            raise UnavailableError("model-missing", f"'{name}' is not on this machine: tsuyaku models pull {name}")
        self._verify(entry, folder)
        return folder

    def ensure(self, name: str) -> Path:
        """`path`, after putting the entry together from installed packages or folders where that suffices."""
        try:
            return self.path(name)
        except UnavailableError as missing:
            local = _local_sources(self.catalog.entry(name))
            if missing.code != "model-missing" or not local:
                raise
            return self._fetch(self.catalog.entry(name), local[:1], None)

    def at_hand(self, name: str) -> bool:
        """Whether `ensure` finds the entry without a network."""
        return (self.root / name).is_dir() or bool(_local_sources(self.catalog.entry(name)))

    def pull(self, name: str, progress: Progress | None = None) -> Path:
        """Fetch an entry from the first of its sources that works; nothing is fetched where it is there already."""
        entry = self.catalog.entry(name)
        try:
            return self.path(name)
        except UnavailableError:
            return self._fetch(entry, list(entry.sources), progress)

    def verify(self, name: str) -> Path:
        """Hash every file again, whatever the stamp says."""
        with _disk_errors(self.root):
            (self.root / name / STAMP).unlink(missing_ok=True)
            return self.path(name)

    def remove(self, name: str) -> bool:
        """Delete an entry; False where it was not there."""
        self.catalog.entry(name)
        with _disk_errors(self.root), self._lock(name):
            shutil.rmtree(self.root / f".{name}.partial", ignore_errors=True)
            folder = self.root / name
            if not folder.is_dir():
                return False
            shutil.rmtree(folder)
            return True

    def installed(self) -> list[str]:
        return sorted(name for name in self.catalog.entries if (self.root / name).is_dir())

    def available(self, name: str) -> bool:
        """Whether an entry is here, or can be put together from what is installed."""
        if (self.root / name).is_dir():
            return True
        return any(_is_here(s) for s in self.catalog.entry(name).sources if s.kind in ("package", "folder"))

    def _fetch(self, entry: Entry, sources: list[Source], progress: Progress | None) -> Path:
        with _disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with self._lock(entry.id):
                folder = self.root / entry.id
                if folder.is_dir() and self._is_whole(entry, folder):
                    return folder
                partial = self.root / f".{entry.id}.partial"
                partial.mkdir(exist_ok=True)
                self._from_first(entry, sources, partial, progress)
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
                return folder

    def _from_first(self, entry: Entry, sources: list[Source], partial: Path, progress: Progress | None) -> None:
        last: TsuyakuError | None = None
        for source in sources:
            try:
                for file in entry.files:
                    self._place(source, file, partial / file.name, progress)
                _write_stamp(entry, partial)
                return
            except UnavailableError as error:
                if error.code in ("disk-full",):
                    raise
                last = error
        raise last or UnavailableError("model-missing", f"The catalogue names no source for '{entry.id}'.")

    def _place(self, source: Source, file: File, target: Path, progress: Progress | None) -> None:
        if target.exists() and _digest(target) == file.sha256:
            return
        target.unlink(missing_ok=True)
        part = target.with_name(target.name + ".part")
        goes_on = part.exists()
        try:
            _fill(source, file, part, progress)
        except UnavailableError as error:
            if error.code != "model-corrupt" or not goes_on:
                raise
            _fill(source, file, part, progress)  # what an earlier attempt left was not of this file
        part.rename(target)

    def _verify(self, entry: Entry, folder: Path) -> None:
        if _stamp(entry, folder) == _read_stamp(folder):
            return
        if not self._is_whole(entry, folder):
            raise UnavailableError(
                "model-corrupt",
                f"The files of '{entry.id}' have changed: tsuyaku models remove {entry.id}, then pull it.",
            )
        _write_stamp(entry, folder)

    @staticmethod
    def _is_whole(entry: Entry, folder: Path) -> bool:
        return all((folder / f.name).is_file() and _digest(folder / f.name) == f.sha256 for f in entry.files)

    @contextmanager
    def _lock(self, name: str) -> Generator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.root / f".{name}.lock"):
            yield


def _default_root() -> Path:
    if stated := os.environ.get("TSUYAKU_MODELS"):
        return Path(stated).expanduser()
    return platformdirs.user_cache_path("tsuyaku", appauthor=False) / "models"


def _local_sources(entry: Entry) -> list[Source]:
    return [source for source in entry.sources if source.kind in ("package", "folder") and _is_here(source)]


def _is_here(source: Source) -> bool:
    if source.kind == "folder":
        return Path(source.location).expanduser().is_dir()
    return all(find_spec(part.split("/")[0]) is not None for parts in source.files.values() for part in parts)


def _local_parts(source: Source, file: File) -> list[Path]:
    if source.kind == "folder":
        return [Path(source.location).expanduser() / name for name in source.files.get(file.name, [file.name])]
    return [_in_package(part) for part in source.files[file.name]]


def _in_package(part: str) -> Path:
    package, _, inside = part.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError(
            "model-missing", f"The package '{package}' that carries weights is not installed: {INSTALL}."
        )
    return Path(spec.submodule_search_locations[0]) / inside


def _join(parts: list[Path], target: Path) -> None:
    try:
        with target.open("wb") as out:
            for part in parts:
                with part.open("rb") as data:
                    shutil.copyfileobj(data, out, CHUNK)
    except FileNotFoundError as error:
        raise UnavailableError("model-missing", f"{error.filename} is not there; install the package again.") from error


def _url(source: Source, file: File) -> str:
    path = source.files.get(file.name, [file.name])[0]
    if source.kind == "hub":
        hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
        return f"{hub}/{source.location}/resolve/{source.revision or 'main'}/{quote(path)}"
    return f"{source.location.rstrip('/')}/{path}" if source.location else path


def _fill(source: Source, file: File, part: Path, progress: Progress | None) -> None:
    """Make `part` the verified content of `file`. Raises `model-corrupt`, after which nothing is left of it."""
    packed = source.packed.get(file.name, "")
    if source.kind in ("package", "folder"):
        _join(_local_parts(source, file), part)
    else:
        _download(_url(source, file), part, file.name, 0 if packed else file.size, progress)
    _unpack(part, packed)
    if (found := _digest(part)) != file.sha256:
        part.unlink()
        raise UnavailableError(
            "model-corrupt",
            f"{file.name} has the hash {found[:12]}… where {file.sha256[:12]}… was expected; it was refused.",
        )


def _download(url: str, part: Path, name: str, size: int, progress: Progress | None) -> None:
    """Fetch `url` into `part`, from where an earlier attempt ended if the server can. `size` in bytes holds where the
    server states none; 0 where it is unknown."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            resumed = answer.status == 206
            stated = int(answer.headers.get("Content-Length") or 0)
            total = stated + (have if resumed else 0) if stated else size
            with part.open("ab" if resumed else "wb") as out:
                _copy(answer, out, have if resumed else 0, total, name, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to fetch
            return
        raise UnavailableError("model-unreachable", f"{url} answered {error.code}; try again later.") from error
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        raise UnavailableError("model-unreachable", f"{url} cannot be reached; check the network.") from error


def _copy(answer: BinaryIO, out: BinaryIO, done: int, total: int, name: str, progress: Progress | None) -> None:
    while chunk := answer.read(CHUNK):
        out.write(chunk)
        done += len(chunk)
        if progress:
            progress(name, done, total)
    if done < total:
        raise UnavailableError("model-unreachable", f"The download of {name} broke off; pull it again to go on.")


def _unpack(part: Path, packed: str) -> None:
    if not packed:
        return
    raw = part.read_bytes()
    try:
        data = lzma.decompress(raw) if packed == "xz" else zlib.decompress(raw, 47)
    except (lzma.LZMAError, zlib.error) as error:
        part.unlink()
        raise UnavailableError("model-corrupt", f"{part.stem} cannot be unpacked; pull it again.") from error
    whole = part.with_name(part.name + ".unpacked")  # a disk that gets full here leaves what was fetched as it is
    whole.write_bytes(data)
    whole.replace(part)


def _digest(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _stamp(entry: Entry, folder: Path) -> list[list[str | int]]:
    stamp: list[list[str | int]] = []
    for file in entry.files:
        try:
            status = (folder / file.name).stat()
        except FileNotFoundError:
            return []
        stamp.append([file.name, file.sha256, status.st_size, status.st_mtime_ns, status.st_ino])
    return stamp


def _read_stamp(folder: Path) -> list[list[str | int]] | None:
    try:
        return msgspec.json.decode((folder / STAMP).read_bytes(), type=list[list[str | int]])
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _write_stamp(entry: Entry, folder: Path) -> None:
    try:
        (folder / STAMP).write_bytes(msgspec.json.encode(_stamp(entry, folder)))
    except PermissionError:
        return  # a read-only cache is hashed at each start


@contextmanager
def _disk_errors(root: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise UnavailableError("disk-full", f"The disk of {root} is full; free some room and try again.") from error
        raise InputError("cache-unwritable", f"{root} cannot be written; set TSUYAKU_MODELS to another.") from error
