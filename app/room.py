"""One conversation: who listens to what, who speaks, and how what a session finds out reaches everybody."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from app import protocol
from app.access import Limits
from app.broadcast import Broadcast, Member
from app.history import ROOM, History
from app.metrics import Metrics
from app.outbox import Outbox
from app.protocol import CloseCode, Role, Wanted
from app.reporter import Reporter
from app.speaking import SpeakingChannel
from models.briefing import Briefing
from pipeline.clock import Clock
from pipeline.events import AnyEvent
from pipeline.session import Session

EndCode = Literal["host", "idle", "limit", "shutdown", "demo"]
STATE_EVERY_S = 0.5


class OpenSession(Protocol):
    """How a room gets a session of its process' engines."""

    def __call__(
        self, language: str, candidates: tuple[str, ...], clock: Clock, briefing: Briefing | None = None
    ) -> Session: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    code: str = ""
    keep_s: int = 0
    demo: bool = False
    briefing: Briefing | None = None
    """the server's where None"""


@dataclass(slots=True)
class _Speaking:
    channel: SpeakingChannel
    reporter: Reporter
    task: asyncio.Task[None]


class Room:
    """Times are those of `now`, in s."""

    def __init__(
        self,
        name: str,
        options: RoomOptions,
        limits: Limits,
        open_session: OpenSession,
        metrics: Metrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.options = options
        self.history = History(limits.log_entries, now)
        self.closing = False
        """nobody begins to speak any more"""
        self.ended: EndCode | None = None
        self.ended_at = 0.0
        self.created_at = now()
        self.empty_since: float | None = now()
        self._limits = limits
        self._open_session = open_session
        self._metrics = metrics
        self._now = now
        self._broadcast = Broadcast(self.history)
        self._members = self._broadcast.members
        self._speaking: dict[int, _Speaking] = {}
        self._wanted_at: tuple[dict[str, float], dict[str, float]] = ({}, {})
        self._wanted_by: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        """members by language: captions, voices"""
        self._targets: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        self.emptied = asyncio.Event()
        self.emptied.set()
        self.wanted = asyncio.Event()
        """somebody wanted captions or a voice"""
        self._numbers = 0
        self._spoken_since = 0.0
        self._state_due: asyncio.TimerHandle | None = None

    # members

    def join(self, role: Role, wanted: Wanted, after: int, changed: Callable[[], None]) -> Outbox:
        """An outbox that begins after sequence `after`; to be handed to `admit`."""
        return Outbox(self.history, self._broadcast.tails, wanted, after, changed, self._metrics.drops)

    def admit(self, member: Member) -> None:
        self._members.add(member)
        self._count(member.outbox.wanted, 1)
        self.emptied.clear()
        self.empty_since = None
        self.update_targets()
        self._state_changed()

    def leave(self, member: Member) -> None:
        self._members.discard(member)
        self._count(member.outbox.wanted, -1)
        for speaking in self._speaking.values():
            if speaking.channel.holder is member:
                speaking.channel.holder, speaking.channel.left_at = None, self._now()
        if not self._members:
            self.empty_since = self._now()
            self.emptied.set()
        self.update_targets()
        self._state_changed()

    def follow(self, member: Member, wanted: Wanted) -> None:
        self._count(member.outbox.wanted, -1)
        member.outbox.follow(wanted)
        self._count(wanted, 1)
        self.update_targets()
        self._state_changed()

    def too_many(self, wanted: Wanted, before: Wanted | None = None) -> set[str]:
        """Languages of `wanted` beyond what the room translates at once; `before` is what its member gives up."""
        others = Counter[str]()
        for counter, given_up in zip(self._wanted_by, _languages(before or Wanted()), strict=True):
            others += counter - Counter(given_up)
        new = [language for language in dict.fromkeys((*wanted.captions, *wanted.voices)) if language not in others]
        return set(new[max(0, self._limits.languages_per_room - len(others)) :])

    @property
    def members(self) -> Iterable[Member]:
        return self._members

    # speaking

    @property
    def open_channels(self) -> list[SpeakingChannel]:
        return [speaking.channel for speaking in self._speaking.values()]

    def find_channel(self, key: str) -> SpeakingChannel | None:
        return next((channel for channel in self.open_channels if channel.key == key), None)

    def channel(self, number: int) -> SpeakingChannel | None:
        speaking = self._speaking.get(number)
        return speaking.channel if speaking else None

    def open_channel(self, start: protocol.Start) -> SpeakingChannel:
        self._numbers += 1
        number = self._numbers

        def session(clock: Clock) -> Session:
            return self._open_session(start.language, start.candidates, clock, self.options.briefing)

        async def take(event: AnyEvent) -> None:
            self._metrics.event(event)
            reporter.take(event)

        channel = SpeakingChannel(number, start.key, session, take, self._metrics.drops)
        self._spoken_since = self._spoken_since or self._now()
        room_ms = (self._now() - self._spoken_since) * 1000
        self._broadcast.commit(
            ROOM,
            lambda n: protocol.Opened(
                sequence=n, channel=number, language=start.language, name=start.name, room_ms=room_ms
            ),
        )
        reporter = Reporter(number, "" if start.language == "auto" else start.language, self._broadcast)
        self._speaking[number] = _Speaking(channel, reporter, asyncio.create_task(self._run(channel, reporter)))
        channel.set_targets(*self._targets)
        return channel

    async def _run(self, channel: SpeakingChannel, reporter: Reporter) -> None:
        voices = asyncio.create_task(reporter.voices())
        try:
            await channel.run()
            await voices
        finally:
            voices.cancel()
            self._speaking.pop(channel.number, None)

    def heard_late(self, holder: Member, capture_ms: float) -> None:
        """Who speaks says how long a sound takes to arrive here."""
        for speaking in self._speaking.values():
            if speaking.channel.holder is holder:
                speaking.reporter.capture_ms = capture_ms

    # what is wanted

    def update_targets(self) -> None:
        """Tell every session which languages somebody reads or hears, or did until a moment ago."""
        now = self._now()
        for seen, wanted in zip(self._wanted_at, self._wanted_by, strict=True):
            seen.update(dict.fromkeys(wanted, now))
            for language in [name for name, at in seen.items() if now - at > self._limits.language_linger_s]:
                del seen[language]
        kept = self._newest_languages()
        captions, voices = self._wanted_at
        targets = kept & captions.keys(), kept & voices.keys()
        if targets != self._targets:
            self._targets = targets
            self.wanted.set()
            for channel in self.open_channels:
                channel.set_targets(*targets)

    def _newest_languages(self) -> frozenset[str]:
        """As many as may be translated at once: those that are wanted, then those that were until a moment ago."""
        last: dict[str, float] = {}
        for seen, wanted in zip(self._wanted_at, self._wanted_by, strict=True):
            for language, at in seen.items():
                last[language] = max(last.get(language, 0.0), math.inf if language in wanted else at)
        return frozenset(sorted(last, key=lambda language: -last[language])[: self._limits.languages_per_room])

    def _count(self, wanted: Wanted, change: int) -> None:
        for counter, languages in zip(self._wanted_by, _languages(wanted), strict=True):
            for language in languages:
                counter[language] += change
                if not counter[language]:
                    del counter[language]

    @property
    def targets(self) -> tuple[frozenset[str], frozenset[str]]:
        """Languages of captions and of voices that sessions work on."""
        return self._targets

    def state(self) -> protocol.State:
        captions, voices = self._wanted_by
        listeners = sum(1 for member in self._members if not member.speaks)
        return protocol.State(listeners=listeners, captions=dict(captions), voices=dict(voices))

    def _state_changed(self) -> None:
        """Tell those who speak, at most every `STATE_EVERY_S`."""
        if self._state_due is None:
            self._state_due = asyncio.get_running_loop().call_later(STATE_EVERY_S, self._tell_state)

    def _tell_state(self) -> None:
        self._state_due = None
        self._broadcast.latest("state", self.state(), lambda member: member.speaks)

    # end

    def tick(self) -> EndCode | None:
        """What time brings: channels whose speaker stayed away, languages nobody listens to any more. Returns why
        the room should end, if it should."""
        now = self._now()
        for member in list(self._members):
            member.check(now)
        for channel in self.open_channels:
            if channel.left_at is not None and now - channel.left_at > self._limits.channel_linger_s:
                channel.finish()
        self.update_targets()
        if now - self.created_at > self._limits.lifetime_s:
            return "limit"
        if self.empty_since is not None and now - self.empty_since > self._limits.idle_s and not self._speaking:
            return "idle"
        return None

    async def drain(self) -> None:
        """End every channel and wait until what was said is worked through."""
        for channel in self.open_channels:
            channel.finish()
        await asyncio.gather(*(speaking.task for speaking in self._speaking.values()), return_exceptions=True)

    def end(self, code: EndCode) -> None:
        """Say so to everybody and disconnect them. Channels that still run are stopped."""
        if self.ended is not None:
            return
        self.ended, self.ended_at = code, self._now()
        for speaking in self._speaking.values():
            speaking.task.cancel()
        self._broadcast.commit(ROOM, lambda n: protocol.Ended(sequence=n, code=code))
        for member in list(self._members):
            member.close(CloseCode.RESTARTING if code == "shutdown" else CloseCode.ENDED)
        if self._state_due is not None:
            self._state_due.cancel()


def _languages(wanted: Wanted) -> tuple[frozenset[str], frozenset[str]]:
    """Of captions and of voices."""
    return frozenset(wanted.captions), frozenset(wanted.voices)
