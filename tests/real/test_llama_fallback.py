"""A Llama server that is not there: captions go on from the embedded engine, and each says who wrote it."""

from __future__ import annotations

import pytest

from app.interpreter import interpreter
from app.settings import resolve
from tests.conftest import Recording
from tests.real.test_translate import committed, events, run

pytestmark = pytest.mark.real

NOWHERE = ("--translator", "llama", "--llama-url", "http://127.0.0.1:9/v1")


def test_captions_go_on_from_the_embedded_engine_without_a_server(english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "jsonl", *NOWHERE)
    found = events(done.stdout)
    assert done.returncode == 0
    assert committed(found, "translation", "pt").strip()
    assert {e["engine"] for e in found if e["event"] == "translation"} == {"firefox"}


def test_pair_that_only_llama_has_is_said_to_need_a_server(english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "hi", "--format", "jsonl", *NOWHERE)
    assert done.returncode == 3
    assert b"tsuyaku llama serve" in done.stderr


def test_pages_are_told_which_pairs_are_llamas_alone() -> None:
    made = interpreter(resolve({"translator": "llama", "llama_url": "http://127.0.0.1:9/v1"}).settings)
    assert "ja" in made.alone["en"]
    assert "pt" not in made.alone["en"]
    assert interpreter(resolve({}).settings).alone == {}
