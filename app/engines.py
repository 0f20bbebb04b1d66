"""The engines of this process, as the settings ask for them: verified, and each behind one scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.translation import TranslationConfig, translation
from app.voices import FIRST_AUDIO_S, Voices
from models.errors import UnavailableError
from models.protocols import Hypothesis, IdentificationRequest, RecognitionRequest, Samples
from models.scheduler import Scheduler, Share
from models.silero import SileroDetector
from models.store import Store
from models.text_language import TextIdentifier
from models.whisper import Context, WhisperRecognizer, max_batch
from pipeline.engines import Engines


@dataclass(frozen=True, slots=True)
class EngineConfig:
    whisper: str = "base"
    compute_type: str = "int8"
    device: str = "cpu"
    threads: int = 1
    """of the recogniser"""
    beam_size: int | None = None
    """hypotheses that are followed at once; None: as many as cost little"""
    context: Context = field(default_factory=Context)
    voice: str = "auto"
    """auto, or the name of an engine: piper, kokoro, espeak; after a slash that of one of its voices"""
    first_audio_s: float = FIRST_AUDIO_S
    """what a short phrase may take a voice that is chosen automatically"""
    translation: TranslationConfig = field(default_factory=TranslationConfig)


def detector(store: Store) -> SileroDetector:
    """Raises `UnavailableError`."""
    return SileroDetector(next(store.ensure("silero-vad-v6").glob("*.onnx")))


def build(config: EngineConfig, store: Store | None = None) -> Engines:
    """Nothing is loaded yet except speech detection; each engine loads on first use. Raises `UnavailableError`."""
    store = store or Store()
    whisper_path = store.ensure(f"whisper-{config.whisper}")
    voices = Voices(store, config.voice, config.first_audio_s)
    batch = max_batch(whisper_path, compute_type=config.compute_type, device=config.device, beam_size=config.beam_size)

    def recognizer() -> Callable[[Sequence[RecognitionRequest]], Sequence[Hypothesis]]:
        return WhisperRecognizer(
            whisper_path,
            compute_type=config.compute_type,
            threads=config.threads,
            device=config.device,
            context=config.context,
            beam_size=config.beam_size,
        ).run

    recognise = Scheduler[RecognitionRequest, Hypothesis]("recognise", recognizer, max_batch=batch)
    return Engines(
        detector=detector(store),
        recognizer=recognise,
        identify=Share[Samples, Mapping[str, float]](recognise, IdentificationRequest),
        translator=translation(config.translation, store),
        voice=voices.get,
        faster_voice=voices.faster,
        identify_text=_text_identifier(),
    )


def _text_identifier() -> TextIdentifier | None:
    try:
        return TextIdentifier()
    except UnavailableError:
        return None


async def warm_text(engines: Engines, among: tuple[str, ...]) -> None:
    """Load what tells languages by text, off the event loop: it takes half a second."""
    if engines.identify_text is not None:
        await asyncio.to_thread(engines.identify_text, "1", among)


async def warm(engines: Engines, source: str, targets: Iterable[str], voices: Iterable[str]) -> None:
    """Load what a session will need before its audio starts, so that the first words wait for nothing."""
    await engines.recognizer.start()
    for target in targets:
        if source not in ("auto", target):
            await engines.translator.warm(source, target)
    for language in voices:
        await engines.voice(language)
