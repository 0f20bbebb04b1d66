"""`tsuyaku config`: which settings hold, and why."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.settings import Resolved, Settings, resolve

app = typer.Typer(help="Settings, and where each comes from.", no_args_is_help=True, add_completion=False)


@app.callback()
def config() -> None:
    """Settings come from a flag, else from TSUYAKU_*, else from the settings file, else they are the default."""


@app.command()
def show(json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False) -> None:
    """Show every setting, its value and its origin.

    \b
        tsuyaku config show
        TSUYAKU_WHISPER=small tsuyaku config show --json
    """
    resolved = resolve()
    if json:
        typer.echo(_as_json(resolved))
    else:
        Console().print(_table(resolved))


def _as_json(resolved: Resolved) -> str:
    settings = {
        name: {"value": value, "origin": resolved.origins[name]} for name, value in _shown(resolved.settings).items()
    }
    return msgspec.json.encode({"file": str(resolved.path), "settings": settings}).decode()


def _shown(settings: Settings) -> dict[str, object]:
    """Without secrets: whoever asks for help pastes this."""
    values: dict[str, object] = msgspec.structs.asdict(settings)
    return values | {"llama_key": "(set)" if settings.llama_key else ""}


def _table(resolved: Resolved) -> Table:
    table = Table("setting", "value", "origin", caption=Text(f"settings file: {resolved.path}"), box=None)
    for name, value in _shown(resolved.settings).items():
        shown = ", ".join(map(str, cast("tuple[str, ...]", value))) if isinstance(value, tuple) else str(value)
        table.add_row(name, Text(shown), Text(resolved.origins[name]))
    return table
