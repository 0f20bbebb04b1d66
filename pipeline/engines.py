"""What a session asks of its engines. `app.engines` makes them of `models` and puts a scheduler before each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from models.protocols import (
    Hypothesis,
    RecognitionRequest,
    Samples,
    SpeechDetector,
    SpeechPart,
    TargetPiece,
    TranslationRequest,
)
from models.scheduler import Scheduler, Submits
from pipeline.route import TextIdentifier

NO_ENGINE = "none"  # of text that was not translated


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    text: str
    rate: float
    begun: Iterator[SpeechPart] | None = None
    """what is being spoken, of which the next part is wanted"""


@dataclass(frozen=True, slots=True)
class Voiced:
    """What a synthesiser made of a phrase, or of its beginning."""

    samples: Samples
    sample_rate: int
    voice: str = ""
    """which one spoke"""
    rest: SpeechRequest | None = None
    """asks for what follows of the phrase; None where this was all"""


@dataclass(frozen=True, slots=True)
class Translated:
    text: str
    engine: str
    queue_s: float
    compute_s: float
    reason: str = ""
    """the code of what kept the engine that was chosen from answering"""
    without_ahead: str | None = None
    """the same without the request's look-ahead, from an engine that made both"""
    pieces: tuple[TargetPiece, ...] = ()
    """of what follows the committed text, from an engine that knows where its words come from"""


class TranslationEngine:
    """What the translate stage awaits; `models` engines are wrapped by `app.engines`."""

    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        raise NotImplementedError

    def check(self, source: str, target: str) -> None:
        """Raise a `TsuyakuError` that names what is missing where the pair cannot be translated."""

    async def warm(self, source: str, target: str) -> None:
        """Load and run what the pair needs, so that the first words wait for nothing; raises what `check` raises."""
        self.check(source, target)
        for final in (False, True):  # which an engine may do in different ways
            await self.translate(TranslationRequest("Hello.", source, target, final=final), deadline=0.0, key=None)

    async def notes(self, source: str, targets: Iterable[str]) -> list[str]:
        """What a person should know before they begin, a sentence each."""
        return []


@dataclass(frozen=True, slots=True)
class Engines:
    """What all sessions of a process share."""

    detector: SpeechDetector
    recognizer: Scheduler[RecognitionRequest, Hypothesis]
    identify: Submits[Samples, Mapping[str, float]]
    translator: TranslationEngine
    voice: Callable[[str], Awaitable[Submits[SpeechRequest, Voiced]]]
    """the synthesiser of a language, loaded on first use; raises `TsuyakuError` where there is none"""
    identify_text: TextIdentifier | None = None
    """a second opinion on which of two languages is spoken"""
    faster_voice: Callable[[str], Awaitable[Submits[SpeechRequest, Voiced] | None]] | None = None
    """one for a machine that is too busy for the voice above; None where that is the fastest"""
