"""eSpeak NG through its C library: robotic, instant, and in more than a hundred languages."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import espeakng_loader
import numpy as np

from models.errors import InputError, UnavailableError
from models.protocols import Samples
from models.trim import trim_silence

# speak_lib.h
AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
PARAMETER_RATE = 1
OK = 0

WORDS_PER_MINUTE = 165
RATE_LIMITS = (80, 450)  # words per minute that the library takes
VOICES = {"pt": "pt-br", "zh": "cmn", "no": "nb", "en": "en-us"}

_lock = threading.Lock()
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Library:
    """The library, of which a process has one; its callback collects samples while a call to it runs."""

    def __init__(self) -> None:
        self.calls: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        path = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self.calls.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, path, 0)
        if self.sample_rate <= 0:
            raise UnavailableError("engine-failed", "eSpeak NG could not be started; install espeakng-loader again.")
        self._chunks: list[bytes] = []
        self._callback = _Callback(self._take)
        self.calls.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, _events: object) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(self, text: str) -> Samples:
        self._chunks.clear()
        data = text.encode()
        self.calls.espeak_Synth(data, len(data) + 1, 0, 1, 0, CHARS_UTF8, None, None)
        self.calls.espeak_Synchronize()
        return np.frombuffer(b"".join(self._chunks), np.int16).astype(np.float32) / np.float32(32768)


_library: _Library | None = None


class EspeakSynthesizer:
    """Raises `InputError` `unknown-language` where eSpeak NG has no voice."""

    def __init__(self, language: str) -> None:
        global _library
        with _lock:
            _library = _library or _Library()
            self._shared = _library
        self._voice = VOICES.get(language, language).encode()
        self.sample_rate = self._shared.sample_rate
        with _lock:
            if self._shared.calls.espeak_SetVoiceByName(self._voice) != OK:
                raise InputError("unknown-language", f"eSpeak NG has no voice for '{language}'; choose another.")

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        words = round(min(RATE_LIMITS[1], max(RATE_LIMITS[0], WORDS_PER_MINUTE * rate)))
        with _lock:
            self._shared.calls.espeak_SetVoiceByName(self._voice)
            self._shared.calls.espeak_SetParameter(PARAMETER_RATE, words, 0)
            samples = self._shared.speak(text)
        return trim_silence(samples, self.sample_rate)
