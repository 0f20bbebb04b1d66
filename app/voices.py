"""Which voice speaks a language on this machine; each is loaded once, behind a scheduler of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import msgspec
import platformdirs

from app.remembered import recall, remember
from models.errors import InputError, TsuyakuError
from models.espeak import EspeakSynthesizer
from models.protocols import SpeechPart, StreamingSynthesizer, Synthesizer
from models.scheduler import Scheduler
from models.store import Store
from pipeline.engines import SpeechRequest, Voiced

FLUENT = ("ja", "pt")  # that Kokoro speaks best of all embedded voices
FIRST_AUDIO_S = 0.15  # a voice that begins a short phrase later misses its budget beside recognition
NEAR = 1.5  # times what a voice may take: one that took less is measured again at the next start
MEASURED = 3  # times


class Voices:
    """One synthesiser per language, loaded when somebody first listens to it."""

    def __init__(
        self,
        store: Store,
        engine: str = "auto",
        first_audio_s: float = FIRST_AUDIO_S,
        pace_path: Path | None = None,
    ) -> None:
        """`first_audio_s`: when a short phrase must begin to be heard. `pace_path`: where it is kept how soon a voice
        spoke here, under the platform's cache folder by default."""
        self._store = store
        self._engine = engine
        self._first_audio_s = first_audio_s
        self._pace_path = pace_path or platformdirs.user_cache_path("tsuyaku", appauthor=False) / "pace.json"
        self._loaded: dict[str, Scheduler[SpeechRequest, Voiced]] = {}
        self._fastest: set[str] = set()
        """languages that eSpeak NG speaks for want of another"""
        self._lock = asyncio.Lock()

    async def get(self, language: str) -> Scheduler[SpeechRequest, Voiced]:
        return await self._behind(f"speak-{language}", lambda: self._noted(language))

    async def faster(self, language: str) -> Scheduler[SpeechRequest, Voiced] | None:
        """eSpeak NG, for which no machine is too slow; None where it speaks the language already, or another engine
        was asked for by name."""
        await self.get(language)
        if self._engine != "auto" or language in self._fastest:
            return None
        return await self._behind(f"speak-{language}-faster", lambda: EspeakSynthesizer(language))

    def _noted(self, language: str) -> Synthesizer:
        synthesizer = self.load(language)
        if isinstance(synthesizer, EspeakSynthesizer):
            self._fastest.add(language)
        return synthesizer

    async def _behind(self, name: str, load: Callable[[], Synthesizer]) -> Scheduler[SpeechRequest, Voiced]:
        """The scheduler of this name; it and its engine are made on first use."""
        async with self._lock:
            if name not in self._loaded:
                scheduler = Scheduler[SpeechRequest, Voiced](name, lambda: _speaking(load()))
                await scheduler.start()
                self._loaded[name] = scheduler
            return self._loaded[name]

    def load(self, language: str) -> Synthesizer:
        """The best voice that is installed and fast enough here; eSpeak NG speaks what no other does."""
        engine, _, name = self._engine.partition("/")
        if engine in ("auto", "piper") and (piper := self._piper(language, name)):
            return piper
        if engine == "kokoro" and (name or language in FLUENT):
            return self._kokoro(language, name)
        if engine == "auto" and language in FLUENT:
            with contextlib.suppress(TsuyakuError):
                if kokoro := self._quick_kokoro(language):
                    return kokoro
        return EspeakSynthesizer(language)

    def _quick_kokoro(self, language: str) -> Synthesizer | None:
        """Measuring takes seconds, so it is not done again where it was quick enough or far too slow; a voice between
        may only have been slowed by other work."""
        before = recall(self._pace_path, _Pace)
        known_s = before.first_audio_s if before and before.machine == _machine() else None
        if known_s is not None and known_s > NEAR * self._first_audio_s:
            return None
        kokoro = self._kokoro(language)
        if known_s is None or known_s > self._first_audio_s:
            known_s = first_audio_s(kokoro)
            remember(_Pace(_machine(), known_s), self._pace_path)
        return kokoro if known_s <= self._first_audio_s else None

    def _piper(self, language: str, name: str) -> Synthesizer | None:
        """The first voice of the catalogue that is here, or can be put together from installed packages; with `name`
        that one and no other."""
        from models.piper import PiperSynthesizer

        for entry in self._store.catalog.find("tts", [language]):
            wanted = name in entry.id if name else self._store.at_hand(entry.id)
            if entry.engine == "piper" and wanted:
                folder = self._store.ensure(entry.id)
                return PiperSynthesizer(_file(folder, "*.onnx"), _file(folder, "*.json"))
        if name:
            raise InputError("unknown-choice", f"Piper has no voice '{name}' of '{language}'; see tsuyaku models list.")
        return None

    def _kokoro(self, language: str, name: str = "") -> Synthesizer:
        from models.kokoro import KokoroSynthesizer

        folder = self._store.ensure("kokoro-82m-int8")
        return KokoroSynthesizer(
            _file(folder, "kokoro*.onnx"), _file(folder, "vocab.json"), _file(folder, "*.npz"), language, name or None
        )


def _speaking(synthesizer: Synthesizer) -> Callable[[Sequence[SpeechRequest]], Sequence[Voiced]]:
    def speak(request: SpeechRequest) -> Voiced:
        parts = request.begun or stream(synthesizer, request.text, request.rate)
        part = next(parts)
        rest = replace(request, begun=parts) if part.more else None
        return Voiced(part.samples, synthesizer.sample_rate, synthesizer.name, rest)

    return lambda batch: [speak(request) for request in batch]


def stream(synthesizer: Synthesizer, text: str, rate: float = 1.0) -> Iterator[SpeechPart]:
    """At least one part of what it says, the beginning as soon as the synthesiser can give it."""
    if isinstance(synthesizer, StreamingSynthesizer):
        return synthesizer.stream(text, rate)
    return iter([SpeechPart(synthesizer.synthesize(text, rate), False)])


def first_audio_s(synthesizer: Synthesizer) -> float:
    """s until a short phrase is first heard here, once the engine is warm: the least of some, as others only add."""
    synthesizer.synthesize("1")
    taken: list[float] = []
    for _ in range(MEASURED):
        begin = time.perf_counter()
        next(stream(synthesizer, "1, 2, 3, 4, 5."))
        taken.append(time.perf_counter() - begin)
    return min(taken)


class _Pace(msgspec.Struct, frozen=True):
    """How soon Kokoro spoke, and on which machine."""

    machine: str
    first_audio_s: float


def _machine() -> str:
    """It and what it runs: another version of either is another pace."""
    return f"{platform.node()} {platform.machine()} {os.cpu_count()} onnxruntime {version('onnxruntime')} parts"


def _file(folder: Path, pattern: str) -> Path:
    return next(iter(sorted(folder.glob(pattern))))
