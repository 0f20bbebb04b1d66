"""`tsuyaku sample`: the sample recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.sample import sample_path, speak_sample


def sample(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the WAV file here.")] = None,
) -> None:
    """Speak a short text with the embedded English voice and print where the recording is.

    \b
        tsuyaku translate "$(tsuyaku sample)" --from en --to pt
        tsuyaku sample -o sample.wav
    """
    if output is None:
        typer.echo(str(sample_path()))
    else:
        speak_sample(output)
        typer.echo(str(output))
