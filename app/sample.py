"""A text of ours, spoken once by the embedded English voice: something to interpret where there is no recording."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import platformdirs

from app.media import SpeechFile
from models.errors import InputError
from models.piper import PiperSynthesizer
from models.store import Store

TEXT = (
    "Good morning, and welcome.",
    "This is a short example of what Tsuyaku does.",
    "While I am still speaking, you can read my words in another language.",
    "A moment later, you can hear them, too.",
    "The train to the coast leaves at half past nine from platform four.",
    "If you miss it, the next one leaves an hour later.",
    "Please ask me anything you like, and take your time.",
)
PAUSE_MS = 350


def sample_path() -> Path:
    """The sample as a WAV file in the cache folder, spoken now where it is not there yet."""
    path = platformdirs.user_cache_path("tsuyaku", appauthor=False) / "sample-en.wav"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.part.wav")
            speak_sample(partial)
            partial.replace(path)
    except OSError as error:
        raise InputError(
            "cache-unwritable", f"{path.parent} cannot be written; set XDG_CACHE_HOME to another."
        ) from error
    return path


def speak_sample(path: Path) -> None:
    folder = Store().ensure("piper-en_US-joe-medium")
    voice = PiperSynthesizer(next(folder.glob("*.onnx")), next(folder.glob("*.json")))
    at = 200.0
    with SpeechFile(path, voice.sample_rate) as file:
        for sentence in TEXT:
            samples = voice.synthesize(sentence)
            file.write((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), at)
            at = file.duration_ms + PAUSE_MS
        file.write(b"", at)
