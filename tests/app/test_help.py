"""Help that teaches: every command says what it does and shows how it is typed."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from app.cli import COMMANDS, GROUPS, app

ROOT = typer.main.get_command(app)


def commands() -> list[list[str]]:
    found: list[list[str]] = []
    with ROOT.make_context("tsuyaku", [], resilient_parsing=True) as context:
        for name in ROOT.list_commands(context):  # type: ignore[attr-defined]
            command = ROOT.get_command(context, name)  # type: ignore[attr-defined]
            inner = getattr(command, "commands", None)
            found += [[name, each] for each in inner] if inner else [[name]]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_of_every_command_shows_how_it_is_typed(command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "120"}, prog_name="tsuyaku")
    assert done.exit_code == 0
    body = done.output.split("Options")[0].split("Usage:")[1].split("\n", 1)[1]
    assert f"tsuyaku {' '.join(command)}" in body


def test_commands_that_are_named_exist() -> None:
    assert {name for name, *_ in commands()} <= {*COMMANDS, *GROUPS}
