"""What a server interprets with: the shared engines, sessions on them, and the languages that they offer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from prometheus_client.registry import Collector

from app.engines import EngineConfig, build, warm_text
from app.presets import PRESETS, Preset, budgets
from app.settings import Settings
from app.translation import LlamaTranslation, briefing, translation_config
from models.briefing import NO_BRIEFING, Briefing
from models.errors import TsuyakuError, UnavailableError
from models.protocols import SAMPLE_RATE, RecognitionRequest, TranslationRequest
from models.scheduler import Superseded
from models.store import Store
from pipeline.budget import Budgets
from pipeline.clock import Clock
from pipeline.config import SessionConfig
from pipeline.engines import Engines, Translated, TranslationEngine
from pipeline.session import Session

SAMPLE_LANGUAGE = "en"
SAMPLE_TARGET = "pt"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`pairs` has, for each language that can be spoken, those that it can be translated into."""

    engines: Engines
    preset: Preset
    pairs: dict[str, tuple[str, ...]]
    briefing: Briefing = NO_BRIEFING
    collectors: tuple[Collector, ...] = ()
    """figures of the engines, for `/metrics`"""
    alone: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """those of `pairs` for which nothing stands in where Llama does not answer"""
    budgets: Budgets = field(default_factory=Budgets)

    @property
    def languages(self) -> tuple[str, ...]:
        """That somebody can listen in: a speaker's own is passed through."""
        return tuple(sorted({language for source, targets in self.pairs.items() for language in (source, *targets)}))

    def open_session(
        self, language: str, candidates: tuple[str, ...], clock: Clock, briefing: Briefing | None = None
    ) -> Session:
        config = SessionConfig(
            source_language=language,
            candidates=candidates,
            between=(candidates[0], candidates[1]) if language == "auto" and len(candidates) == 2 else None,
            both_sides=True,
            speaks_source=False,
            live=True,
            budgets=self.budgets,
            recognise=self.preset.recognise,
            briefing=briefing or self.briefing,
        )
        return Session(self.engines, config, clock)

    async def warm(self) -> None:
        """Load and run every engine once, so that the first words wait for nothing."""
        quiet = np.zeros(SAMPLE_RATE, np.float32)
        await self.engines.recognizer.submit(
            RecognitionRequest(quiet, SAMPLE_LANGUAGE, (), (), closed=True), deadline=0.0
        )
        await self.engines.identify.start()
        if SAMPLE_TARGET in self.pairs.get(SAMPLE_LANGUAGE, ()):
            await self.engines.translator.warm(SAMPLE_LANGUAGE, SAMPLE_TARGET)

    async def warm_the_rest(self) -> None:
        """Load the voices and what tells languages by text, so that nobody's first sentence waits. A voice that is
        missing is told when it is wanted."""
        await warm_text(self.engines, (SAMPLE_LANGUAGE, SAMPLE_TARGET))
        for language in self.languages:
            with contextlib.suppress(TsuyakuError):
                await self.engines.voice(language)


class RoomTranslation(TranslationEngine):
    """No pair and no engine's failure ends a session: a room has listeners of other languages."""

    def __init__(self, engine: TranslationEngine) -> None:
        self._engine = engine

    def check(self, source: str, target: str) -> None:
        try:
            self._engine.check(source, target)
        except TsuyakuError as error:
            raise UnavailableError("language-unserved", error.message) from error

    async def warm(self, source: str, target: str) -> None:
        await self._engine.warm(source, target)

    async def notes(self, source: str, targets: Iterable[str]) -> list[str]:
        return await self._engine.notes(source, targets)

    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        try:
            return await self._engine.translate(request, deadline=deadline, key=key)
        except (UnavailableError, Superseded):
            raise
        except Exception as error:
            raise UnavailableError("engine-failed", f"The translator broke off ({type(error).__name__}).") from error


def interpreter(settings: Settings, store: Store | None = None) -> Interpreter:
    """Raises `UnavailableError` where a default engine is missing."""
    store = store or Store()
    preset = PRESETS[settings.preset]
    engines = build(
        EngineConfig(
            whisper=settings.whisper,
            compute_type=settings.compute_type,
            device=settings.device,
            threads=settings.threads,
            context=preset.context,
            voice=settings.voice,
            translation=translation_config(settings),
        ),
        store,
    )
    shared = replace(engines, translator=RoomTranslation(engines.translator))
    pairs = translation_pairs(store, anything=settings.translator == "llama")
    translator = engines.translator
    return Interpreter(
        shared,
        preset,
        pairs,
        briefing(settings),
        _collectors(translator),
        _alone(translator, pairs),
        budgets(settings.device),
    )


def _alone(translator: TranslationEngine, pairs: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    if not isinstance(translator, LlamaTranslation):
        return {}
    found = {
        source: tuple(target for target in targets if translator.hedged.alone(source, target))
        for source, targets in pairs.items()
    }
    return {source: targets for source, targets in found.items() if targets}


def _collectors(translator: TranslationEngine) -> tuple[Collector, ...]:
    if not isinstance(translator, LlamaTranslation):
        return ()
    from app.llama.metrics import LlamaMetrics

    return (LlamaMetrics(translator.hedged),)


COMMON = ("ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "uk", "vi", "zh")


def translation_pairs(store: Store, *, anything: bool) -> dict[str, tuple[str, ...]]:
    """Pairs that the models on this machine translate; with Llama (`anything`) also every common language."""
    known = {language for entry in store.catalog.find("mt") for language in entry.languages}
    languages = sorted(known | set(COMMON) if anything else known)
    pairs: dict[str, tuple[str, ...]] = {}
    for source in languages:
        targets = [target for target in languages if target != source and (anything or _routed(store, source, target))]
        if targets:
            pairs[source] = tuple(targets)
    return pairs


def _routed(store: Store, source: str, target: str) -> bool:
    route = store.catalog.translation_route(source, target)
    return bool(route) and all(store.available(entry.id) for entry in route)
