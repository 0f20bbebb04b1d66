"""A conversation between two people: sessions between the ears and the mouths of the sound loop, turns, and commands.

Everything here runs in asyncio. The sound loop hands in samples and notices from its own thread, through `Ears`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import cast

import numpy as np

from app.desk.channel import Channel, feed, paced, with_capture
from app.desk.config import DeskConfig, Mode
from app.desk.floor import Floor
from app.desk.health import Notice
from app.desk.loop import Mouth, SoundLoop
from app.desk.player import Piece
from app.desk.record import Record, Row
from app.desk.said import KEPT_TURNS, Said, turn_number
from app.desk.sound import to_desk
from models.errors import TsuyakuError, UnavailableError
from models.protocols import Samples
from models.scheduler import Submits
from pipeline.config import SessionConfig
from pipeline.engines import Engines, SpeechRequest, Voiced
from pipeline.events import AnyEvent, End, Miss, Speech, Trace, Voice, Words
from pipeline.session import Session

VOICE_BUDGET_MS = 2500.0
RELEASE_S = 0.25  # after a talk key: as late as a microphone may be
STUCK_S = 5.0  # that nothing of what waits is played: its loudspeaker is gone


class Conversation:
    """Made of `channels` and `mouths` (by the language that each speaks); `run` until `finish`."""

    def __init__(self, config: DeskConfig, engines: Engines, mouths: dict[str, Mouth]) -> None:
        self.config = config
        self.engines = engines
        self.mouths = mouths
        self.floor = Floor(config.mode, config.barge_in, mouths)
        self.channels: list[Channel] = []
        self.record = Record(config.between)
        self.said = Said(engines, mouths, self.record, config.speeds, self._noticed, self._change)
        self.notices: deque[Notice] = deque(maxlen=50)
        self.first_voice_ms: deque[float] = deque(maxlen=1000)
        """from the end of an utterance to the first sound of its translation"""
        self.missed = 0
        self.muted = False
        self.talking = ""
        """push-to-talk: the language whose key is down"""
        self.left, self.right = config.between
        self.listeners: list[Callable[[int, AnyEvent], None]] = []
        self.on_notice: Callable[[Notice], None] = lambda notice: None
        self.on_open: Callable[[], None] = lambda: None
        """all devices are open: whoever speaks now is heard"""
        self.changed = asyncio.Event()
        self.last_active = time.monotonic()
        self._unanswered: dict[int, float] = {}
        self._loop = asyncio.get_running_loop()
        self._failure: UnavailableError | None = None

    @property
    def mode(self) -> Mode:
        return self.floor.mode

    def session(self, config: SessionConfig) -> Session:
        """A two-way session whose voices speak as fast as was chosen."""

        async def voice(language: str) -> Submits[SpeechRequest, Voiced]:
            return paced(await self.engines.voice(language), self.said.speed(language))

        async def faster(language: str) -> Submits[SpeechRequest, Voiced] | None:
            found = await self.engines.faster_voice(language) if self.engines.faster_voice else None
            return paced(found, self.said.speed(language)) if found else None

        both = frozenset(self.config.between)
        return Session(
            replace(self.engines, voice=voice, faster_voice=faster),
            replace(
                config,
                between=self.config.between,
                captions=both,
                voices=both,
                live=True,
                patient_voice=self.mode is Mode.CONSECUTIVE,
            ),
        )

    def join(self, channels: list[Channel]) -> None:
        self.channels = channels
        self.floor.join(channels)
        self.record = self.said.record = Record(self.config.between, len(channels))
        for channel in channels:
            channel.session.speaks(channel.speaks)
        self._open_ears()

    def deliver(self, index: int) -> Callable[[Samples], None]:
        """What ear `index` hands its samples to, on the sound loop's thread."""

        def take(samples: Samples) -> None:
            self._loop.call_soon_threadsafe(lambda: self.channels[index].samples.put_nowait(samples))

        return take

    def notify(self, notice: Notice) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._noticed, notice)

    async def run(self, loop: SoundLoop) -> None:
        """Until `finish`, an error or the end. Raises the `TsuyakuError` of a session that ended early, or
        `UnavailableError` `sound-failed` once what was heard until then is worked through."""
        try:
            loop.start(self._sound_failed)
            self.on_open()
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._watch_voice())
                jobs = [group.create_task(self._follow(n, channel)) for n, channel in enumerate(self.channels)]
                await asyncio.gather(*jobs)
                await self.said.told()
                await self._drained()
                watcher.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            loop.stop()
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Nobody speaks any more; what was said is worked through."""
        for channel in self.channels:
            channel.samples.put_nowait(None)

    @property
    def quiet_s(self) -> float:
        """s since anything was said, by a person or by the voice."""
        if any(channel.active for channel in self.channels) or any(m.player.waiting_s for m in self.mouths.values()):
            return 0.0
        return time.monotonic() - self.last_active

    @property
    def voice_latency_ms(self) -> float | None:
        return median(self.first_voice_ms) if self.first_voice_ms else None

    # what a person asks for

    def swap(self) -> None:
        """Change sides: the columns, the talk keys, and, with a microphone each, who speaks what, and hears what."""
        self.left, self.right = self.right, self.left
        if len(self.channels) > 1:
            left, right = self.config.between
            self.mouths[left], self.mouths[right] = self.mouths[right], self.mouths[left]
            for channel in self.channels:
                channel.speaks = self.record.other(channel.speaks)
                channel.session.speaks(channel.speaks)
        self._change()

    def mute(self) -> bool:
        """Close the microphones, or open them again; whether they are closed now."""
        self.muted = not self.muted
        self._open_ears()
        self._change()
        return self.muted

    def mute_voice(self) -> bool:
        self.said.muted = not self.said.muted
        if self.said.muted:
            self.floor.hush()
        self._change()
        return self.said.muted

    def talk(self, language: str) -> None:
        """A talk key: what is said now is in `language`; the same key again, or none, ends that."""
        self.talking = "" if language == self.talking else language
        for channel in self.channels:
            if not channel.speaks:
                channel.session.speaks(self.talking)
        if self.talking:
            self._open_ears()
        else:  # what was said as the key was let go is still on its way
            self._loop.call_later(RELEASE_S, self._open_ears)
        self._change()

    def _open_ears(self) -> None:
        for channel in self.channels:
            talks = self.talking == channel.speaks if channel.speaks else bool(self.talking)
            channel.ear.open = not self.muted and (talks or channel.remote or not self.config.push_to_talk)

    def change_mode(self) -> None:
        consecutive = self.mode is not Mode.CONSECUTIVE
        self.floor.change(Mode.CONSECUTIVE if consecutive else Mode.SIMULTANEOUS)
        for channel in self.channels:
            channel.session.set_patient_voice(consecutive)
        self._change()

    # events

    async def _follow(self, index: int, channel: Channel) -> None:
        feeder = asyncio.create_task(feed(channel))
        try:
            async for event in channel.session.events():
                self._happened(index, channel, event)
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)

    def _happened(self, index: int, channel: Channel, event: AnyEvent) -> None:
        if isinstance(event, Trace):
            event = with_capture(event, channel.ear.latency_s * 1000)
        self.record.add(index, event)
        match event:
            case Voice():
                self._voice(channel, event)
            case Words():
                channel.language = event.language
                if event.committed or event.tentative:
                    channel.words = True
            case Speech():
                self._spoken(index, channel, event)
            case Miss():
                self.missed += 1
            case End() if event.reason != "end":
                raise TsuyakuError(event.reason, event.message)
            case _:
                pass
        if not isinstance(event, Miss):
            self.last_active = time.monotonic()
        for listener in self.listeners:
            listener(index, event)
        self._change()

    def _voice(self, channel: Channel, event: Voice) -> None:
        ago_s = (event.emitted_ms - event.source_ms) / 1000
        if event.active:
            channel.ended_at = None
            self._taken_back(self.floor.begins(channel, ago_s))
        else:
            channel.ended_at = time.monotonic() - ago_s
            # Whoever paused only is answered when they have ended.
            self._unanswered = dict.fromkeys(self._unanswered, channel.ended_at)
            self.floor.ends(channel, ago_s)

    def _taken_back(self, turns: set[int]) -> None:
        """They are answered when their phrases are spoken again."""
        self._unanswered |= dict.fromkeys(turns, time.monotonic())

    def _spoken(self, index: int, channel: Channel, event: Speech) -> None:
        key = index, event.segment
        if not event.pcm or self.record.replaced(key):
            return
        number = turn_number(key)
        samples = to_desk(np.frombuffer(event.pcm, "<i2").astype(np.float32) / np.float32(32768), event.sample_rate)
        self.said.keep(number, samples)
        if self.said.muted:
            return
        if channel.ended_at is not None:
            self._unanswered[number] = channel.ended_at
            channel.ended_at = None
            while len(self._unanswered) > KEPT_TURNS:
                del self._unanswered[next(iter(self._unanswered))]
        self.mouths[event.language].player.play(Piece(number, samples, goes_on=not event.text))

    async def _watch_voice(self) -> None:
        """Note when each answer was first heard, and let those wait that have to."""
        while True:
            self._taken_back(self.floor.passes())
            for mouth in self.mouths.values():
                for number in mouth.player.begun():
                    if (ended := self._unanswered.pop(number, None)) is not None:
                        ahead = mouth.port.ahead_s
                        self.first_voice_ms.append((time.monotonic() + ahead - ended) * 1000)
                if mouth.player.waiting_s:
                    self.last_active = time.monotonic()
            await asyncio.sleep(0.02)

    def _sound_failed(self, error: Exception) -> None:
        """From the sound loop's thread."""
        self._loop.call_soon_threadsafe(self._deaf, error)

    def _deaf(self, error: Exception) -> None:
        self._failure = UnavailableError(
            "sound-failed", f"Sound stopped ({type(error).__name__}): nobody is heard any more; start again."
        )
        self.finish()

    async def _drained(self) -> None:
        """Wait until what was said has been spoken."""
        if self._failure is not None:
            return  # nothing is played any more
        before, since = 0.0, time.monotonic()
        while waiting := sum(mouth.player.waiting_s for mouth in self.mouths.values()):
            if waiting != before:
                before, since = waiting, time.monotonic()
            elif time.monotonic() - since > STUCK_S:
                return
            await asyncio.sleep(0.05)
        await asyncio.sleep(max((mouth.port.ahead_s for mouth in self.mouths.values()), default=0.0) + 0.2)

    def _noticed(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.on_notice(notice)
        self._change()

    def _change(self) -> None:
        self.changed.set()

    def rows(self) -> list[Row]:
        return self.record.rows()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, in however many groups."""
    error = group.exceptions[0]
    return _first(cast("BaseExceptionGroup[BaseException]", error)) if isinstance(error, BaseExceptionGroup) else error
