"""The import rule: models know nothing of ours, the pipeline knows models, the app knows both."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"app", "pipeline", "models", "benchmarks", "tests"}
ALLOWED = {"models": {"models"}, "pipeline": {"models", "pipeline"}, "app": {"models", "pipeline", "app", "benchmarks"}}
FORBIDDEN_IN_PIPELINE = {"socket", "websockets", "starlette", "sounddevice", "av", "pathlib", "requests", "httpx"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_package_imports_only_what_it_may(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert imported(path) & OURS <= ALLOWED[package], path


def test_pipeline_touches_no_socket_file_or_device() -> None:
    for path in (ROOT / "pipeline").rglob("*.py"):
        assert not imported(path) & FORBIDDEN_IN_PIPELINE, path
