"""What the session of one speaking channel finds out, as messages to the room."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable

from app import opus, protocol
from app.broadcast import Broadcast, Member
from app.direct import Outgoing
from app.frames import Voice as VoiceFrame
from app.history import ROOM, SOURCE
from pipeline.events import AnyEvent, End, Miss, Speech, Trace, Translation, Voice, Words

TOLD_AGAIN_MS = 5000.0  # between two tellings of the same trouble
KEPT_SEGMENTS = 64  # whose misses wait for the clause's trace


class Reporter:
    """`take` gets every event, in order; `voices` carries speech to who hears it, until `End` was taken."""

    def __init__(self, number: int, language: str, broadcast: Broadcast) -> None:
        self.capture_ms = 0.0
        """from a sound at the microphone to its arrival here, as the speaker's client measures it"""
        self._number = number
        self._language = language
        self._broadcast = broadcast
        self._told: dict[tuple[str, str], float] = {}
        """when troubles of no one clause were told last, by stage and code"""
        self._misses: dict[tuple[str, int], list[str]] = {}
        self._made: dict[tuple[str, int], float] = {}
        """when the first speech of a clause was made"""
        self._speeches: asyncio.Queue[Speech | None] = asyncio.Queue()
        self._spoken: Counter[str] = Counter()

    def take(self, event: AnyEvent) -> None:
        match event:
            case Words():
                self._words(event)
            case Translation():
                self._translation(event)
            case Speech():
                if event.pcm:
                    self._made.setdefault((event.language, event.segment), event.emitted_ms)
                self._speeches.put_nowait(event)
            case Voice():
                talking = protocol.Talking(channel=self._number, active=event.active)
                self._broadcast.latest(f"talking {self._number}", talking)
            case Miss():
                self._miss(event)
            case Trace():
                self._lag(event)
            case End():
                self._end(event)

    def _words(self, event: Words) -> None:
        self._language = event.language
        if event.committed:
            self._broadcast.commit(
                SOURCE,
                lambda n: protocol.Words(
                    sequence=n,
                    channel=self._number,
                    language=event.language,
                    text=event.committed,
                    start_ms=event.source_start_ms,
                    end_ms=event.source_end_ms,
                    emitted_ms=event.emitted_ms,
                ),
            )
        key = (self._number, event.language, False)
        self._broadcast.tail(key, -1, event.tentative, committed=bool(event.committed))

    def _translation(self, event: Translation) -> None:
        committed = bool(event.committed) or event.final
        if committed:
            self._broadcast.commit(
                event.language,
                lambda n: protocol.Caption(
                    sequence=n,
                    channel=self._number,
                    language=event.language,
                    segment=event.segment,
                    text=event.committed,
                    final=event.final,
                    same=self._language == event.language and event.engine == "none",
                    start_ms=event.source_start_ms,
                    end_ms=event.source_end_ms,
                    emitted_ms=event.emitted_ms,
                ),
            )
        key = (self._number, event.language, True)
        self._broadcast.tail(key, event.segment, event.tentative, committed=committed)

    def _miss(self, event: Miss) -> None:
        if event.segment >= 0:
            self._misses.setdefault((event.language, event.segment), []).append(event.stage)
        if " " in event.action or not event.action:
            return  # a degradation, told with the clause's lag; one word is the code of a failure
        if event.segment < 0 and not self._is_news(event):
            return
        trouble = protocol.Trouble(
            channel=self._number,
            stage=event.stage,
            language=event.language,
            code=event.action,
            replaced=event.stage == "translate" and event.actual_ms > 0,
        )
        self._broadcast.latest(f"trouble {event.stage} {event.language}", trouble, self._concerned(event.language))

    def _is_news(self, event: Miss) -> bool:
        """Whether the last time that this was told is a while ago: audio is dropped many times a second."""
        what = event.stage, event.action
        if event.emitted_ms - self._told.get(what, -math.inf) < TOLD_AGAIN_MS:
            return False
        self._told[what] = event.emitted_ms
        return True

    def _lag(self, event: Trace) -> None:
        """The clause's time from stamp to stamp, so that the stages add up to what people waited. What its speech waits
        to be heard is measured where it is played."""
        key = (event.language, event.segment)
        misses = [*self._misses.pop(key, []), *self._misses.get(("", event.segment), [])]
        self._misses = {at: kept for at, kept in self._misses.items() if at[1] > event.segment - KEPT_SEGMENTS}
        made = self._made.pop(key, event.spoken_ms)
        self._made = {at: kept for at, kept in self._made.items() if at[1] > event.segment - KEPT_SEGMENTS}
        stages = {
            "capture": self.capture_ms,
            "recognise": event.committed_ms - event.captured_ms,
            "translate": event.translated_ms - event.committed_ms,
        }
        if event.spoken_ms is not None and made is not None:
            stages["speak"] = made - event.translated_ms
        lag = protocol.Lag(
            channel=self._number,
            language=event.language,
            segment=event.segment,
            end_to_end_ms=event.end_to_end_ms,
            stages={name: max(0.0, spent) for name, spent in stages.items()},
            misses=tuple(dict.fromkeys(misses)),
        )
        self._broadcast.latest(f"lag {self._number} {event.language}", lag, self._concerned(event.language))

    def _concerned(self, language: str) -> Callable[[Member], bool]:
        def concerned(member: Member) -> bool:
            return not language or member.speaks or member.follows(language)

        return concerned

    def _end(self, event: End) -> None:
        self._broadcast.commit(
            ROOM,
            lambda n: protocol.Closed(sequence=n, channel=self._number, code=event.reason, message=event.message),
        )
        self._broadcast.forget_tails(self._number)
        self._speeches.put_nowait(None)

    async def voices(self) -> None:
        """Speech to who hears it: encoded once for each format that somebody asked for, outside the event loop."""
        while (event := await self._speeches.get()) is not None:
            if not event.pcm:
                continue
            self._spoken[event.language] += 1
            for as_opus in (False, True):
                hearing = self._broadcast.hearing(event.language, as_opus=as_opus)
                if not hearing:
                    continue
                payload = await asyncio.to_thread(opus.encode, event.pcm, event.sample_rate) if as_opus else event.pcm
                frame = Outgoing(self._frame(event, payload, as_opus=as_opus))
                for member in hearing:
                    member.outbox.voice(frame, event.duration_ms)

    def _frame(self, event: Speech, payload: bytes, *, as_opus: bool) -> bytes:
        return VoiceFrame(
            self._number,
            self._spoken[event.language],
            event.segment,
            event.sample_rate,
            max(0, round(event.source_end_ms)),
            event.language,
            event.last,
            payload,
            as_opus,
        ).encode()
