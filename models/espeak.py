"""eSpeak NG through its C library: robotic, instant, and in more than a hundred languages."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

import espeakng_loader
import numpy as np

from models.errors import InputError, UnavailableError
from models.protocols import Samples
from models.trim import trim_silence

# speak_lib.h
AUDIO_OUTPUT_SYNCHRONOUS = 2
POS_CHARACTER = 1
CHARS_UTF8 = 1
DONT_EXIT = 0x8000
PARAMETER_RATE = 1
PARAMETER_WORD_GAP = 7  # 10 ms each, at the usual rate
OK = 0

PACE = (165, 0)  # words per minute, and the pause between words
PACES = {"pt-br": (195, 5)}  # as long as at 165 without pauses, where words run into each other, and better understood
RATE_LIMITS = (80, 450)  # words per minute that the library takes
VOICES = {"pt": "pt-br", "zh": "cmn", "no": "nb", "en": "en-us"}

_lock = threading.Lock()
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Library:
    """The library, of which a process has one; its callback collects samples while a call to it runs."""

    def __init__(self) -> None:
        try:
            self.calls: Any = ctypes.CDLL(espeakng_loader.get_library_path())
            path = espeakng_loader.get_data_path().encode()
        except (OSError, RuntimeError) as error:
            raise _broken() from error
        self.sample_rate: int = self.calls.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, path, DONT_EXIT)
        if self.sample_rate <= 0:
            raise _broken()
        self._chunks: list[bytes] = []
        self._callback = _Callback(self._take)
        self.calls.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, _events: object) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def choose(self, voice: str) -> bool:
        return self.calls.espeak_SetVoiceByName(voice.encode()) == OK

    def speak(self, text: str) -> Samples:
        self._chunks.clear()
        data = text.replace("\0", " ").encode()
        size = ctypes.c_size_t(len(data) + 1)
        if self.calls.espeak_Synth(data, size, 0, POS_CHARACTER, 0, CHARS_UTF8, None, None) != OK:
            raise _broken()
        self.calls.espeak_Synchronize()
        return np.frombuffer(b"".join(self._chunks), np.int16).astype(np.float32) / np.float32(32768)


def _broken() -> UnavailableError:
    return UnavailableError("engine-failed", "eSpeak NG does not work here; install espeakng-loader again.")


@cache
def _library() -> _Library:
    return _Library()


class EspeakSynthesizer:
    """Raises `InputError` `unknown-language` where eSpeak NG has no voice, `UnavailableError` `engine-failed`."""

    name = "eSpeak NG"

    def __init__(self, language: str) -> None:
        self._voice = VOICES.get(language, language)
        with _lock:
            self._shared = _library()
            # A voice's name is also a path below the library's data.
            if not self._voice.replace("-", "").isalnum() or not self._shared.choose(self._voice):
                raise InputError(
                    "unknown-language", f"eSpeak NG has no voice for '{language}'; choose another language."
                )
        self.sample_rate = self._shared.sample_rate

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        usual, gap = PACES.get(self._voice, PACE)
        words = round(min(RATE_LIMITS[1], max(RATE_LIMITS[0], usual * rate)))
        with _lock:
            self._shared.choose(self._voice)
            self._shared.calls.espeak_SetParameter(PARAMETER_RATE, words, 0)
            self._shared.calls.espeak_SetParameter(PARAMETER_WORD_GAP, gap, 0)
            samples = self._shared.speak(text)
        return trim_silence(samples, self.sample_rate)
