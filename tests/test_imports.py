"""The import rule: models know nothing of ours, the pipeline knows models, the app knows both.

It holds wherever an import stands: in a function, for the type checker alone, relative, or by a name in a string.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"app", "pipeline", "models", "benchmarks", "tests"}
ALLOWED = {
    "models": {"models"},
    "pipeline": {"models", "pipeline"},
    "app": {"models", "pipeline", "app"},
    "benchmarks": {"models", "pipeline", "app", "benchmarks"},
    "tests": OURS,
}
BY_FILE = {"app/cli/bench.py": {"benchmarks"}}
"""what one file may import beyond its package: the command that runs benchmarks"""
IN_PIPELINE = {
    *("__future__", "asyncio", "collections", "dataclasses", "difflib", "math", "re", "time", "typing", "unicodedata"),
    *("msgspec", "numpy", "models", "pipeline"),
}
"""asyncio and arithmetic: nothing here opens a socket, a file or a device"""
OPENS = {
    *("open", "print", "input", "exec", "eval", "open_connection", "start_server", "open_unix_connection"),
    *("create_connection", "create_server", "create_subprocess_exec", "create_subprocess_shell", "to_thread"),
    *("run_in_executor", "fromfile", "tofile", "memmap", "loadtxt", "savetxt", "genfromtxt", "sleep_until"),
}
"""calls that would, of what is left, and threads beside the schedulers'"""
BY_NAME = {"import_module", "__import__", "find_spec", "files", "run_module"}
"""functions whose first argument is the name of a module"""


def imported(source: str, package: tuple[str, ...] = ()) -> Iterator[str]:
    """Dotted names of what a module imports, in whichever way; `package` is where it lies."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            beneath = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*beneath, *([node.module] if node.module else [])])
            yield from ([module] if module else (alias.name for alias in node.names))
        elif isinstance(node, ast.Call) and _called(node) in BY_NAME and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_module_of_ours(node.value):
            yield node.value


def _called(call: ast.Call) -> str:
    """The last part of the name of a function that is called."""
    function = call.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _is_module_of_ours(text: str) -> bool:
    """Whether a string names a module of this repository, which somebody may import by it."""
    parts = text.split(".")
    if len(parts) < 2 or parts[0] not in OURS or not all(part.isidentifier() for part in parts):
        return False
    path = ROOT.joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def tops(path: Path) -> set[str]:
    """The first part of each name that a file imports."""
    package = path.relative_to(ROOT).parent.parts
    return {name.split(".")[0] for name in imported(path.read_text("utf-8"), package)}


def sources(package: str) -> list[Path]:
    found = [path for path in (ROOT / package).rglob("*.py") if "node_modules" not in path.parts]
    assert found
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_package_imports_only_what_it_may(package: str) -> None:
    for path in sources(package):
        name = path.relative_to(ROOT).as_posix()
        assert tops(path) & OURS <= ALLOWED[package] | BY_FILE.get(name, set()), name


def test_every_package_of_ours_has_a_rule() -> None:
    folders = {path.parts[0] for each in ROOT.glob("*/*.py") if (path := each.relative_to(ROOT)).parts[0] != ".venv"}
    assert folders == OURS == set(ALLOWED)


def test_file_that_may_import_more_does_so() -> None:
    for name, more in BY_FILE.items():
        assert more <= tops(ROOT / name), name


def test_pipeline_is_asyncio_and_arithmetic() -> None:
    for path in sources("pipeline"):
        assert tops(path) <= IN_PIPELINE, path
        called = {_called(node) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)}
        assert not called & OPENS, path


@pytest.mark.parametrize(
    "source",
    [
        "import app",
        "import app.server",
        "import app.server as other",
        "import numpy, app.server",
        "from app import server",
        "from app.cli.bench import app",
        "from .. import app",
        "from ..app import server",
        "def late():\n    from app.server import Server",
        "async def late():\n    if True:\n        import app.server",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.server import Server",
        "try:\n    import app.server\nexcept ImportError:\n    pass",
        "class Kind:\n    from app.server import Server",
        "import importlib\nimportlib.import_module('app.server')",
        "__import__('app.server')",
        "NAMES = {'serve': 'app.cli.serve'}",
    ],
)
def test_import_is_seen_wherever_it_stands(source: str) -> None:
    assert "app" in {name.split(".")[0] for name in imported(source, ("pipeline",))}


@pytest.mark.parametrize(
    "source", ["'an app.'", "x = 'app'", "from . import events", "import application", "app.run()"]
)
def test_what_only_looks_like_an_import_is_none(source: str) -> None:
    assert "app" not in {name.split(".")[0] for name in imported(source, ("pipeline",))}
