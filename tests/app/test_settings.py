"""Settings: which place wins, and what is said about a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.config import app
from app.settings import Resolved, Settings, resolve
from models.errors import InputError


def resolved(tmp_path: Path, toml: str = "", flags: dict[str, object] | None = None, **environ: str) -> Resolved:
    path = tmp_path / "config.toml"
    path.write_text(toml, "utf-8")
    return resolve(flags, {"TSUYAKU_CONFIG": str(path), **environ})


def code_of(tmp_path: Path, toml: str = "", flags: dict[str, object] | None = None, **environ: str) -> str:
    with pytest.raises(InputError) as caught:
        resolved(tmp_path, toml, flags, **environ)
    return caught.value.code


def test_default_holds_where_nothing_is_stated(tmp_path: Path) -> None:
    found = resolved(tmp_path)
    assert found.settings == Settings()
    assert set(found.origins.values()) == {"default"}
    assert set(found.origins) == set(Settings.__struct_fields__)


def test_flag_beats_environment_beats_file(tmp_path: Path) -> None:
    toml = 'port = 1\nhost = "file"\nwhisper = "tiny"'
    found = resolved(tmp_path, toml, {"port": 3, "host": None}, TSUYAKU_PORT="2", TSUYAKU_HOST="env")
    assert (found.settings.port, found.settings.host, found.settings.whisper) == (3, "env", "tiny")
    assert found.origins["port"] == "flag --port"
    assert found.origins["host"] == "environment TSUYAKU_HOST"
    assert found.origins["whisper"] == f"file {found.path}"


def test_list_in_the_environment_is_split_at_commas(tmp_path: Path) -> None:
    found = resolved(tmp_path, TSUYAKU_TARGET_LANGUAGES="pt, es")
    assert found.settings.target_languages == ("pt", "es")


def test_list_in_the_file_is_a_list(tmp_path: Path) -> None:
    assert resolved(tmp_path, 'target_languages = ["pt"]').settings.target_languages == ("pt",)


def test_unknown_key_names_the_one_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'threads'") as caught:
        resolved(tmp_path, "thread = 2")
    assert caught.value.code == "config-unknown-key"


@pytest.mark.parametrize("toml", ['port = "8080"', "port = 99999", 'preset = "quick"', "target_languages = 1"])
def test_wrong_value_in_the_file_is_refused(tmp_path: Path, toml: str) -> None:
    assert code_of(tmp_path, toml) == "config-invalid"


def test_wrong_value_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="TSUYAKU_PORT") as caught:
        resolved(tmp_path, TSUYAKU_PORT="many")
    assert caught.value.code == "config-invalid"


def test_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    assert code_of(tmp_path, "port: 3") == "config-syntax"


def test_stated_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        resolve({}, {"TSUYAKU_CONFIG": str(tmp_path / "none.toml")})
    assert caught.value.code == "config-missing"


def test_config_show_tells_value_and_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.write_text("port = 99", "utf-8")
    monkeypatch.setenv("TSUYAKU_CONFIG", str(path))
    shown = json.loads(CliRunner().invoke(app, ["show", "--json"]).stdout)
    assert shown["settings"]["port"] == {"value": 99, "origin": f"file {path}"}
    assert "99" in CliRunner().invoke(app, ["show"]).stdout
