"""Piper voices (VITS, ONNX): one sentence at a time, several times faster than real time on a CPU."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from piper import PiperVoice, SynthesisConfig

from models.errors import UnavailableError
from models.protocols import Samples
from models.trim import trim_silence

PAUSE_S = 0.15  # between the sentences of a phrase

ESPEAK_LOCK = threading.Lock()
"""Piper's phonemiser is one per process; who uses it holds this."""


class PiperSynthesizer:
    """`model` and `config` are the verified .onnx and .json of a voice."""

    def __init__(self, model: Path, config: Path) -> None:
        try:
            self._voice = PiperVoice.load(model, config)
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            raise UnavailableError(
                "engine-failed", f"The voice {model.stem} cannot be loaded; pull it again."
            ) from error
        self.sample_rate: int = self._voice.config.sample_rate

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        pieces: list[Samples] = []
        with ESPEAK_LOCK:
            chunks = list(self._voice.synthesize(text, SynthesisConfig(length_scale=1 / rate)))
        for chunk in chunks:
            if pieces:
                pieces.append(np.zeros(round(PAUSE_S * self.sample_rate), np.float32))
            pieces.append(trim_silence(np.asarray(chunk.audio_float_array, np.float32), self.sample_rate))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
