"""The command line. `main` is the only place where an error becomes a sentence and an exit status."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import click
import typer

from models.errors import TsuyakuError

HELP = """Tsuyaku (通訳) interprets speech while it is spoken.

    tsuyaku demo                                        hear a sample interpreted
    tsuyaku translate talk.mp4 --from en --to pt        subtitles of a recording
    tsuyaku serve                                       the web page

Exit status: 0 all went well, 1 it ended early, 2 what you gave cannot be used, 3 something is missing, 130 stopped.
"""

COMMANDS = {
    "translate": "app.cli.translate",
    "demo": "app.cli.demo",
    "sample": "app.cli.sample",
    "setup": "app.cli.setup",
    "doctor": "app.cli.doctor",
    "serve": "app.cli.serve",
    "listen": "app.cli.listen",
}
GROUPS = {"models": "app.cli.models", "config": "app.cli.config", "bench": "app.cli.bench", "llama": "app.cli.llama"}


class _Lazy(click.Group):
    """Loads a command's module when it is called, so that `--help` and a typing error cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in [*COMMANDS, *GROUPS] if _exists(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        if not _exists(cmd_name):
            return None
        module = importlib.import_module(COMMANDS.get(cmd_name) or GROUPS[cmd_name])
        if cmd_name in GROUPS:
            return typer.main.get_command(module.app)
        single = typer.Typer(add_completion=False)
        single.command(name=cmd_name)(getattr(module, cmd_name))
        return typer.main.get_command(single)


def _exists(name: str) -> bool:
    module = COMMANDS.get(name) or GROUPS.get(name)
    return module is not None and importlib.util.find_spec(module) is not None


app = _Lazy(name="tsuyaku", help=HELP.replace("\n    ", "\n\n\b\n    ", 1), no_args_is_help=True)


def main() -> None:
    """Run the command line and exit."""
    try:
        status = app(standalone_mode=False)
    except TsuyakuError as error:
        typer.echo(f"tsuyaku: {error.message} [{error.code}]", err=True)
        status = error.exit_status
    except click.exceptions.NoArgsIsHelpError as error:
        typer.echo(error.ctx.get_help() if error.ctx else "")
        status = 0
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = 130
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    sys.exit(status if isinstance(status, int) else 0)
