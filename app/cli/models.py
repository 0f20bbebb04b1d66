"""`tsuyaku models`: the weights of this machine."""

from __future__ import annotations

from itertools import permutations
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from app.presets import source_language
from models.catalog import Entry
from models.errors import TsuyakuError, UnavailableError
from models.store import Store
from models.whisper import LANGUAGES

ENDS_ALL = frozenset({"disk-full", "model-unreachable"})
"""what the next model would meet as well"""
STDERR = Console(stderr=True)

app = typer.Typer(no_args_is_help=True, add_completion=False)

Names = Annotated[list[str], typer.Argument(help="Models by name, as in tsuyaku models list.")]
Json = Annotated[bool, typer.Option("--json", help="For a program to read.")]


@app.callback()
def models() -> None:
    """Weights: list, pull, verify, find and remove them. Nothing is used whose hash was not checked."""


@app.command("list")
def list_models(
    languages: Annotated[list[str] | None, typer.Argument(help="Only what serves one of these languages.")] = None,
    here: Annotated[bool, typer.Option("--here", help="Only what is on this machine.")] = False,
    json: Json = False,
) -> None:
    """List the catalogue, and what of it is on this machine.

    \b
        tsuyaku models list --here
        tsuyaku models list pt ja          what interprets from and to Portuguese or Japanese
        tsuyaku models list --json
    """
    store = Store()
    installed = set(store.installed())
    wanted = set(languages or ())
    entries = [
        entry
        for entry in store.catalog.entries.values()
        if (not here or entry.id in installed) and (not wanted or not entry.languages or wanted & set(entry.languages))
    ]
    if json:
        typer.echo(msgspec.json.encode([_row(entry, entry.id in installed) for entry in entries]).decode())
        return
    table = Table("model", "task", "languages", "size", "licence", "here", box=None)
    for entry in entries:
        there = "yes" if entry.id in installed else ""
        size = f"{entry.size / 1e6:.0f} MB"
        table.add_row(Text(entry.id), entry.task, " ".join(entry.languages), size, entry.licence, there)
    Console().print(table)


@app.command()
def pull(names: Names) -> None:
    """Fetch models by name, or all that an interpreter between languages needs.

    A download that broke off goes on where it ended. What another process pulls at the moment is waited for.

    \b
        tsuyaku models pull en ja                            recogniser, both directions and voices
        tsuyaku models pull whisper-small firefox-en-de
        HF_ENDPOINT=https://mirror tsuyaku models pull ja    a mirror of the model hub
    """
    store = Store()
    wanted = [store.catalog.entry(name) for name in _expanded(store, names)]
    failures: list[TsuyakuError] = []
    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=STDERR) as progress:
        for entry in wanted:
            task = progress.add_task(entry.id, total=entry.size)
            try:
                store.pull(entry.id, _Meter(progress, task).report)
            except UnavailableError as error:
                failures.append(error)
                if error.code in ENDS_ALL:
                    break
            else:
                progress.update(task, completed=entry.size)
    for failure in failures[:-1]:
        typer.echo(f"tsuyaku: {failure.message} [{failure.code}]", err=True)
    if failures:
        raise failures[-1]


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="All that are here where none is named.")] = None,
    json: Json = False,
) -> None:
    """Hash files again and compare them with the catalogue. Exit status 3 where one differs.

    \b
        tsuyaku models verify
        tsuyaku models verify whisper-base --json
    """
    store = Store()
    results: dict[str, str] = {}
    for name in names or store.installed():
        try:
            store.verify(name)
            results[name] = "verified"
        except TsuyakuError as error:
            results[name] = error.message
    if json:
        typer.echo(msgspec.json.encode(results).decode())
    else:
        for name, result in results.items():
            typer.echo(f"{name}: {result}")
    if any(result != "verified" for result in results.values()):
        raise typer.Exit(3)


@app.command()
def path(name: Annotated[str, typer.Argument(help="A model.")]) -> None:
    """Print the folder of a verified model.

    \b
        ls -l "$(tsuyaku models path whisper-base)"
    """
    typer.echo(str(Store().path(name)))


@app.command()
def remove(names: Names) -> None:
    """Delete models from this machine.

    \b
        tsuyaku models remove whisper-large-v3
    """
    store = Store()
    for name in names:
        typer.echo(f"{name}: {'removed' if store.remove(name) else 'was not here'}")


class _Meter:
    """Adds up the bytes of an entry's files."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self._done: dict[str, int] = {}

    def report(self, file: str, done: int, total: int) -> None:
        self._done[file] = done
        self._progress.update(self._task, completed=sum(self._done.values()))


def _row(entry: Entry, here: bool) -> dict[str, object]:
    return {
        "id": entry.id,
        "task": entry.task,
        "engine": entry.engine,
        "languages": entry.languages,
        "size": entry.size,
        "licence": entry.licence,
        "installed": here,
    }


def _is_language(name: str) -> bool:
    """As in pt, or pt-BR; short names that are none are taken for one that was mistyped."""
    return len(name) <= 3 or name.casefold().split("-")[0] in LANGUAGES


def _expanded(store: Store, names: list[str]) -> list[str]:
    """Names as given; languages become the recogniser, the pairs between them (through English) and their voices."""
    named = [name for name in names if name not in store.catalog.entries and _is_language(name)]
    wanted = [name for name in names if name not in named]
    languages = list(dict.fromkeys(map(source_language, named)))
    if languages:
        wanted += ["silero-vad-v6", "whisper-base"]
        for source, target in permutations(languages, 2):
            route = [entry.id for entry in store.catalog.translation_route(source, target)]
            if not route:
                typer.echo(f"The catalogue has no model from '{source}' to '{target}'; Llama translates it.", err=True)
            wanted += route
        for language in languages:
            voices = store.catalog.find("tts", [language])
            if not voices:
                typer.echo(f"The catalogue has no voice for '{language}'; eSpeak NG speaks it.", err=True)
            # Piper meets the budget on two cores, Kokoro seldom does.
            wanted += [voice.id for voice in sorted(voices, key=lambda voice: voice.engine != "piper")[:1]]
    return list(dict.fromkeys(wanted))
