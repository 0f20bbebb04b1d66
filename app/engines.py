"""The engines of this process, as the settings ask for them: verified, and each behind one scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.translation import TranslationConfig, translation
from models.errors import InputError, TsuyakuError, UnavailableError
from models.protocols import Hypothesis, RecognitionRequest, Samples, Synthesizer
from models.scheduler import Scheduler
from models.silero import SileroDetector
from models.store import Store
from models.text_language import TextIdentifier
from models.whisper import Context, WhisperRecognizer
from pipeline.engines import Engines, SpeechRequest, Voiced

FLUENT = ("ja", "pt")  # that Kokoro speaks best of all embedded voices
FIRST_AUDIO_S = 0.3  # a voice that needs longer for a short phrase is left to those who ask for it by name


@dataclass(frozen=True, slots=True)
class EngineConfig:
    whisper: str = "base"
    compute_type: str = "int8"
    device: str = "cpu"
    threads: int = 1
    """of the recogniser"""
    beam_size: int = 1
    context: Context = field(default_factory=Context)
    voice: str = "auto"
    """auto, or the name of an engine: piper, kokoro, espeak; after a slash that of one of its voices"""
    translation: TranslationConfig = field(default_factory=TranslationConfig)


def build(config: EngineConfig, store: Store | None = None) -> Engines:
    """Nothing is loaded yet except speech detection; each engine loads on first use. Raises `UnavailableError`."""
    store = store or Store()
    whisper_path = store.ensure(f"whisper-{config.whisper}")
    shared: list[WhisperRecognizer] = []

    def recognizer() -> Callable[[Sequence[RecognitionRequest]], Sequence[Hypothesis]]:
        whisper = WhisperRecognizer(
            whisper_path,
            compute_type=config.compute_type,
            threads=config.threads,
            device=config.device,
            context=config.context,
            beam_size=config.beam_size,
        )
        shared.append(whisper)
        return whisper.run

    recognise = Scheduler[RecognitionRequest, Hypothesis]("recognise", recognizer)
    return Engines(
        detector=SileroDetector(_file(store.ensure("silero-vad-v6"), "*.onnx")),
        recognizer=recognise,
        identify=_Identifier(recognise, shared),
        translator=translation(config.translation, store),
        voice=Voices(store, config.voice).get,
        identify_text=_text_identifier(),
    )


def _text_identifier() -> TextIdentifier | None:
    try:
        return TextIdentifier()
    except UnavailableError:
        return None


class _Identifier(Scheduler[Samples, dict[str, float]]):
    """Language identification on the recogniser's engine, which another thread may call."""

    def __init__(self, recognise: Scheduler[RecognitionRequest, Hypothesis], shared: list[WhisperRecognizer]) -> None:
        super().__init__("identify", lambda: lambda batch: [dict(shared[0].identify(audio)) for audio in batch])
        self._recognise = recognise

    async def start(self) -> None:
        await self._recognise.start()
        await super().start()


async def warm(engines: Engines, source: str, targets: Iterable[str], voices: Iterable[str]) -> None:
    """Load what a session will need before its audio starts, so that the first words wait for nothing."""
    await engines.recognizer.start()
    for target in targets:
        if source not in ("auto", target):
            await engines.translator.warm(source, target)
    for language in voices:
        await engines.voice(language)


class Voices:
    """One synthesiser per language, loaded when somebody first listens to it."""

    def __init__(self, store: Store, engine: str = "auto") -> None:
        self._store = store
        self._engine = engine
        self._loaded: dict[str, Scheduler[SpeechRequest, Voiced]] = {}
        self._lock = asyncio.Lock()

    async def get(self, language: str) -> Scheduler[SpeechRequest, Voiced]:
        async with self._lock:
            if language not in self._loaded:
                scheduler = Scheduler[SpeechRequest, Voiced](f"speak-{language}", lambda: self._create(language))
                await scheduler.start()
                self._loaded[language] = scheduler
            return self._loaded[language]

    def _create(self, language: str) -> Callable[[Sequence[SpeechRequest]], Sequence[Voiced]]:
        synthesizer = self.load(language)

        def run(batch: Sequence[SpeechRequest]) -> list[Voiced]:
            return [Voiced(synthesizer.synthesize(r.text, r.rate), synthesizer.sample_rate) for r in batch]

        return run

    def load(self, language: str) -> Synthesizer:
        """The best voice that is installed and fast enough here; eSpeak NG speaks what no other does."""
        engine, _, name = self._engine.partition("/")
        if engine in ("auto", "piper") and (piper := self._piper(language, name)):
            return piper
        if engine == "kokoro" and (name or language in FLUENT):
            return self._kokoro(language, name)
        if engine == "auto" and language in FLUENT:
            with contextlib.suppress(TsuyakuError):
                kokoro = self._kokoro(language)
                if _first_audio_s(kokoro) <= FIRST_AUDIO_S:
                    return kokoro
        from models.espeak import EspeakSynthesizer

        return EspeakSynthesizer(language)

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
            _file(folder, "*.onnx"), _file(folder, "vocab.json"), _file(folder, "*.npz"), language, name or None
        )


def _first_audio_s(synthesizer: Synthesizer) -> float:
    """s that a short phrase takes here, once the engine is warm."""
    synthesizer.synthesize("1")
    begin = time.perf_counter()
    synthesizer.synthesize("1, 2, 3, 4, 5.")
    return time.perf_counter() - begin


def _file(folder: Path, pattern: str) -> Path:
    return next(iter(sorted(folder.glob(pattern))))
