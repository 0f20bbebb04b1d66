"""Catalogue entries written from Git repositories that hold pointers instead of weights."""

from __future__ import annotations

import hashlib
import subprocess
import tomllib
from pathlib import Path

import pytest

from models.catalog_update import Repository, firefox, piper, write

CONFIG = b'{"num_speakers": 1}'


def pointer(name: str) -> bytes:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 123\n".encode()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    def put(path: str, data: bytes) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)

    for architecture, pair in (("tiny", "ennb"), ("base-memory", "ennb"), ("tiny", "deen")):
        folder = f"models/{architecture}/{pair}"
        put(f"{folder}/model.{pair}.bin.gz", pointer(folder))
        put(f"{folder}/srcvocab.{pair}.spm.gz", pointer("vocabulary"))
        languages = (pair[:2], pair[2:])
        put(
            f"{folder}/metadata.json",
            b'{"sourceLanguage": "%s", "targetLanguage": "%s"}' % (languages[0].encode(), languages[1].encode()),
        )
    for voice, licence in (("b-medium", "CC0"), ("ã-medium", "Unknown"), ("c-low", "CC BY 4.0")):
        name, quality = voice.split("-")
        folder = f"pt/pt_PT/{name}/{quality}"
        put(f"{folder}/pt_PT-{voice}.onnx", pointer(voice))
        put(f"{folder}/pt_PT-{voice}.onnx.json", CONFIG)
        put(f"{folder}/MODEL_CARD", f"* License: {licence}".encode())
    author = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "all"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return Repository(tmp_path, "HEAD")


def test_firefox_pair_takes_the_preferred_architecture_and_the_hashes_of_its_pointers(repository: Repository) -> None:
    entries = {entry.id: entry for entry in firefox(repository)}
    assert set(entries) == {"firefox-en-no", "firefox-de-en"}
    bokmal = entries["firefox-en-no"]
    assert bokmal.languages == ["en", "no"]
    assert bokmal.sources[0].location.endswith(f"/{repository.revision}/models/base-memory/ennb")
    assert bokmal.files[0].sha256 == hashlib.sha256(b"models/base-memory/ennb").hexdigest()
    assert [file.name for file in bokmal.files] == ["model.ennb.bin.gz", "srcvocab.ennb.spm.gz"]


def test_piper_voices_are_ordered_by_licence_and_quality_under_plain_names(repository: Repository) -> None:
    entries = list(piper(repository))
    assert [entry.id for entry in entries] == ["piper-pt_PT-b-medium", "piper-pt_PT-c-low", "piper-pt_PT-a-medium"]
    assert [entry.licence for entry in entries] == ["CC0-1.0", "CC-BY-4.0", "unclear"]
    model, config = entries[2].files
    assert model.name == "pt_PT-a-medium.onnx"
    assert entries[2].sources[0].files[model.name] == ["pt/pt_PT/ã/medium/pt_PT-ã-medium.onnx"]
    assert (config.sha256, config.size) == (hashlib.sha256(CONFIG).hexdigest(), len(CONFIG))


def test_what_is_written_is_toml(repository: Repository) -> None:
    written = tomllib.loads("\n".join(write(piper(repository))))
    assert [entry["id"] for entry in written["entry"]] == [entry.id for entry in piper(repository)]
