"""One ear with the session behind it, and a voice at its own speed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.desk.loop import Ear
from models.protocols import Samples
from models.scheduler import Done, Scheduler
from pipeline.engines import SpeechRequest, Voiced
from pipeline.events import StageTime, Trace
from pipeline.session import Session


@dataclass(slots=True)
class Channel:
    """One ear and the session behind it. `speaks` is its person's language; empty where it is heard."""

    ear: Ear
    session: Session
    speaks: str = ""
    active: bool = False
    words: bool = False
    """the utterance has shown words"""
    language: str = ""
    """of what was heard last"""
    ended_at: float | None = None
    """monotonic s, when the last utterance ended in the room; None once it was answered"""
    samples: asyncio.Queue[Samples | None] = field(default_factory=asyncio.Queue[Samples | None])


class Paced(Scheduler[SpeechRequest, Voiced]):
    """A voice at the speed that was chosen for it."""

    def __init__(self, voice: Scheduler[SpeechRequest, Voiced], speed: float) -> None:
        self._voice, self._speed = voice, speed

    async def start(self) -> None:
        await self._voice.start()

    async def submit(self, request: SpeechRequest, *, deadline: float, key: Any = None) -> Done[Voiced]:
        return await self._voice.submit(
            SpeechRequest(request.text, request.rate * self._speed), deadline=deadline, key=key
        )


async def feed(channel: Channel) -> None:
    while (samples := await channel.samples.get()) is not None:
        await channel.session.send(samples)
    await channel.session.finish()


def with_capture(trace: Trace, latency_ms: float) -> Trace:
    """The session's clock begins where samples reach it; the way from the microphone to there is a stage, too."""
    return msgspec.structs.replace(
        trace,
        stages={"capture": StageTime(0.0, latency_ms), **trace.stages},
        end_to_end_ms=trace.end_to_end_ms + latency_ms,
    )
