"""`tsuyaku models`, as a person calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.firefox import FirefoxTranslator
from models.protocols import TranslationRequest
from models.store import Store
from tests.real.command import assert_one_sentence, run

pytestmark = pytest.mark.real

WHISPER = "whisper-base"


@pytest.mark.parametrize(("name", "code"), [("xx", "unknown-language"), ("whisper-bas", "unknown-model")])
def test_name_that_is_neither_model_nor_language_is_said(name: str, code: str) -> None:
    done = run("models", "pull", name)
    assert_one_sentence(done, code, 2)


def test_way_through_english_translates_both_halves() -> None:
    """Portuguese to Portuguese under other names: no pair of the embedded packages leaves English out."""
    store = Store()
    pairs = {("xx", "en"): store.ensure("firefox-pt-en"), ("en", "yy"): store.ensure("firefox-en-pt")}
    request = TranslationRequest("O livro está em cima da mesa.", "xx", "yy", final=True)
    (answer,) = FirefoxTranslator(pairs).translate([request])
    assert answer.text.startswith("O livro está")
    assert "mesa" in answer.text


def test_list_says_what_is_here_for_a_program() -> None:
    Store().ensure(WHISPER)
    rows = json.loads(run("models", "list", "--json").stdout)
    by_id = {row["id"]: row for row in rows}
    assert by_id[WHISPER]["installed"] is True
    assert set(by_id[WHISPER]) == {"id", "task", "engine", "languages", "size", "licence", "installed"}
    here = json.loads(run("models", "list", "--here", "--json").stdout)
    assert {row["id"] for row in here} == {row["id"] for row in rows if row["installed"]}
    german = json.loads(run("models", "list", "de", "--json").stdout)
    assert "firefox-en-de" in {row["id"] for row in german}
    assert "firefox-en-pt" not in {row["id"] for row in german}


def test_path_is_printed_of_a_model_that_is_here() -> None:
    done = run("models", "path", WHISPER)
    assert done.returncode == 0
    assert (Path(done.stdout.decode().strip()) / "model.bin").is_file()
    missing = run("models", "path", "whisper-large-v3")
    assert_one_sentence(missing, "model-missing", 3)
    assert b"tsuyaku models pull whisper-large-v3" in missing.stderr


def test_model_is_verified_and_removed(tmp_path: Path) -> None:
    shutil.copytree(Store().ensure("silero-vad-v6"), tmp_path / "silero-vad-v6")
    own = {"TSUYAKU_MODELS": str(tmp_path)}
    assert json.loads(run("models", "verify", "--json", **own).stdout) == {"silero-vad-v6": "verified"}
    assert run("models", "remove", "silero-vad-v6", **own).stdout == b"silero-vad-v6: removed\n"
    assert run("models", "remove", "silero-vad-v6", **own).stdout == b"silero-vad-v6: was not here\n"
    assert json.loads(run("models", "list", "--here", "--json", **own).stdout) == []
