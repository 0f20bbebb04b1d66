"""The command line. `main` is the only place where an error becomes a sentence and an exit status."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import signal
import sys
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from models.errors import NO_ROOM, TsuyakuError

HELP = """Tsuyaku (通訳) interprets speech while it is spoken.

\b
    tsuyaku serve                                       the web page for a meeting, or for two
    tsuyaku demo                                        hear a sample interpreted
    tsuyaku translate talk.mp4 --from en --to pt        subtitles of a recording
    tsuyaku interpret --between en pt                   two people at one desk, aloud
    tsuyaku doctor                                      what works here, and how fast

Exit status: 0 all went well, 1 it ended early, 2 what you gave cannot be used, 3 something is missing, 130 stopped.
"""

COMMANDS = {
    "translate": "app.cli.translate",
    "interpret": "app.cli.interpret",
    "demo": "app.cli.demo",
    "serve": "app.cli.serve",
    "listen": "app.cli.listen",
    "sample": "app.cli.sample",
    "setup": "app.cli.setup",
    "doctor": "app.cli.doctor",
}
GROUPS = {"models": "app.cli.models", "config": "app.cli.config", "bench": "app.cli.bench", "llama": "app.cli.llama"}


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

    def invoke(self, ctx: Any) -> Any:
        """Typer itself would end without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted", "stopped; what was under way is not finished.") from None


class Interrupted(TsuyakuError):
    """Ctrl-C where nothing is left to be worked through, or the second one."""

    exit_status = 130


def _exists(name: str) -> bool:
    module = COMMANDS.get(name) or GROUPS.get(name)
    return module is not None and importlib.util.find_spec(module) is not None


app = typer.Typer(cls=_Lazy, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def tsuyaku() -> None:
    pass


tsuyaku.__doc__ = HELP


def _prepare_streams() -> None:
    """Files and pipes are UTF-8; a terminal of another encoding shows a question mark for what it lacks.

    A stream that was closed is opened on nothing, lest the next file take its number and be written to.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors="replace")
            else:
                stream.reconfigure(encoding="utf-8", errors="replace")


def _unexpected(error: Exception) -> tuple[str, str]:
    """A defect is named by its type alone: its text may hold what was said."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return "disk-full", "There is no room left to write; free some space."
    kind = type(error).__name__
    return "internal", f"An unexpected {kind} ended this; please report it with what TSUYAKU_LOG_LEVEL=debug shows."


def _forget_output() -> None:
    """What standard output could not take would be tried again, and fail again, when the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_at_once_from_now_on() -> None:
    """All is said. What an engine has in hand is still waited for, unless there is another Ctrl-C."""

    def end(number: int, frame: FrameType | None) -> None:
        os._exit(Interrupted.exit_status)

    signal.signal(signal.SIGINT, end)


def main() -> None:
    """Run the command line and exit."""
    _prepare_streams()
    try:
        app()
    except TsuyakuError as error:
        typer.echo(f"tsuyaku: {error.message} [{error.code}]", err=True)
        sys.exit(error.exit_status)
    except Exception as error:
        if os.environ.get("TSUYAKU_LOG_LEVEL") == "debug":
            raise
        code, sentence = _unexpected(error)
        typer.echo(f"tsuyaku: {sentence} [{code}]", err=True)
        sys.exit(3 if code == "disk-full" else 1)
    finally:
        _end_at_once_from_now_on()
        _forget_output()
