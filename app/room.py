"""One conversation: who listens to what, who speaks, and how what a session finds out reaches everybody."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from app import opus, protocol
from app.access import Limits
from app.direct import Outgoing
from app.history import ROOM, SOURCE, History
from app.metrics import Metrics
from app.outbox import Outbox, TailKey
from app.protocol import CloseCode, Role, Wanted, encode
from app.speaking import SpeakingChannel
from pipeline.clock import Clock
from pipeline.events import AnyEvent, End, Miss, Speech, Trace, Translation, Voice, Words
from pipeline.session import Session

EndCode = Literal["host", "idle", "limit", "shutdown", "demo"]
STATE_EVERY_S = 0.5


class OpenSession(Protocol):
    """How a room gets a session of its process' engines."""

    def __call__(self, language: str, candidates: tuple[str, ...], clock: Clock) -> Session: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    code: str = ""
    keep_s: int = 0
    demo: bool = False


class Member:
    """Somebody who is connected. `close` ends the connection once its outbox is empty; `check` ends it where it is
    stuck at the time that it is given."""

    def __init__(
        self,
        role: Role,
        outbox: Outbox,
        close: Callable[[CloseCode], None],
        check: Callable[[float], None] = lambda now: None,
    ) -> None:
        self.role: Role = role
        self.outbox = outbox
        self.close = close
        self.check = check


def _outgoing(message: protocol.Message) -> Outgoing:
    return Outgoing(encode(message))


@dataclass(slots=True)
class _Speaking:
    channel: SpeakingChannel
    task: asyncio.Task[None]
    voices: asyncio.Queue[Speech | None]
    language: str = ""
    misses: dict[tuple[str, int], list[str]] = field(default_factory=dict[tuple[str, int], list[str]])
    spoken: Counter[str] = field(default_factory=Counter[str])


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
        self.ended: EndCode | None = None
        self.ended_at = 0.0
        self.created_at = now()
        self.empty_since: float | None = now()
        self._limits = limits
        self._open_session = open_session
        self._metrics = metrics
        self._now = now
        self._members: set[Member] = set()
        self._speaking: dict[int, _Speaking] = {}
        self._tails: dict[TailKey, Outgoing] = {}
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
        return Outbox(self.history, self._tails, wanted, after, changed, self._metrics.drops)

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
            return self._open_session(start.language, start.candidates, clock)

        async def take(event: AnyEvent) -> None:
            self._take(speaking, event)

        channel = SpeakingChannel(number, start.key, session, take)
        voices: asyncio.Queue[Speech | None] = asyncio.Queue()
        self._spoken_since = self._spoken_since or self._now()
        room_ms = (self._now() - self._spoken_since) * 1000
        language = "" if start.language == "auto" else start.language
        self._commit(
            ROOM,
            lambda n: protocol.Opened(
                sequence=n, channel=number, language=start.language, name=start.name, room_ms=room_ms
            ),
        )
        speaking = _Speaking(channel, asyncio.create_task(self._run(channel, voices)), voices, language)
        self._speaking[number] = speaking
        channel.set_targets(*self._targets)
        return channel

    async def _run(self, channel: SpeakingChannel, voices: asyncio.Queue[Speech | None]) -> None:
        speaker = asyncio.create_task(self._voice(channel.number, voices))
        try:
            await channel.run()
            voices.put_nowait(None)
            await speaker
        finally:
            speaker.cancel()
            self._speaking.pop(channel.number, None)

    def _take(self, speaking: _Speaking, event: AnyEvent) -> None:
        number = speaking.channel.number
        self._metrics.event(event)
        match event:
            case Words():
                self._words(speaking, event)
            case Translation():
                self._translation(speaking, event)
            case Speech():
                speaking.voices.put_nowait(event)
            case Voice():
                message = _outgoing(protocol.Talking(channel=number, active=event.active))
                for member in self._members:
                    member.outbox.latest(f"talking {number}", message)
            case Miss():
                self._miss(speaking, event)
            case Trace():
                self._lag(speaking, event)
            case End():
                self._end_of(number, event)

    def _words(self, speaking: _Speaking, event: Words) -> None:
        number = speaking.channel.number
        speaking.language = event.language
        if event.committed:
            self._commit(
                SOURCE,
                lambda n: protocol.Words(
                    sequence=n,
                    channel=number,
                    language=event.language,
                    text=event.committed,
                    start_ms=event.source_start_ms,
                    end_ms=event.source_end_ms,
                    emitted_ms=event.emitted_ms,
                ),
            )
        self._tail((number, event.language, False), -1, event.tentative, committed=bool(event.committed))

    def _translation(self, speaking: _Speaking, event: Translation) -> None:
        number = speaking.channel.number
        if event.committed or event.final:
            self._commit(
                event.language,
                lambda n: protocol.Caption(
                    sequence=n,
                    channel=number,
                    language=event.language,
                    segment=event.segment,
                    text=event.committed,
                    final=event.final,
                    same=speaking.language == event.language and event.engine == "none",
                    start_ms=event.source_start_ms,
                    end_ms=event.source_end_ms,
                    emitted_ms=event.emitted_ms,
                ),
            )
        committed = bool(event.committed) or event.final
        self._tail((number, event.language, True), event.segment, event.tentative, committed=committed)

    def _commit(self, feed: str, make: Callable[[int], protocol.Message]) -> None:
        entry = self.history.append(feed, make)
        for member in self._members:
            member.outbox.committed(entry.feed)

    def _tail(self, key: TailKey, segment: int, text: str, *, committed: bool) -> None:
        """`committed` text has just removed the tail before it."""
        number, language, translated = key
        if not text and (committed or key not in self._tails):
            self._tails.pop(key, None)
            return
        self._tails[key] = _outgoing(
            protocol.Tail(channel=number, language=language, translated=translated, segment=segment, text=text)
        )
        for member in self._members:
            member.outbox.tail(key)

    def _miss(self, speaking: _Speaking, event: Miss) -> None:
        speaking.misses.setdefault((event.language, event.segment), []).append(event.stage)
        if " " in event.action or not event.action:
            return  # a degradation, told with the clause's lag; one word is the code of a failure
        message = _outgoing(
            protocol.Trouble(
                channel=speaking.channel.number, stage=event.stage, language=event.language, code=event.action
            )
        )
        for member in self._members:
            if event.language in (*member.outbox.wanted.captions, *member.outbox.wanted.voices, ""):
                member.outbox.latest(f"trouble {event.stage} {event.language}", message)

    def _lag(self, speaking: _Speaking, event: Trace) -> None:
        misses = [
            *speaking.misses.pop((event.language, event.segment), []),
            *speaking.misses.get(("", event.segment), []),
        ]
        speaking.misses = {key: kept for key, kept in speaking.misses.items() if key[1] >= event.segment}
        stages = {name: stage.queue_ms + stage.compute_ms for name, stage in event.stages.items()}
        message = _outgoing(
            protocol.Lag(
                channel=speaking.channel.number,
                language=event.language,
                segment=event.segment,
                end_to_end_ms=event.end_to_end_ms,
                stages=stages,
                misses=tuple(dict.fromkeys(misses)),
            )
        )
        for member in self._members:
            if event.language in (*member.outbox.wanted.captions, *member.outbox.wanted.voices):
                member.outbox.latest(f"lag {speaking.channel.number} {event.language}", message)

    def _end_of(self, number: int, event: End) -> None:
        self._commit(
            ROOM, lambda n: protocol.Closed(sequence=n, channel=number, code=event.reason, message=event.message)
        )
        self._tails = self._forget_tails(number)

    def _forget_tails(self, number: int) -> dict[TailKey, Outgoing]:
        for key in [key for key in self._tails if key[0] == number]:
            del self._tails[key]
        return self._tails

    async def _voice(self, number: int, speeches: asyncio.Queue[Speech | None]) -> None:
        """Speech to who hears it: encoded once for each format that somebody asked for, outside the event loop."""
        while (event := await speeches.get()) is not None:
            speaking = self._speaking.get(number)
            if speaking is None or not event.pcm:
                continue
            speaking.spoken[event.language] += 1
            sequence = speaking.spoken[event.language]
            for as_opus in (False, True):
                hearing = self._hearing(event.language, as_opus=as_opus)
                if not hearing:
                    continue
                payload = await asyncio.to_thread(opus.encode, event.pcm, event.sample_rate) if as_opus else event.pcm
                frame = protocol.Voice(
                    number,
                    sequence,
                    event.segment,
                    event.sample_rate,
                    max(0, round(event.source_end_ms)),
                    event.language,
                    event.last,
                    payload,
                    as_opus,
                ).encode()
                outgoing = Outgoing(frame)
                for member in hearing:
                    member.outbox.voice(outgoing, event.duration_ms)

    def _hearing(self, language: str, *, as_opus: bool) -> list[Member]:
        return [
            member
            for member in self._members
            if language in member.outbox.wanted.voices and member.outbox.wanted.opus is as_opus
        ]

    # what is wanted

    def update_targets(self) -> None:
        """Tell every session which languages somebody reads or hears, or did until a moment ago."""
        now = self._now()
        for seen, wanted in zip(self._wanted_at, self._wanted_by, strict=True):
            seen.update(dict.fromkeys(wanted, now))
            for language in [name for name, at in seen.items() if now - at > self._limits.language_linger_s]:
                del seen[language]
        targets = frozenset(self._wanted_at[0]), frozenset(self._wanted_at[1])
        if targets != self._targets:
            self._targets = targets
            self.wanted.set()
            for channel in self.open_channels:
                channel.set_targets(*targets)

    def _count(self, wanted: Wanted, change: int) -> None:
        for counter, languages in zip(self._wanted_by, (wanted.captions, wanted.voices), strict=True):
            for language in set(languages):
                counter[language] += change
                if not counter[language]:
                    del counter[language]

    @property
    def targets(self) -> tuple[frozenset[str], frozenset[str]]:
        """Languages of captions and of voices that sessions work on."""
        return self._targets

    def state(self) -> protocol.State:
        captions, voices = self._wanted_by
        listeners = sum(1 for member in self._members if member.role == "listener")
        return protocol.State(listeners=listeners, captions=dict(captions), voices=dict(voices))

    def _state_changed(self) -> None:
        """Tell those who speak, at most every `STATE_EVERY_S`."""
        if self._state_due is None:
            self._state_due = asyncio.get_running_loop().call_later(STATE_EVERY_S, self._tell_state)

    def _tell_state(self) -> None:
        self._state_due = None
        message = _outgoing(self.state())
        for member in self._members:
            if member.role != "listener":
                member.outbox.latest("state", message)

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
        self._commit(ROOM, lambda n: protocol.Ended(sequence=n, code=code))
        for member in list(self._members):
            member.close(CloseCode.RESTARTING if code == "shutdown" else CloseCode.ENDED)
        if self._state_due is not None:
            self._state_due.cancel()
