"""A session: one speaking channel, wired from the gate to speech in every language somebody listens to.

    send() ─▶ gate ─▶ recognise ─▶ segment ─▶ translate (each language) ─▶ speak (each language) ─▶ events()

All stages run in one TaskGroup: when one ends with an error, all end, `End` says why, and nothing is left running.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import numpy as np

from models.errors import TsuyakuError
from models.protocols import Samples
from pipeline.audio import Stretch, ms
from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.config import SessionConfig
from pipeline.engines import Engines
from pipeline.events import AUDIO_DROPPED, AnyEvent, End
from pipeline.gate import Gate, GateItem
from pipeline.route import Router
from pipeline.speak import Playhead
from pipeline.stages.listen import listen
from pipeline.stages.recognise import Recognition
from pipeline.stages.recognise_two_way import TwoWayRecognition
from pipeline.stages.shared import Committed, Phrase, Shared
from pipeline.stages.speak import SpeechIn
from pipeline.stages.translate import TranslationTo


class Session:
    """Feed it with `send` and `finish`; read `events` to the end."""

    def __init__(self, engines: Engines, config: SessionConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock(live=config.live)
        self._shared = Shared(engines, config, self._clock)
        self._audio: Channel[Stretch] = Channel(config.capacity)
        self._gated: Channel[GateItem] = Channel(config.capacity if config.live else 40)
        self._gate = Gate(engines.detector, config.gate)
        self._router: Router | None = None
        if config.between is None:
            self._recognition = Recognition(self._shared, self._gated, self._distribute)
        else:
            self._router = Router(config.between, config.route, engines.identify_text)
            self._recognition = TwoWayRecognition(
                self._shared, self._gated, self._distribute, router=self._router, gate=self._gate
            )
        self._clauses: dict[str, Channel[Committed]] = {}
        """of each language that was listened to when the last clause came, or is now"""
        self._group: asyncio.TaskGroup | None = None
        self._received = 0
        self._ending = False

    async def send(self, samples: Samples) -> float:
        """Take the next samples (mono, 16 kHz). Waits while a session that is not live has enough to do; one that is
        live leaves its oldest audio unheard where too much waits. Returns how much, in s."""
        stretch = Stretch(self._received, np.asarray(samples, np.float32))
        self._received += len(samples)
        self._clock.reached(self._received)
        if not self._config.live:
            await self._audio.put(stretch)
        elif dropped := await self._audio.put_dropping_oldest(stretch):
            late = self._clock.now_ms() - ms(dropped.start)
            await self._shared.miss("capture", "", -1, self._config.budgets.capture, late, AUDIO_DROPPED)
            return ms(len(dropped.samples)) / 1000
        return 0.0

    @property
    def waiting(self) -> int:
        """Portions of audio that no stage has taken up yet."""
        return len(self._audio) + len(self._gated)

    async def finish(self) -> None:
        """The source has ended; `events` ends when all that was said has been worked through."""
        await self._audio.close()

    def set_targets(self, captions: frozenset[str], voices: frozenset[str]) -> None:
        """What is listened to from now on: languages to read, and of those or others, languages to hear."""
        self._shared.captions, self._shared.voices = captions, voices
        for language in captions | voices:
            self._start_target(language)

    def speaks(self, language: str) -> None:
        """Two-way: what is said from now on is in `language`; empty leaves the choice to what is heard."""
        if self._router is not None:
            self._router.speaks(language)

    def set_patient_voice(self, patient: bool) -> None:
        """Whether speech waits for more words from now on (`SessionConfig.patient_voice`)."""
        self._shared.patient_voice = patient

    async def events(self) -> AsyncIterator[AnyEvent]:
        """Everything that happens, `End` last. Leaving the iteration ends the session."""
        runner = asyncio.create_task(self._run())
        try:
            async for event in self._shared.out:
                yield event
        finally:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)

    async def _run(self) -> None:
        reason, message = "end", ""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for language in self._shared.captions | self._shared.voices:
                    self._start_target(language)
                group.create_task(listen(self._shared, self._gate, self._audio, self._gated))
                group.create_task(self._recognise())
        except ExceptionGroup as group:
            reason, message = _reason(group)
        else:
            if self._shared.shortcoming is not None:
                reason, message = self._shared.shortcoming.code, self._shared.shortcoming.message
        await self._shared.emit(
            End(
                emitted_ms=self._clock.now_ms(),
                source_ms=ms(self._received),
                segments=self._recognition.segments,
                misses=self._shared.misses,
                reason=reason,
                message=message,
            )
        )
        await self._shared.out.close()

    async def _recognise(self) -> None:
        await self._recognition.run()
        self._ending = True
        for clauses in self._clauses.values():
            await clauses.close()

    async def _distribute(self, item: Committed) -> None:
        """A clause to each language that it is to be read or heard in; those that are no longer wanted end."""
        for language in self._clauses.keys() - (self._shared.captions | self._shared.voices):
            await self._clauses.pop(language).close()
        repeats = self._config.between is None or self._config.both_sides
        for language, clauses in list(self._clauses.items()):
            if repeats or language != item.clause.language:
                await clauses.put(item)

    def _start_target(self, language: str) -> None:
        if language in self._clauses or self._group is None or self._ending:
            return
        clauses = self._clauses[language] = Channel[Committed](200 if self._config.live else 12)
        phrases, playhead = Channel[Phrase](200), Playhead()
        self._group.create_task(TranslationTo(self._shared, language, clauses, phrases, playhead).run())
        self._group.create_task(SpeechIn(self._shared, language, phrases, playhead).run())


def _reason(group: BaseException) -> tuple[str, str]:
    """Code and sentence of the first failure in a group. An unexpected one is named by its type: texts stay private."""
    error: Any = group
    while isinstance(error, BaseExceptionGroup):
        error = cast("Any", error).exceptions[0]
    if isinstance(error, TsuyakuError):
        return error.code, error.message
    return "internal", f"The session ended because of an unexpected {type(error).__name__}; please report it."
