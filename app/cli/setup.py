"""`tsuyaku setup`: verify the weights that the default needs; `make setup` calls it."""

from __future__ import annotations

import typer

from app.voices import Voices
from models.errors import TsuyakuError
from models.store import Store

REQUIRED = ("silero-vad-v6", "whisper-base", "firefox-en-pt", "firefox-pt-en", "piper-en_US-joe-medium")
OPTIONAL = ("kokoro-82m-int8",)


def setup() -> None:
    """Put the default weights in place and verify them; nothing is fetched from a network.

    \b
        tsuyaku setup                              into the platform's cache folder
        TSUYAKU_MODELS=/data/models tsuyaku setup
    """
    store = Store()
    for name in REQUIRED:
        store.ensure(name)
    for name in OPTIONAL:
        try:
            store.ensure(name)
            Voices(store).load("pt")  # notes whether Kokoro is quick enough here, so that no listener waits for that
        except TsuyakuError as error:
            typer.echo(f"optional: {error.message}", err=True)
    typer.echo("The default weights are in place and verified.")
