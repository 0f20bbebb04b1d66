"""Piper voices (VITS, ONNX): one sentence at a time, several times faster than real time on a CPU."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import piper.voice
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig
from piper.phonemize_espeak import EspeakPhonemizer

from models.errors import UnavailableError
from models.onnx_session import ONNX_ERRORS, open_session
from models.protocols import Samples
from models.trim import trim_silence

PAUSE_S = 0.15  # between the sentences of a phrase
THREADS = 2  # more gain nothing on a sentence, and the recogniser needs them
FIXED_SHARE = 0.2  # of the duration at rate 1: each symbol's length is rounded up to a frame, whatever the rate

ESPEAK_LOCK = threading.Lock()
"""Who uses the phonemiser holds this."""


@cache
def phonemizer() -> EspeakPhonemizer:
    """eSpeak NG as Piper ships it, one for the process: to initialise it again frees tables that it goes on using."""
    shared = EspeakPhonemizer()
    setattr(piper.voice, "_ESPEAK_PHONEMIZER", shared)  # noqa: B010 - where Piper keeps its own, of the same data
    return shared


def length_scale(rate: float, fixed_share: float) -> float:
    """The factor on a model's durations that makes speech last 1/`rate`, where `fixed_share` of it does not scale."""
    return max(0.3, (1 / rate - fixed_share) / (1 - fixed_share))


class PiperSynthesizer:
    """`model` and `config` are the verified .onnx and .json of a voice. Raises `UnavailableError` `engine-failed`."""

    def __init__(self, model: Path, config: Path) -> None:
        self.name = f"Piper {model.stem}"
        try:
            settings = msgspec.json.decode(config.read_bytes())
            self._voice = PiperVoice(open_session(model, THREADS), PiperConfig.from_dict(settings))
        except (*ONNX_ERRORS, ValueError, TypeError, KeyError, OSError) as error:
            raise UnavailableError(
                "engine-failed", f"The voice {model.stem} cannot be loaded; pull it again."
            ) from error
        self.sample_rate: int = self._voice.config.sample_rate

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        sentences = [self._speak(phonemes, rate) for phonemes in self._phonemes(text)]
        spoken = [sentence for sentence in sentences if len(sentence)]
        pause = np.zeros(round(PAUSE_S * self.sample_rate), np.float32)
        pieces = [piece for sentence in spoken for piece in (pause, sentence)]
        return np.concatenate(pieces[1:]) if pieces else np.zeros(0, np.float32)

    def _phonemes(self, text: str) -> list[list[str]]:
        # Piper reads what stands between [[ and ]] as phonemes; here it is text.
        with ESPEAK_LOCK:
            phonemizer()
            return [sentence for sentence in self._voice.phonemize(text.replace("[[", "[ [")) if sentence]

    def _speak(self, phonemes: list[str], rate: float) -> Samples:
        """Not `PiperVoice.synthesize`: that one logs the text."""
        scale = self._voice.config.length_scale * length_scale(rate, FIXED_SHARE)
        ids = self._voice.phonemes_to_ids(phonemes)
        try:
            audio = cast(Samples, self._voice.phoneme_ids_to_audio(ids, SynthesisConfig(length_scale=scale)))
        except ONNX_ERRORS as error:
            raise UnavailableError("engine-failed", f"{self.name} failed; pull the voice again.") from error
        peak = float(np.max(np.abs(audio), initial=1e-3))
        return trim_silence((audio / peak).astype(np.float32), self.sample_rate)
