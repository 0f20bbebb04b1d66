"""One ear with the session behind it, and a voice at its own speed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import msgspec

from app.desk.loop import Ear
from models.protocols import Samples
from models.scheduler import Share, Submits
from pipeline.engines import SpeechRequest, Voiced
from pipeline.events import StageTime, Trace
from pipeline.session import Session


@dataclass(slots=True)
class Channel:
    """One ear and the session behind it. `speaks` is its person's language; empty where it is heard."""

    ear: Ear
    session: Session
    speaks: str = ""
    remote: bool = False
    """in a call: heard whichever key is down"""
    active: bool = False
    words: bool = False
    """the utterance has shown words"""
    language: str = ""
    """of what was heard last"""
    ended_at: float | None = None
    """monotonic s, when the last utterance ended in the room; None once it was answered"""
    samples: asyncio.Queue[Samples | None] = field(default_factory=asyncio.Queue[Samples | None])


def paced(voice: Submits[SpeechRequest, Voiced], speed: float) -> Share[SpeechRequest, Voiced]:
    """A voice at the speed that was chosen for it."""
    return Share(voice, lambda request: replace(request, rate=request.rate * speed))


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
