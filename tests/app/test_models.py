"""`tsuyaku models`: what a language stands for, and what each command says and to whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.models import app, expanded
from app.translation import EmbeddedTranslation
from models.catalog import Catalog, Entry, File, Source
from models.errors import InputError, TsuyakuError, UnavailableError
from models.store import Store

CATALOG = Catalog.load()


def test_languages_are_all_that_an_interpreter_between_them_needs() -> None:
    wanted, lacking = expanded(CATALOG, ["en", "ja"])
    assert wanted == [
        *("silero-vad-v6", "whisper-base", "firefox-en-ja", "firefox-ja-en"),
        *("piper-en_US-joe-medium", "kokoro-82m-int8"),
    ]
    assert lacking == []


def test_pair_that_pivots_is_all_of_its_legs_each_once() -> None:
    wanted, _ = expanded(CATALOG, ["es", "pt", "firefox-es-en"])
    pairs = [name for name in wanted if name.startswith("firefox")]
    assert sorted(pairs) == ["firefox-en-es", "firefox-en-pt", "firefox-es-en", "firefox-pt-en"]


@pytest.mark.parametrize("tag", ["pt-BR", "pt-br", "PT", "pt-Latn-BR", "pt-076"])
def test_region_of_a_language_is_left_out(tag: str) -> None:
    assert expanded(CATALOG, [tag, "en"]) == expanded(CATALOG, ["pt", "en"])
    assert expanded(CATALOG, [tag, "en", "pt"]) == expanded(CATALOG, ["pt", "en"])


def test_voice_of_a_region_is_found() -> None:
    assert [name for name in expanded(CATALOG, ["de-AT"])[0] if name.startswith("piper-de")]


def test_names_stand_for_themselves() -> None:
    assert expanded(CATALOG, ["whisper-small", "firefox-en-de"]) == (["whisper-small", "firefox-en-de"], [])


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("xx", "unknown-language", "'xx'"),
        ("whisper-smal", "unknown-model", "did you mean whisper-small"),
        ("en-pt", "unknown-model", "firefox-en-pt"),
    ],
)
def test_what_is_neither_a_model_nor_a_language_is_refused(name: str, code: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        expanded(CATALOG, [name])
    assert caught.value.code == code


def entry(source: str, target: str, *sources: Source) -> Entry:
    file = File("model.bin", "0" * 64, 1)
    return Entry(f"firefox-{source}-{target}", "mt", "firefox", [source, target], "MPL-2.0", [file], list(sources))


def test_every_leg_that_the_catalogue_lacks_is_named() -> None:
    _, lacking = expanded(Catalog([*CATALOG.find("vad"), CATALOG.entry("whisper-base")]), ["es", "pt"])
    assert "no model from 'es' to 'en' and none from 'en' to 'pt'; Llama" in lacking[0]
    assert "no model from 'pt' to 'en' and none from 'en' to 'es'; Llama" in lacking[1]
    assert [sentence for sentence in lacking if "eSpeak" in sentence]


def pair_missing(store: Store, source: str, target: str) -> TsuyakuError:
    with pytest.raises(TsuyakuError) as caught:
        EmbeddedTranslation(store).check(source, target)
    assert caught.value.code == "pair-missing"
    return caught.value


def test_every_leg_that_is_not_here_is_in_the_command_that_pulls_it(tmp_path: Path) -> None:
    here = Source("folder", str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"")
    store = Store(tmp_path / "models", Catalog([entry("es", "en"), entry("en", "pt"), entry("pt", "en", here)]))
    both = pair_missing(store, "es", "pt")
    assert isinstance(both, UnavailableError)
    assert both.message.endswith(": tsuyaku models pull firefox-es-en firefox-en-pt")
    assert pair_missing(store, "en", "pt").message.endswith(": tsuyaku models pull firefox-en-pt")
    assert isinstance(pair_missing(store, "es", "cy"), InputError)


def test_pair_with_a_wrong_hash_is_called_corrupt_and_not_missing(tmp_path: Path) -> None:
    folder = tmp_path / "firefox-en-pt"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"x")
    with pytest.raises(UnavailableError) as caught:
        EmbeddedTranslation(Store(tmp_path, Catalog([entry("en", "pt")]))).check("en", "pt")
    assert caught.value.code == "model-corrupt"


def test_cache_that_cannot_be_written_is_not_called_a_missing_pair() -> None:
    with pytest.raises(InputError) as caught:
        EmbeddedTranslation(Store(Path("/dev/null/models"))).check("en", "pt")
    assert caught.value.code == "cache-unwritable"


def listed(*arguments: str) -> list[dict[str, object]]:
    done = CliRunner().invoke(app, ["list", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_list_for_a_program_has_every_entry_of_the_catalogue() -> None:
    rows = {str(row["id"]): row for row in listed()}
    assert rows.keys() == CATALOG.entries.keys()
    for name, known in CATALOG.entries.items():
        assert rows[name] == {
            "id": name,
            "task": known.task,
            "engine": known.engine,
            "languages": known.languages,
            "size": known.size,
            "licence": known.licence,
            "installed": (Store().root / name).is_dir(),
        }


def test_list_of_a_language_has_what_serves_it_or_every_language() -> None:
    rows = listed("pt-BR")
    assert rows == listed("pt")
    assert {"whisper-base", "firefox-en-pt", "kokoro-82m-int8"} <= {str(row["id"]) for row in rows}
    assert all("pt" in row["languages"] or not row["languages"] for row in rows)  # type: ignore[operator]


def test_list_of_what_is_here_follows_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUYAKU_MODELS", str(tmp_path))
    assert listed("--here") == []
    (tmp_path / "whisper-base").mkdir()
    assert [(row["id"], row["installed"]) for row in listed("--here")] == [("whisper-base", True)]


def test_path_is_that_of_a_verified_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Store().ensure("silero-vad-v6")
    done = CliRunner().invoke(app, ["path", "silero-vad-v6"])
    assert (done.exit_code, done.stdout) == (0, f"{folder}\n")
    monkeypatch.setenv("TSUYAKU_MODELS", str(tmp_path))
    missing = CliRunner().invoke(app, ["path", "silero-vad-v6"])
    assert isinstance(missing.exception, UnavailableError)
    assert missing.exception.code == "model-missing"
    assert missing.stdout == ""


def test_path_of_changed_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUYAKU_MODELS", str(tmp_path))
    folder = Store().ensure("silero-vad-v6")
    next(folder.glob("*.onnx")).write_bytes(b"changed")
    done = CliRunner().invoke(app, ["path", "silero-vad-v6"])
    assert isinstance(done.exception, UnavailableError)
    assert done.exception.code == "model-corrupt"
    assert done.stdout == ""
