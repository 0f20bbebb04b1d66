"""The store on real files, a real server on loopback and real processes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.catalog import Catalog, Entry, File, Source
from models.errors import InputError, UnavailableError
from models.store import Store

DATA = bytes(range(256)) * 4096


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; tests/models/test_downloads.py has a server that does what is harder."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "model.bin").write_bytes(DATA)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def catalog(address: str, digest: str = hashlib.sha256(DATA).hexdigest()) -> Catalog:
    file = File("model.bin", digest, len(DATA))
    return Catalog([Entry("tiny", "asr", "whisper", [], "MIT", [file], [Source("url", address)])])


def test_store_publishes_what_it_fetched_and_verified(tmp_path: Path, server: str) -> None:
    folder = Store(tmp_path / "models", catalog(server)).pull("tiny")
    assert (folder / "model.bin").read_bytes() == DATA


def test_store_refuses_a_file_whose_hash_differs(tmp_path: Path, server: str) -> None:
    store = Store(tmp_path / "models", catalog(server, "0" * 64))
    with pytest.raises(UnavailableError) as error:
        store.pull("tiny")
    assert error.value.code == "model-corrupt"
    assert not (tmp_path / "models" / "tiny").exists()


def test_store_notices_a_file_that_changed_after_it_was_verified(tmp_path: Path, server: str) -> None:
    store = Store(tmp_path / "models", catalog(server))
    folder = store.pull("tiny")
    (folder / "model.bin").write_bytes(DATA[:-1] + b"!")
    with pytest.raises(UnavailableError) as error:
        store.path("tiny")
    assert error.value.code == "model-corrupt"


def test_missing_model_names_the_command_that_pulls_it(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="tsuyaku models pull tiny"):
        Store(tmp_path, catalog("http://127.0.0.1:9")).path("tiny")


def test_unreachable_source_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as error:
        Store(tmp_path, catalog("http://127.0.0.1:9")).pull("tiny")
    assert error.value.code == "model-unreachable"


def test_unknown_model_is_answered_with_close_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean tiny"):
        Store(tmp_path, catalog("")).path("tinny")


def test_removed_model_is_gone(tmp_path: Path, server: str) -> None:
    store = Store(tmp_path / "models", catalog(server))
    store.pull("tiny")
    assert store.remove("tiny")
    assert store.installed() == []
    assert not store.remove("tiny")


def test_every_entry_of_the_catalogue_has_a_source_for_every_file() -> None:
    for entry in Catalog.load().entries.values():
        assert entry.sources, entry.id
        for file in entry.files:
            assert len(file.sha256) == 64, entry.id
            for source in entry.sources:
                assert source.kind != "package" or file.name in source.files, entry.id


def test_catalogue_has_whisper_firefox_and_piper_with_hashes_of_their_own() -> None:
    entries = Catalog.load().entries
    engines = [entry.engine for entry in entries.values()]
    assert engines.count("whisper") >= 13
    assert engines.count("firefox") >= 90
    assert engines.count("piper") >= 120
    weights = [max(entry.files, key=lambda file: file.size).sha256 for entry in entries.values()]
    assert len(set(weights)) == len(weights)


def test_catalogue_names_one_voice_for_each_file_name_and_one_commit_for_each_hub() -> None:
    for entry in Catalog.load().entries.values():
        assert len({file.name for file in entry.files}) == len(entry.files)
        assert all(len(source.revision) == 40 for source in entry.sources if source.kind == "hub"), entry.id
        assert all("/" not in file.name and file.name.isascii() for file in entry.files), entry.id


def test_first_voice_of_a_language_may_be_used_by_anybody_where_there_is_one() -> None:
    catalog = Catalog.load()
    for language in ("de", "es", "fr", "nl"):
        assert catalog.find("tts", [language])[0].licence in {"CC0-1.0", "CC-BY-4.0", "public domain"}, language


def test_hub_of_a_mirror_is_asked_where_it_is_named(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = tmp_path / "served" / "owner" / "name" / "resolve" / "main"
    served.mkdir(parents=True)
    (served / "model.bin").write_bytes(DATA)
    monkeypatch.setenv("HF_ENDPOINT", server)
    file = File("model.bin", hashlib.sha256(DATA).hexdigest(), len(DATA))
    entry = Entry("tiny", "asr", "whisper", [], "MIT", [file], [Source("hub", "owner/name")])
    assert (Store(tmp_path / "models", Catalog([entry])).pull("tiny") / "model.bin").read_bytes() == DATA


def test_route_between_languages_goes_through_english() -> None:
    pairs = [("de", "en"), ("en", "pt"), ("pt", "en")]
    entries = [Entry(f"{a}-{b}", "mt", "firefox", [a, b], "MPL-2.0", [], []) for a, b in pairs]
    route = Catalog(entries).translation_route("de", "pt")
    assert [entry.id for entry in route] == ["de-en", "en-pt"]
    assert Catalog(entries).translation_route("pt", "de") == []
