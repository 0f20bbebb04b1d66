"""The command line. `main` is the only place where an error becomes a sentence and an exit status."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from models.errors import TsuyakuError

HELP = """Tsuyaku (通訳) interprets speech while it is spoken.

\b
    tsuyaku serve                                       the web page for a meeting, or for two
    tsuyaku demo                                        hear a sample interpreted
    tsuyaku translate talk.mp4 --from en --to pt        subtitles of a recording
    tsuyaku doctor                                      what works here, and how fast

Exit status: 0 all went well, 1 it ended early, 2 what you gave cannot be used, 3 something is missing, 130 stopped.
"""

COMMANDS = {
    "translate": "app.cli.translate",
    "demo": "app.cli.demo",
    "serve": "app.cli.serve",
    "listen": "app.cli.listen",
    "sample": "app.cli.sample",
    "setup": "app.cli.setup",
    "doctor": "app.cli.doctor",
}
GROUPS = {"models": "app.cli.models", "config": "app.cli.config", "bench": "app.cli.bench"}


class _Lazy(TyperGroup):
    """Loads a command's module when it is called, so that `--help` and a typing error cost nothing."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in [*COMMANDS, *GROUPS] if _exists(name)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if not _exists(cmd_name):
            return None
        module = importlib.import_module(COMMANDS.get(cmd_name) or GROUPS[cmd_name])
        if cmd_name in GROUPS:
            command = typer.main.get_command(module.app)
            command.name = cmd_name
            return command
        single = typer.Typer(add_completion=False)
        single.command(name=cmd_name)(getattr(module, cmd_name))
        return typer.main.get_command(single)


def _exists(name: str) -> bool:
    module = COMMANDS.get(name) or GROUPS.get(name)
    return module is not None and importlib.util.find_spec(module) is not None


app = typer.Typer(cls=_Lazy, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def tsuyaku() -> None:
    pass


tsuyaku.__doc__ = HELP


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except TsuyakuError as error:
        typer.echo(f"tsuyaku: {error.message} [{error.code}]", err=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
