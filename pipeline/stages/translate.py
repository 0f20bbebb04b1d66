"""Clauses into one language that is listened to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from models.errors import TsuyakuError
from models.protocols import TranslationRequest
from models.scheduler import Superseded
from pipeline.audio import ms
from pipeline.channel import Channel
from pipeline.engines import NO_ENGINE, Translated
from pipeline.events import StageTime, Translation
from pipeline.segment import Clause
from pipeline.speak import PhraseCutter, Playhead
from pipeline.stages.shared import Committed, Phrase, Shared
from pipeline.stages.trace import emit_trace
from pipeline.translate import ClauseTranslation, Step

SOON_S = 1.0  # speech that ends within it leaves time to prepare a few more words
CONTEXT_CLAUSES = 3  # pairs that a translator sees of what came before
PATIENT_MS = 2000.0  # for the first word of a translation where nobody waits
LACKING = frozenset({"pair-missing", "model-corrupt"})
"""errors of which nothing else would tell: without them the session is translated as if nothing were wrong"""
UNSPACED_LANGUAGES = frozenset({"ja", "zh", "th", "km", "lo", "my"})


@dataclass(slots=True)
class _Open:
    """A clause that is not closed yet."""

    index: int
    translation: ClauseTranslation
    cutter: PhraseCutter = field(default_factory=PhraseCutter)
    begun: bool = False
    """something of it was handed on"""


class TranslationTo:
    """Clauses in, captions out; what is committed goes on to the voice where somebody hears it."""

    def __init__(
        self, shared: Shared, language: str, clauses: Channel[Committed], phrases: Channel[Phrase], playhead: Playhead
    ) -> None:
        self._shared = shared
        self._language = language
        self._clauses = clauses
        self._phrases = phrases
        self._playhead = playhead
        self._spaced = language.split("-")[0] not in UNSPACED_LANGUAGES
        self._committed_any = False
        self._context: tuple[tuple[str, str], ...] = ()

    async def run(self) -> None:
        """Until the channel of clauses ends; that of phrases ends with it."""
        open_: _Open | None = None
        superseded = False
        while (item := await self._latest()) is not None:
            clause = item.clause
            if not self._wanted(clause):
                continue
            if open_ is None or clause.index != open_.index:
                open_ = _Open(clause.index, ClauseTranslation(self._shared.config.translate))
            try:
                patient = clause.closed or superseded
                answer = await self._newest_answer(item, open_.translation.committed, patient)
                superseded = False
            except Superseded:
                superseded = True
                continue
            except TsuyakuError as error:
                await self._untranslated(clause, error)
                continue
            await self._answered(item, open_, answer)
        await self._phrases.close()

    def _wanted(self, clause: Clause) -> bool:
        listened = self._language in self._shared.captions | self._shared.voices
        return listened and (clause.closed or not self._shared.config.translate.whole_clauses)

    async def _answered(self, item: Committed, open_: _Open, answer: Translated) -> None:
        clause = item.clause
        step = (
            open_.translation.close(answer.text)
            if clause.closed or answer.engine == NO_ENGINE
            else open_.translation.update(answer.text, clause.text, answer.without_ahead, clause.ahead, answer.pieces)
        )
        now = self._shared.clock.now_ms()
        begins = open_.translation.committed == step.committed
        space = " " if self._spaced and self._committed_any and begins else ""
        self._committed_any = self._committed_any or bool(step.committed)
        await self._emit(clause, step, space, answer.engine)
        if clause.closed:
            self._context = (*self._context, (clause.text, open_.translation.committed))[-CONTEXT_CLAUSES:]
        phrase = open_.cutter.add(
            step.committed, final=clause.closed, silent=self._silent(now), patient=self._shared.patient_voice
        )
        if phrase or clause.closed:
            time = StageTime(answer.queue_s * 1000, answer.compute_s * 1000)
            await self._hand_on(Phrase(item, phrase, now, time, not open_.begun, clause.closed))
            open_.begun = True

    def _silent(self, now_ms: float) -> bool:
        """Nothing is being said, or only its last words."""
        return self._shared.config.live and not len(self._phrases) and self._playhead.behind_s(now_ms) <= SOON_S

    async def _hand_on(self, phrase: Phrase) -> None:
        config = self._shared.config
        heard_already = not config.speaks_source and phrase.item.clause.language == self._language
        if self._language in self._shared.voices and not heard_already:
            await self._phrases.put(phrase)
        elif phrase.last:
            await emit_trace(self._shared, self._language, phrase)

    async def _untranslated(self, clause: Clause, error: TsuyakuError) -> None:
        """An engine failed, or the speaker changed to a language that it does not know: the session goes on, the clause
        closes with what is committed of it."""
        budget = self._shared.config.budgets.translate
        if error.code in LACKING:
            self._shared.shortcoming = self._shared.shortcoming or error
        await self._shared.miss("translate", self._language, clause.index, budget, 0, error.code)
        if clause.closed:
            await self._emit(clause, Step("", ""), "", NO_ENGINE)

    async def _latest(self) -> Committed | None:
        """The next clause; of an open one only the newest state, where a newer one waits already."""
        item = await self._clauses.get()
        while item is not None and not item.clause.closed and len(self._clauses):
            item = await self._clauses.get()
        return item

    async def _newest_answer(self, item: Committed, committed: str, patient: bool) -> Translated:
        """Unless `patient`, raises `Superseded` and cancels the request as soon as newer source waits: its answer would
        be replaced at once. Never twice in a row, so that an engine slower than the speaker still shows something."""
        if patient:
            return await self._answer(item, committed)
        answer = asyncio.create_task(self._answer(item, committed))
        newer = asyncio.create_task(self._clauses.wait())
        try:
            await asyncio.wait({answer, newer}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and len(self._clauses):
                raise Superseded
            return await answer
        finally:
            answer.cancel()
            newer.cancel()
            await asyncio.gather(answer, newer, return_exceptions=True)

    async def _answer(self, item: Committed, committed: str) -> Translated:
        clause, shared = item.clause, self._shared
        if clause.language == self._language:
            return Translated(clause.text, NO_ENGINE, 0.0, 0.0)
        shared.engines.translator.check(clause.language, self._language)
        answer = await shared.engines.translator.translate(
            TranslationRequest(
                clause.text,
                clause.language,
                self._language,
                committed,
                clause.closed,
                self._context,
                shared.config.briefing,
                clause.ahead,
            ),
            deadline=shared.clock.deadline(shared.config.budgets.translate if shared.config.live else PATIENT_MS),
            key=(id(shared), self._language, clause.index),
        )
        await self._judge(clause, answer)
        return answer

    async def _judge(self, clause: Clause, answer: Translated) -> None:
        budget, live = self._shared.config.budgets.translate, self._shared.config.live
        actual = (answer.queue_s + answer.compute_s) * 1000
        if answer.reason:
            await self._shared.miss("translate", self._language, clause.index, budget, actual, answer.reason)
        elif live and actual > budget:
            await self._shared.miss("translate", self._language, clause.index, budget, actual, "open clauses coalesced")

    async def _emit(self, clause: Clause, step: Step, space: str, engine: str) -> None:
        await self._shared.emit(
            Translation(
                emitted_ms=self._shared.clock.now_ms(),
                language=self._language,
                segment=clause.index,
                committed=space + step.committed if step.committed else "",
                tentative=step.tentative if step.committed else space + step.tentative,
                final=clause.closed,
                source_start_ms=ms(clause.start),
                source_end_ms=ms(clause.end),
                engine=engine,
            )
        )
