"""Downloads against a real server on loopback that does each thing that servers do, and against a disk that is full."""

from __future__ import annotations

import hashlib
import lzma
import multiprocessing
import resource
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

from models.catalog import Catalog, Entry, File, Source
from models.errors import UnavailableError
from models.store import Store

DATA = bytes(range(256)) * 16_384
HALF = len(DATA) // 2
FULL = 28  # exit status of a process that found no room
HASH = hashlib.sha256(DATA).hexdigest()


@dataclass
class Server:
    """Serves `data`, in the way that the fields say; notes what it was asked and how much it sent."""

    data: bytes = DATA
    ranges: bool = True
    """answers a Range with 206; with 200 and everything otherwise"""
    breaks_off: list[int] = field(default_factory=list[int])
    """bytes after which each of the next answers ends too soon"""
    says_length: bool = True
    pause_s: float = 0.0
    """between the halves of an answer"""
    asked: list[str] = field(default_factory=list[str])
    """the Range of each request; empty where it had none"""
    statuses: list[int] = field(default_factory=list[int])
    sent: int = 0
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        status = 416 if start >= len(self.data) else 206 if start else 200
        self.statuses.append(status)
        body = b"" if status == 416 else self.data[start:]
        handler.send_response(status)
        if self.says_length:
            handler.send_header("Content-Length", str(len(body)))
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        handler.send_header("Connection", "close")
        handler.end_headers()
        body = body[: self.breaks_off.pop(0)] if self.breaks_off else body
        middle = len(body) // 2
        for piece in (body[:middle], body[middle:]):
            handler.wfile.write(piece)
            handler.wfile.flush()
            self.sent += len(piece)
            time.sleep(self.pause_s)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    made.url = f"http://127.0.0.1:{http.server_port}"
    yield made
    http.shutdown()
    http.server_close()


def store(root: Path, url: str, packed: Literal["gz", "xz"] | None = None, digest: str = HASH) -> Store:
    source = Source("url", url, packed={"model.bin": packed} if packed else {})
    return Store(
        root, Catalog([Entry("tiny", "asr", "whisper", [], "MIT", [File("model.bin", digest, len(DATA))], [source])])
    )


def pull(root: Path, url: str, most: int = 0, packed: Literal["xz"] | None = None) -> None:
    """In a process of its own; `most` bytes fit into a file."""
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        store(root, url, packed).pull("tiny")
    except UnavailableError as error:
        raise SystemExit(FULL if error.code == "disk-full" else 1) from None


def process(*arguments: object) -> multiprocessing.process.BaseProcess:
    made = multiprocessing.get_context("spawn").Process(target=pull, args=arguments)
    made.start()
    return made


def left(root: Path, size: int = HALF, data: bytes = DATA) -> Path:
    """What a download that broke off leaves."""
    part = root / ".tiny.partial" / "model.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(data[:size])
    return part


def failure(root: Path, url: str) -> str:
    with pytest.raises(UnavailableError) as caught:
        store(root, url).pull("tiny")
    assert not (root / "tiny").exists()
    return caught.value.code


def content(root: Path) -> bytes:
    assert not list((root / "tiny").glob("*.part*"))
    return (root / "tiny" / "model.bin").read_bytes()


def test_download_that_breaks_off_goes_on_where_it_ended(tmp_path: Path, server: Server) -> None:
    server.breaks_off = [HALF]
    assert failure(tmp_path, server.url) == "model-unreachable"
    store(tmp_path, server.url).pull("tiny")
    assert content(tmp_path) == DATA
    assert server.asked == ["", f"bytes={HALF}-"]
    assert server.statuses == [200, 206]
    assert server.sent == len(DATA)


def test_download_that_breaks_off_without_a_stated_length_goes_on_too(tmp_path: Path, server: Server) -> None:
    server.says_length, server.breaks_off = False, [HALF]
    assert failure(tmp_path, server.url) == "model-unreachable"
    store(tmp_path, server.url).pull("tiny")
    assert content(tmp_path) == DATA
    assert server.sent == len(DATA)


def test_server_that_knows_no_ranges_is_taken_from_the_beginning(tmp_path: Path, server: Server) -> None:
    server.ranges = False
    left(tmp_path)
    store(tmp_path, server.url).pull("tiny")
    assert content(tmp_path) == DATA
    assert server.statuses == [200]


def test_download_that_had_ended_but_for_its_publishing_is_not_fetched_again(tmp_path: Path, server: Server) -> None:
    left(tmp_path, len(DATA))
    store(tmp_path, server.url).pull("tiny")
    assert content(tmp_path) == DATA
    assert server.statuses == [416]
    assert server.sent == 0


@pytest.mark.parametrize("size", [HALF, len(DATA), len(DATA) + 1000])
def test_rest_of_another_file_is_thrown_away_and_all_is_fetched(size: int, tmp_path: Path, server: Server) -> None:
    left(tmp_path, size, b"another version" * 300_000)
    store(tmp_path, server.url).pull("tiny")
    assert content(tmp_path) == DATA
    assert server.asked[-1] == ""
    assert len(server.asked) == 2


def test_file_with_another_hash_is_refused_and_nothing_of_it_stays(tmp_path: Path, server: Server) -> None:
    server.data = DATA[:-1] + b"!"
    assert failure(tmp_path, server.url) == "model-corrupt"
    assert server.asked == [""]
    assert not list(tmp_path.rglob("model.bin*"))


def test_file_with_another_hash_leaves_the_version_that_is_here(tmp_path: Path, server: Server) -> None:
    store(tmp_path, server.url).pull("tiny")
    newer = store(tmp_path, server.url, digest="0" * 64)
    with pytest.raises(UnavailableError) as caught:
        newer.pull("tiny")
    assert caught.value.code == "model-corrupt"
    assert content(tmp_path) == DATA


def test_full_disk_is_said_and_the_download_goes_on_when_there_is_room(tmp_path: Path, server: Server) -> None:
    full = process(tmp_path, server.url, HALF)
    full.join(60)
    assert full.exitcode == FULL
    assert not (tmp_path / "tiny").exists()
    sent = (tmp_path / ".tiny.partial" / "model.bin.part").stat().st_size
    assert 0 < sent <= HALF
    store(tmp_path, server.url).pull("tiny")
    assert content(tmp_path) == DATA
    assert server.asked == ["", f"bytes={sent}-"]


def test_disk_that_gets_full_while_unpacking_leaves_what_was_fetched(tmp_path: Path, server: Server) -> None:
    server.data = lzma.compress(DATA)
    assert len(server.data) < 100_000
    full = process(tmp_path, server.url, 100_000, "xz")
    full.join(60)
    assert full.exitcode == FULL
    store(tmp_path, server.url, "xz").pull("tiny")
    assert content(tmp_path) == DATA
    assert server.statuses == [200, 416]


def test_two_processes_at_once_fetch_it_once_and_both_have_it(tmp_path: Path, server: Server) -> None:
    server.pause_s = 1.0
    both = [process(tmp_path, server.url) for _ in range(2)]
    for each in both:
        each.join(60)
    assert [each.exitcode for each in both] == [0, 0]
    assert content(tmp_path) == DATA
    assert server.sent == len(DATA)


def test_process_that_is_killed_leaves_its_download_to_the_one_that_waits(tmp_path: Path, server: Server) -> None:
    server.pause_s = 2.0
    first = process(tmp_path, server.url)
    part = tmp_path / ".tiny.partial" / "model.bin.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size == HALF) and time.monotonic() < deadline:
        time.sleep(0.05)
    second = process(tmp_path, server.url)
    first.kill()
    second.join(60)
    assert second.exitcode == 0
    assert content(tmp_path) == DATA
    assert server.asked == ["", f"bytes={HALF}-"]


def test_server_that_fails_is_said_and_what_was_fetched_stays(tmp_path: Path) -> None:
    part = left(tmp_path)
    assert failure(tmp_path, "http://127.0.0.1:9") == "model-unreachable"
    assert part.stat().st_size == HALF
