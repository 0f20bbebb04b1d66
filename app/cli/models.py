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

from models.catalog import Entry
from models.errors import TsuyakuError
from models.store import Store

app = typer.Typer(no_args_is_help=True)

Names = Annotated[list[str], typer.Argument(help="Models by name, as in tsuyaku models list.")]
Json = Annotated[bool, typer.Option("--json", help="For a program to read.")]


@app.callback()
def models() -> None:
    """Weights: list, pull, verify, find and remove them. Nothing is used whose hash was not checked."""


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the catalogue, and what of it is on this machine."""
    store = Store()
    here = set(store.installed())
    if json:
        rows = [_row(entry, entry.id in here) for entry in store.catalog.entries.values()]
        typer.echo(msgspec.json.encode(rows).decode())
        return
    table = Table("model", "task", "languages", "size", "licence", "here", box=None)
    for entry in store.catalog.entries.values():
        size = f"{entry.size / 1e6:.0f} MB"
        table.add_row(
            Text(entry.id),
            entry.task,
            " ".join(entry.languages),
            size,
            entry.licence,
            "yes" if entry.id in here else "",
        )
    Console().print(table)


@app.command()
def pull(names: Names) -> None:
    """Fetch models by name, or all that an interpreter between languages needs: tsuyaku models pull en ja."""
    store = Store()
    wanted = [entry for name in _expanded(store, names) for entry in [store.catalog.entry(name)]]
    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn()) as progress:
        for entry in wanted:
            task = progress.add_task(entry.id, total=entry.size)
            store.pull(entry.id, _Meter(progress, task).report)
            progress.update(task, completed=entry.size)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="All that are here where none is named.")] = None,
    json: Json = False,
) -> None:
    """Hash files again and compare them with the catalogue. Exit status 3 where one differs."""
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
    """Print the folder of a verified model."""
    typer.echo(str(Store().path(name)))


@app.command()
def remove(names: Names) -> None:
    """Delete models from this machine."""
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


def _expanded(store: Store, names: list[str]) -> list[str]:
    """Names as given; languages become the recogniser, the pairs between them (through English) and their voices."""
    languages = [name for name in names if name not in store.catalog.entries and len(name) <= 3]
    wanted = [name for name in names if name not in languages]
    if languages:
        wanted += ["silero-vad-v6", "whisper-base"]
        for source, target in permutations(languages, 2):
            route = [entry.id for entry in store.catalog.translation_route(source, target)]
            if not route:
                typer.echo(f"The catalogue has no model from '{source}' to '{target}'; Llama translates it.", err=True)
            wanted += route
        for language in languages:
            wanted += [entry.id for entry in store.catalog.find("tts", [language])[:1]]
    return list(dict.fromkeys(wanted))
