"""Committed text into speech, one stretch after the other."""

from __future__ import annotations

from collections import deque

import numpy as np

from models.errors import TsuyakuError
from models.protocols import SAMPLE_RATE
from models.scheduler import Submits
from pipeline.audio import ms
from pipeline.budget import Backlog, VoiceControl
from pipeline.channel import Channel
from pipeline.engines import SpeechRequest, Voiced
from pipeline.events import Speech, StageTime
from pipeline.speak import Playhead, phrases
from pipeline.stages.shared import Phrase, Shared, stage_time
from pipeline.stages.trace import emit_trace


class SpeechIn:
    """Phrases in one language in, stretches of speech out; what is too far behind is left unspoken."""

    def __init__(self, shared: Shared, language: str, waiting: Channel[Phrase], playhead: Playhead) -> None:
        self._shared = shared
        self._language = language
        self._waiting = waiting
        self._playhead = playhead
        self._backlog = Backlog(shared.config.backlog)
        self._begun: tuple[float, StageTime] | None = None
        """when the speech of the present clause began, and what that took"""
        self._control = VoiceControl()
        self._faster: Submits[SpeechRequest, Voiced] | None = None
        """what speaks the present clause instead of the language's voice"""

    async def run(self) -> None:
        """Until the channel of phrases ends."""
        dropping = False
        while (phrase := await self._waiting.get()) is not None:
            live = self._shared.config.live
            behind = self._playhead.behind_s(self._shared.clock.now_ms()) if live else 0.0
            if phrase.first:
                self._begun = None
                self._faster = await self._alternative() if self._control.next_clause() else None
                newer = sum(1 for waiting in self._waiting.waiting if waiting.first)
                dropping = self._backlog.drops(behind, newer)
                if dropping:
                    await self._left_unspoken(phrase, behind)
            if dropping:
                await self._drop(phrase)
                continue
            try:
                await self._voice(phrase, self._backlog.rate(behind))
            except TsuyakuError as error:
                budget, segment = self._shared.config.budgets.speak, phrase.item.clause.index
                await self._shared.miss("speak", self._language, segment, budget, 0, error.code)
                await self._drop(phrase)

    async def _voice(self, phrase: Phrase, rate: float) -> None:
        budget = self._shared.config.budgets.speak
        synthesizer = self._faster or await self._shared.engines.voice(self._language)
        requests = deque(SpeechRequest(piece, rate) for piece in phrases(phrase.text))
        first = True
        while requests:
            request = requests.popleft()
            done = await synthesizer.submit(request, deadline=self._shared.clock.deadline(budget))
            if done.result.rest is not None:
                requests.appendleft(done.result.rest)
            said = "" if request.begun else request.text
            begin = await self._emit(phrase, said, done.result, rate, last=phrase.last and not requests)
            self._begun = self._begun or (begin, stage_time(done))
            if first:
                await self._judge(phrase.item.clause.index, stage_time(done))
            first = False
        if phrase.last:
            await emit_trace(self._shared, self._language, phrase, self._begun)

    async def _judge(self, segment: int, time: StageTime) -> None:
        actual, budget = time.queue_ms + time.compute_ms, self._shared.config.budgets.speak
        if not self._shared.config.live or actual <= budget:
            self._control.met()
            return
        faster = self._faster is None and self._control.missed() and await self._alternative() is not None
        action = "faster voice" if faster else "rate follows the backlog"
        await self._shared.miss("speak", self._language, segment, budget, actual, action)

    async def _alternative(self) -> Submits[SpeechRequest, Voiced] | None:
        find = self._shared.engines.faster_voice
        return None if find is None else await find(self._language)

    async def _emit(self, phrase: Phrase, piece: str, voiced: Voiced, rate: float, *, last: bool) -> float:
        """When it begins to sound, in ms."""
        clause = phrase.item.clause
        now = self._shared.clock.now_ms()
        duration = len(voiced.samples) * 1000 / voiced.sample_rate
        begin = self._playhead.place(now if self._shared.config.live else max(now, ms(clause.end)), duration)
        await self._shared.emit(
            Speech(
                emitted_ms=self._shared.clock.now_ms(),
                language=self._language,
                segment=clause.index,
                text=piece,
                sample_rate=voiced.sample_rate,
                duration_ms=duration,
                play_ms=begin,
                rate=rate,
                last=last,
                dropped=False,
                source_start_ms=ms(clause.start),
                source_end_ms=ms(clause.end),
                pcm=(np.clip(voiced.samples, -1, 1) * 32767).astype("<i2").tobytes(),
            )
        )
        return begin

    async def _left_unspoken(self, phrase: Phrase, behind_s: float) -> None:
        allowed, segment = self._shared.config.backlog.drop_s * 1000, phrase.item.clause.index
        await self._shared.miss(
            "speak", self._language, segment, allowed, behind_s * 1000, "oldest clause left unspoken"
        )

    async def _drop(self, phrase: Phrase) -> None:
        clause = phrase.item.clause
        now = self._shared.clock.now_ms()
        await self._shared.emit(
            Speech(
                emitted_ms=now,
                language=self._language,
                segment=clause.index,
                text=phrase.text,
                sample_rate=SAMPLE_RATE,
                duration_ms=0,
                play_ms=now,
                rate=1,
                last=phrase.last,
                dropped=True,
                source_start_ms=ms(clause.start),
                source_end_ms=ms(clause.end),
            )
        )
        if phrase.last:
            await emit_trace(self._shared, self._language, phrase, self._begun)
