"""`tsuyaku demo`: a recording interpreted while it plays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.translate import translate
from app.media import output_errors
from app.play import available
from app.sample import sample_path


def demo(
    file: Annotated[Path | None, typer.Argument(help="A recording; the sample where none is given.")] = None,
    source: Annotated[str, typer.Option("--from", help="Language spoken.")] = "en",
    to: Annotated[str, typer.Option("--to", help="Languages to translate into, as in pt,es.")] = "pt",
    speak: Annotated[Path, typer.Option(help="Where the spoken translation goes.")] = Path("out/demo.wav"),
) -> None:
    """Interpret a recording at the pace of the voice: subtitles grow, the translation is spoken.

    It is heard where this machine has a sound device, and written to a file in any case.

    \b
        tsuyaku demo                                   a text of ours, English to Portuguese
        tsuyaku demo talk.mp4 --from pt --to en
    """
    with output_errors(speak):
        speak.parent.mkdir(parents=True, exist_ok=True)
    recording = file or sample_path()
    problem = available()
    heard = "and from the loudspeaker" if not problem else f"only: {problem}"
    typer.echo(f"{recording}: {source} → {to}, spoken into {speak} {heard}", err=True)
    translate([recording], source=source, to=to, speak=speak, realtime=True, play=not problem)
