"""`tsuyaku models`: the weights of this machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import permutations
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from app.presets import source_language
from models.catalog import Catalog, Entry
from models.errors import TsuyakuError, UnavailableError
from models.store import Store

ENDS_ALL = frozenset({"disk-full", "model-unreachable"})
"""what the next model would meet as well"""
LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?", re.IGNORECASE)  # of RFC 5646
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
    wanted = {source_language(language) for language in languages or ()}
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
        tsuyaku models pull pt-BR es                         a region is left out: pt-BR is pt
        HF_ENDPOINT=https://mirror tsuyaku models pull ja    a mirror of the model hub
    """
    store = Store()
    found, lacking = expanded(store.catalog, names)
    for sentence in lacking:
        typer.echo(f"tsuyaku: {sentence}", err=True)
    wanted = [store.catalog.entry(name) for name in found]
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


def expanded(catalog: Catalog, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names as given; languages (as in pt or pt-BR) become the recogniser, the pairs between them (through English)
    and their voices. Second, a sentence for each thing that the catalogue lacks.

    Raises `InputError` `unknown-model` or `unknown-language` for what is neither.
    """
    spoken = [name for name in names if name not in catalog.entries and _is_language(catalog, name)]
    wanted, lacking = [catalog.entry(name).id for name in names if name not in spoken], list[str]()
    languages = list(dict.fromkeys(source_language(name) for name in spoken))
    if languages:
        wanted += ["silero-vad-v6", "whisper-base"]
    for source, target in permutations(languages, 2):
        legs = catalog.legs(source, target)
        missing = " and none ".join(f"from '{a}' to '{b}'" for (a, b), leg in legs.items() if leg is None)
        if missing:
            lacking.append(f"The catalogue has no model {missing}; Llama translates from '{source}' to '{target}'.")
        else:
            wanted += [leg.id for leg in legs.values() if leg]
    for language in languages:
        voices = catalog.find("tts", [language])
        if not voices:
            lacking.append(f"The catalogue has no voice for '{language}'; eSpeak NG speaks it.")
        # Piper meets the budget on two cores, Kokoro seldom does.
        wanted += [voice.id for voice in sorted(voices, key=lambda voice: voice.engine != "piper")[:1]]
    return list(dict.fromkeys(wanted)), lacking


def _is_language(catalog: Catalog, name: str) -> bool:
    """Whether it is written like one: two or three letters, and perhaps a script or a region. What is rather a pair, as
    in en-pt, is a name that was not written out."""
    return LANGUAGE_TAG.fullmatch(name) is not None and f"firefox-{name}" not in catalog.entries
