"""`tsuyaku demo`: a recording interpreted while it plays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.translate import translate
from app.sample import sample_path


def demo(
    file: Annotated[Path | None, typer.Argument(help="A recording; the sample where none is given.")] = None,
    source: Annotated[str, typer.Option("--from", help="Language spoken.")] = "en",
    to: Annotated[str, typer.Option("--to", help="Language to translate into.")] = "pt",
    speak: Annotated[Path, typer.Option(help="Where the spoken translation goes.")] = Path("out/demo.wav"),
) -> None:
    """Interpret a recording at the pace of the voice: subtitles grow, and the translation is spoken into a file."""
    speak.parent.mkdir(parents=True, exist_ok=True)
    recording = file or sample_path()
    targets = ",".join(dict.fromkeys([*to.split(",")]))
    typer.echo(f"{recording}: {source} → {targets}, spoken into {speak}", err=True)
    translate([recording], source=source, to=targets, speak=speak, realtime=True)
