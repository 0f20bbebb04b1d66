"""Speech into words: passes of the recogniser over an utterance while it is spoken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from models.errors import UnavailableError
from models.protocols import SAMPLE_RATE, Hypothesis, RecognitionRequest, Samples
from models.scheduler import Done
from pipeline.audio import ms
from pipeline.budget import StepControl
from pipeline.channel import Channel
from pipeline.events import StageTime, Words
from pipeline.gate import GateItem, Onset
from pipeline.language import LanguageChoice
from pipeline.recognise import Update, Utterance
from pipeline.segment import Segmenter
from pipeline.stages.live import LiveUtterance
from pipeline.stages.shared import Committed, Shared, stage_time
from pipeline.words import TimedWord

IDENTIFY_AFTER_S = 1.5  # of an utterance; shorter ones are identified when they end
IDENTIFY_MS = 500.0
FAILURES = 3  # passes in a row that may fail; an engine that fails more often is broken

HandOn = Callable[[Committed], Awaitable[None]]


class Recognition:
    """What one speaker says, in a language that is given or identified. Clauses go to `hand_on`."""

    def __init__(self, shared: Shared, gated: Channel[GateItem], hand_on: HandOn) -> None:
        self._shared = shared
        self._gated = gated
        self._hand_on = hand_on
        self._config = shared.config.recognise
        self._pace = StepControl(self._config.step_s, self._config.longest_s)
        self._segmenter = Segmenter(shared.config.segment)
        self._failed = 0

    @property
    def segments(self) -> int:
        """Clauses that are closed."""
        return self._segmenter.index

    async def run(self) -> None:
        """Until the gate's channel ends; every clause is closed then."""
        languages = LanguageChoice(self._shared.config.source_language, self._shared.config.candidates)
        before: Utterance | None = None
        while (item := await self._gated.get()) is not None:
            if isinstance(item, Onset):
                live = await self._follow(self._begin(item, before), languages)
                before = live.utterance
        await self._end(languages.current)

    def _begin(self, onset: Onset, before: Utterance | None = None) -> LiveUtterance:
        """`before`: what was said last, in the same language."""
        prompt, begins_sentence = ((), True) if before is None else (before.prompt, before.ends_sentence)
        utterance = Utterance(onset.at, self._config, prompt, begins_sentence=begins_sentence)
        return LiveUtterance(utterance, self._gated, self._config.longest_s)

    async def _end(self, language: str) -> None:
        await self._segment((), language, StageTime(0, 0), pause=True)

    async def _follow(self, live: LiveUtterance, languages: LanguageChoice) -> LiveUtterance:
        """Recognise one utterance until the pause that ends it, or several where the language changes without a pause;
        returns the last. Nothing is committed before its language is sure."""
        while not live.closed:
            await live.gather(self._pace.step_s, doubting=languages.identified and live.identified)
            if languages.needs_identifying(live.identified) and (live.closed or live.seconds >= IDENTIFY_AFTER_S):
                if languages.heard(await self._identify(live.utterance.audio.samples)):
                    live.utterance.prime(())  # what was said in another language makes Whisper translate
                    live.settled = False
                live.identified = True
            before = languages.current
            verdict = await self._heard_on(live, languages)
            if verdict == "changed":
                live = await self._change(live, before)
            if languages.current and live.seconds > 0:
                hold = languages.needs_identifying(live.identified) or verdict == "unsure"
                await self._advance(live, languages.current, hold=hold)
        return live

    async def _heard_on(self, live: LiveUtterance, languages: LanguageChoice) -> Literal["kept", "changed", "unsure"]:
        """Whether what follows a lull is in the language of what came before it."""
        sound = live.doubtful
        if not len(sound):
            return "kept"
        verdict = languages.heard_on(await self._identify(sound), len(sound) / SAMPLE_RATE, closed=live.closed)
        if verdict == "kept":
            live.trust()
        return verdict

    async def _change(self, live: LiveUtterance, before: str) -> LiveUtterance:
        """Close what was said in the language `before` at the lull that ended it. What follows is an utterance of its
        own, and hears nothing of what came before it."""
        following = live.split(self._config)
        if live.seconds > 0:
            await self._advance(live, before)
        return following

    async def _identify(self, samples: Samples) -> Mapping[str, float]:
        """Probability of each language."""
        deadline = self._shared.clock.deadline(IDENTIFY_MS)
        done = await self._shared.engines.identify.submit(samples.copy(), deadline=deadline)
        return done.result

    async def _advance(self, live: LiveUtterance, language: str, *, hold: bool = False) -> None:
        """The next pass, or none where the utterance ended after one that had heard it all."""
        if live.closed and live.settled:
            await self._take(live, live.utterance.close(), language, StageTime(0, 0))
        else:
            await self._heard(live, language, await self._hypothesis(live, language), hold=hold)

    async def _hypothesis(self, live: LiveUtterance, language: str) -> Done[Hypothesis] | None:
        """None where the engine failed and a later pass will hear the same audio. Raises `UnavailableError` where it
        fails again and again."""
        live.utterance.longest_s = self._pace.longest_s
        budget = self._shared.config.budgets.recognise
        request = self._briefed(live.utterance.request(language, closed=live.closed))
        while True:
            deadline = self._shared.clock.deadline(budget)
            try:
                done = await self._shared.engines.recognizer.submit(request, deadline=deadline, key=None)
            except UnavailableError as error:
                self._failed += 1
                if self._failed > FAILURES:
                    raise
                await self._shared.miss("recognise", "", self.segments, budget, 0, error.code)
                if not live.closed:
                    return None
            else:
                self._failed = 0
                return done

    def _briefed(self, request: RecognitionRequest) -> RecognitionRequest:
        hotwords = self._shared.config.briefing.glossary.hotwords(request.language)
        return replace(request, hotwords=hotwords) if hotwords else request

    async def _heard(
        self, live: LiveUtterance, language: str, done: Done[Hypothesis] | None, *, hold: bool = False
    ) -> None:
        """What a pass found, if it did not fail; `hold` keeps all of it tentative."""
        if done is None:
            return
        end = live.utterance.audio.end
        heard_s = (end - live.utterance.audio.start) / SAMPLE_RATE
        update = live.utterance.apply(done.result, end, closed=live.closed, lull=live.lull, hold=hold)
        live.settled = live.lull
        time = stage_time(done)
        await self._take(live, update, language, time)
        if self._shared.config.live:
            self._pace.took(done.compute_s, heard_s)
            await self._judge(time)

    async def _take(self, live: LiveUtterance, update: Update, language: str, time: StageTime) -> None:
        if update.committed or update.tentative or live.showed_tail:
            await self._emit_words(update.committed, update.tentative, language)
        live.showed_tail = bool(update.tentative)
        await self._segment(
            update.committed, language, time, pause=live.closed, lull=live.lull, tentative=update.tentative
        )

    async def _judge(self, time: StageTime) -> None:
        actual = time.queue_ms + time.compute_ms
        budget = self._shared.config.budgets.recognise
        if actual > budget:
            await self._shared.miss("recognise", "", self.segments, budget, actual, self._pace.missed())
        else:
            self._pace.met()

    async def _emit_words(
        self, committed: tuple[TimedWord, ...], tentative: tuple[TimedWord, ...], language: str
    ) -> None:
        shown = committed or tentative
        now = self._shared.clock.now_ms()
        await self._shared.emit(
            Words(
                emitted_ms=now,
                language=language,
                committed="".join(word.text for word in committed),
                tentative="".join(word.text for word in tentative),
                source_start_ms=ms(shown[0].start) if shown else now,
                source_end_ms=ms(shown[-1].end) if shown else now,
                confidence=float(np.mean([word.probability for word in shown])) if shown else 0.0,
            )
        )

    async def _segment(
        self,
        words: tuple[TimedWord, ...],
        language: str,
        recognised: StageTime,
        *,
        pause: bool,
        lull: bool = False,
        tentative: tuple[TimedWord, ...] = (),
    ) -> None:
        for clause in self._segmenter.add(words, language, pause=pause, lull=lull, tentative=tentative):
            await self._hand_on(Committed(clause, self._shared.clock.now_ms(), recognised))
