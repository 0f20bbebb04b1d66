"""What the stages of one session share, and the values that they hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.errors import TsuyakuError
from models.scheduler import Done
from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.config import SessionConfig
from pipeline.engines import Engines
from pipeline.events import AnyEvent, Miss, StageTime
from pipeline.segment import Clause


class Shared:
    """One session's engines, settings and clock, who listens to it, and its way out."""

    def __init__(self, engines: Engines, config: SessionConfig, clock: Clock) -> None:
        self.engines = engines
        self.config = config
        self.clock = clock
        self.captions = config.captions
        self.voices = config.voices
        self.patient_voice = config.patient_voice
        self.misses = 0
        self.shortcoming: TsuyakuError | None = None
        """what `End` is to say of a session that went on without it"""
        self.out: Channel[AnyEvent] = Channel(1000)

    async def emit(self, event: AnyEvent) -> None:
        await self.out.put(event)

    async def miss(self, stage: str, language: str, segment: int, budget: float, actual: float, action: str) -> None:
        self.misses += 1
        await self.emit(
            Miss(
                emitted_ms=self.clock.now_ms(),
                stage=stage,
                language=language,
                segment=segment,
                budget_ms=budget,
                actual_ms=actual,
                action=action,
            )
        )


@dataclass(frozen=True, slots=True)
class Committed:
    """A clause on its way to the translators, with the pass that committed its last word."""

    clause: Clause
    committed_ms: float
    recognised: StageTime


@dataclass(frozen=True, slots=True)
class Phrase:
    """Committed text on its way to the voice."""

    item: Committed
    text: str
    translated_ms: float
    translate: StageTime
    first: bool
    """nothing of the clause was handed on before"""
    last: bool
    """nothing of it follows"""


def stage_time(done: Done[Any]) -> StageTime:
    return StageTime(done.queue_s * 1000, done.compute_s * 1000)
