"""One speaking channel of a room: audio in by position, the session that interprets it, its events out.

Audio is taken at once (and may be confirmed), then given to the session in portions that get longer while it is behind,
so that what was buffered during an outage is worked through without a loss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import numpy as np

from app.frames import OpusUplink, Received, Uplink
from app.opus import UplinkDecoder
from app.outbox import Drops
from models.protocols import SAMPLE_RATE, Samples
from pipeline.audio import ms
from pipeline.clock import Clock
from pipeline.events import AUDIO_DROPPED, AnyEvent, End, Event, Miss
from pipeline.session import Session

PORTION_S = 0.1
LARGE_PORTION_S = 0.5  # while the session is behind
BEHIND = 20  # portions that wait in the session
LONGEST_PENDING_S = 120.0  # what one outage may add; beyond it the oldest is dropped, and counted
MAX_RESTARTS = 3

ABSOLUTE = {  # the times of events
    *("emitted_ms", "source_ms", "source_start_ms", "source_end_ms", "play_ms"),
    *("captured_ms", "committed_ms", "translated_ms", "spoken_ms"),
}

OpenSession = Callable[[Clock], Session]
Take = Callable[[AnyEvent], Awaitable[None]]


class SpeakingChannel:
    """`take` gets every event, its times and segments counted from the channel's begin; `End` once, last."""

    def __init__(
        self, number: int, key: str, open_session: OpenSession, take: Take, drops: Drops | None = None
    ) -> None:
        self.number = number
        self.key = key
        self.holder: object | None = None
        """the connection that speaks; None while its speaker is away"""
        self.left_at: float | None = None
        self.ended = False
        self._open_session = open_session
        self._take = take
        self._drops = drops or Drops()
        self._untold = False
        """that pending audio was dropped"""
        self._received = Received()
        self._decoder: UplinkDecoder | None = None
        self._clock = Clock(live=True)
        self._session = open_session(self._clock)
        self._pending: list[Samples] = []
        self._pending_samples = 0
        self._arrived = asyncio.Event()
        self._finished = False
        self._captions: frozenset[str] = frozenset()
        self._voices: frozenset[str] = frozenset()
        self._taken = 0

    @property
    def position(self) -> int:
        """Before which all audio has arrived."""
        return self._received.position

    @property
    def session(self) -> Session:
        return self._session

    def set_targets(self, captions: frozenset[str], voices: frozenset[str]) -> None:
        self._captions, self._voices = captions, voices
        self._session.set_targets(captions, voices)

    def accept(self, frame: Uplink | OpusUplink) -> int:
        """Take a frame. Returns the samples of silence that stand for a gap before it. Raises `ProtocolError` where its
        Opus is none."""
        if self._finished:
            return 0
        fresh = self._received.accept(frame.position, self._samples(frame))
        if fresh is None:
            return 0
        if fresh.skipped:
            self._clock.skip(fresh.skipped)
        self._pending.append(fresh.samples)
        self._pending_samples += len(fresh.samples)
        while self._pending_samples > LONGEST_PENDING_S * SAMPLE_RATE:
            lost = self._pending.pop(0)
            self._pending_samples -= len(lost)
            self._drops.speech_s += len(lost) / SAMPLE_RATE
            self._untold = True
        self._arrived.set()
        return max(0, len(fresh.samples) - len(frame))

    def _samples(self, frame: Uplink | OpusUplink) -> Samples:
        if isinstance(frame, Uplink):
            return frame.samples
        self._decoder = self._decoder or UplinkDecoder()
        return self._decoder.decode(frame.packets)

    def finish(self) -> None:
        """Nothing more will be said; `run` ends when what was said is worked through."""
        self._finished = True
        self._arrived.set()

    async def run(self) -> None:
        """Until the channel has ended. An engine that fails ends its session, not the channel: another one begins."""
        feeder = asyncio.create_task(self._feed())
        offset_ms, segments = 0.0, 0
        try:
            restarts = 0
            while (end := await self._follow(offset_ms, segments)).reason != "end" and restarts < MAX_RESTARTS:
                restarts += 1
                await self._take(_miss("session", end.emitted_ms + offset_ms, end.reason))
                offset_ms, segments = offset_ms + end.source_ms, segments + end.segments + 1
                self._clock = Clock(live=True)
                self._session = self._open_session(self._clock)
                self._session.set_targets(self._captions, self._voices)
                if self._finished:
                    await self._session.finish()
        finally:
            self.ended = True
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
        await self._take(end)

    async def _follow(self, offset_ms: float, segments: int) -> End:
        async for event in self._session.events():
            if isinstance(event, End):
                return event
            await self._take(shifted(event, offset_ms, segments) if segments else event)
        raise AssertionError("a session ends with End")

    async def _feed(self) -> None:
        while not self._finished or self._pending:
            await self._arrived.wait()
            self._arrived.clear()
            least = LARGE_PORTION_S if self._session.waiting > BEHIND else PORTION_S
            if self._pending_samples < least * SAMPLE_RATE and not self._finished:
                continue
            if self._untold:
                self._untold = False
                await self._take(_miss("capture", ms(self.position), AUDIO_DROPPED))
            await self._give(self._collect())
        await self._session.finish()

    def _collect(self) -> Samples:
        samples = np.concatenate(self._pending) if self._pending else np.zeros(0, np.float32)
        self._pending, self._pending_samples = [], 0
        return samples

    async def _give(self, samples: Samples) -> None:
        size = round(LARGE_PORTION_S * SAMPLE_RATE)
        for at in range(0, len(samples), size):
            self._drops.speech_s += await self._session.send(samples[at : at + size])
            await asyncio.sleep(0)


def _miss(stage: str, at_ms: float, action: str) -> Miss:
    return Miss(emitted_ms=at_ms, stage=stage, language="", segment=-1, budget_ms=0, actual_ms=0, action=action)


Shifted = TypeVar("Shifted", bound=Event)


def shifted(event: Shifted, offset_ms: float, segments: int) -> Shifted:
    """An event of a session that began `offset_ms` into its channel, after `segments` segments."""
    changes: dict[str, object] = {}
    for name in event.__struct_fields__:
        value: Any = getattr(event, name)
        if value is None:
            continue
        if name in ABSOLUTE:
            changes[name] = value + offset_ms
        elif name == "segment" and value >= 0:
            changes[name] = value + segments
    return msgspec.structs.replace(event, **changes)
