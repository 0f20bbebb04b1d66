"""A session: one speaking channel, wired from the gate to speech in every language somebody listens to.

    send() ─▶ gate ─▶ recognise ─▶ segment ─▶ translate (each language) ─▶ speak (each language) ─▶ events()

All stages run in one TaskGroup: when one ends with an error, all end, `End` says why, and nothing is left running.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from models.briefing import NO_BRIEFING, Briefing
from models.errors import TsuyakuError, UnavailableError
from models.protocols import (
    SAMPLE_RATE,
    Hypothesis,
    RecognitionRequest,
    Samples,
    SpeechDetector,
    TranslationRequest,
)
from models.scheduler import Done, Scheduler, Superseded
from pipeline.audio import Stretch, ms
from pipeline.budget import Backlog, BacklogConfig, Budgets, StepControl
from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.events import AnyEvent, End, Miss, Speech, StageTime, Trace, Translation, Voice, Words
from pipeline.gate import Gate, GateConfig, GateItem, Lull, Onset, Pause
from pipeline.language import LanguageChoice
from pipeline.recognise import RecogniseConfig, TimedWord, Update, Utterance
from pipeline.route import RouteConfig, Router, TextIdentifier
from pipeline.segment import Clause, SegmentConfig, Segmenter
from pipeline.speak import PhraseCutter, Playhead, phrases
from pipeline.translate import ClauseTranslation, TranslateConfig
from pipeline.turn import patience_s

AUTO = "auto"
NO_ENGINE = "none"  # of text that was not translated
SOON_S = 0.8  # speech that ends within it leaves time to prepare a few more words
CONTEXT_CLAUSES = 3  # pairs that a translator sees of what came before
PATIENT_MS = 2000.0  # for the first word of a translation where nobody waits
LEAST_STEP_S = 0.25  # of new audio, for a pass that a lull asks for
IDENTIFY_AFTER_S = 1.5  # of an utterance; shorter ones are identified when they end


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    text: str
    rate: float


@dataclass(frozen=True, slots=True)
class Voiced:
    """What a synthesiser made of a phrase."""

    samples: Samples
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Translated:
    text: str
    engine: str
    queue_s: float
    compute_s: float
    reason: str = ""
    """the code of what kept the engine that was chosen from answering"""
    without_ahead: str | None = None
    """the same without the request's look-ahead, from an engine that made both"""


class TranslationEngine:
    """What the translate stage awaits; `models` engines are wrapped by `app.engines`."""

    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        raise NotImplementedError

    def check(self, source: str, target: str) -> None:
        """Raise a `TsuyakuError` that names what is missing where the pair cannot be translated."""

    async def warm(self, source: str, target: str) -> None:
        """Load and run what the pair needs, so that the first words wait for nothing; raises what `check` raises."""
        self.check(source, target)
        await self.translate(TranslationRequest("Hello.", source, target, final=True), deadline=0.0, key=None)

    async def notes(self, source: str, targets: Iterable[str]) -> list[str]:
        """What a person should know before they begin, a sentence each."""
        return []


@dataclass(frozen=True, slots=True)
class Engines:
    """What all sessions of a process share."""

    detector: SpeechDetector
    recognizer: Scheduler[RecognitionRequest, Hypothesis]
    identify: Scheduler[Samples, dict[str, float]]
    translator: TranslationEngine
    voice: Callable[[str], Awaitable[Scheduler[SpeechRequest, Voiced]]]
    """the synthesiser of a language, loaded on first use; raises `TsuyakuError` where there is none"""
    identify_text: TextIdentifier | None = None
    """a second opinion on which of two languages is spoken"""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    source_language: str = AUTO
    candidates: tuple[str, ...] = ()
    """languages among which `auto` chooses; all where empty"""
    between: tuple[str, str] | None = None
    """two-way: each utterance is in one of these languages and is interpreted into the other; ends of turns are judged
    by what was said"""
    both_sides: bool = False
    """two-way: a language's captions also have what was said in it; nobody hears that again"""
    route: RouteConfig = field(default_factory=RouteConfig)
    captions: frozenset[str] = frozenset()
    voices: frozenset[str] = frozenset()
    live: bool = True
    budgets: Budgets = field(default_factory=Budgets)
    gate: GateConfig = field(default_factory=GateConfig)
    recognise: RecogniseConfig = field(default_factory=RecogniseConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    translate: TranslateConfig = field(default_factory=TranslateConfig)
    backlog: BacklogConfig = field(default_factory=BacklogConfig)
    briefing: Briefing = NO_BRIEFING
    capacity: int = 300
    """portions of audio that wait; live audio beyond it loses its oldest, a file's waits"""


@dataclass(frozen=True, slots=True)
class _Committed:
    """A clause on its way to the translators, with the pass that committed its last word."""

    clause: Clause
    committed_ms: float
    recognised: StageTime


@dataclass(slots=True)
class _Target:
    """One language that is listened to."""

    language: str
    clauses: Channel[_Committed]
    spoken: Channel[_ToSpeak]
    playhead: Playhead = field(default_factory=Playhead)


@dataclass(frozen=True, slots=True)
class _ToSpeak:
    item: _Committed
    text: str
    translated_ms: float
    translate: StageTime
    first: bool
    """nothing of the clause was handed on before"""
    last: bool
    """nothing of it follows"""


class Session:
    """Feed it with `send` and `finish`; read `events` to the end."""

    def __init__(self, engines: Engines, config: SessionConfig, clock: Clock | None = None) -> None:
        self._engines = engines
        self._config = config
        self._clock = clock or Clock(live=config.live)
        self._audio: Channel[Stretch] = Channel(config.capacity)
        self._gated: Channel[GateItem] = Channel(config.capacity if config.live else 40)
        self._out: Channel[AnyEvent] = Channel(1000)
        self._captions = config.captions
        self._voices = config.voices
        self._targets: dict[str, _Target] = {}
        self._group: asyncio.TaskGroup | None = None
        self._received = 0
        self._misses = 0
        self._segmenter = Segmenter(config.segment)
        self._pace = StepControl(config.recognise.step_s, config.recognise.longest_s)
        self._ending = False
        self._gate = Gate(engines.detector, config.gate)
        self._router = (
            Router(config.between, config.route, engines.identify_text) if config.between is not None else None
        )

    async def send(self, samples: Samples) -> None:
        """Take the next samples (mono, 16 kHz). Waits while a session that is not live has enough to do."""
        stretch = Stretch(self._received, np.asarray(samples, np.float32))
        self._received += len(samples)
        self._clock.reached(self._received)
        if not self._config.live:
            await self._audio.put(stretch)
        elif await self._audio.put_dropping_oldest(stretch):
            await self._miss("capture", "", -1, self._config.budgets.capture, 0, "oldest unheard audio dropped")

    @property
    def waiting(self) -> int:
        """Portions of audio that no stage has taken up yet."""
        return len(self._audio) + len(self._gated)

    async def finish(self) -> None:
        """The source has ended; `events` ends when all that was said has been worked through."""
        await self._audio.close()

    def set_targets(self, captions: frozenset[str], voices: frozenset[str]) -> None:
        """What is listened to from now on: languages to read, and of those or others, languages to hear."""
        self._captions, self._voices = captions, voices
        for language in captions | voices:
            self._start_target(language)

    def speaks(self, language: str) -> None:
        """Two-way: what is said from now on is in `language`; empty leaves the choice to what is heard."""
        if self._router is not None:
            self._router.forced = language

    async def events(self) -> AsyncIterator[AnyEvent]:
        """Everything that happens, `End` last. Leaving the iteration ends the session."""
        runner = asyncio.create_task(self._run())
        try:
            async for event in self._out:
                yield event
        finally:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)

    async def _run(self) -> None:
        reason, message = "end", ""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for language in self._captions | self._voices:
                    self._start_target(language)
                group.create_task(self._listen())
                group.create_task(self._recognise())
        except ExceptionGroup as group:
            reason, message = _reason(group)
        await self._emit(
            End(
                emitted_ms=self._clock.now_ms(),
                source_ms=ms(self._received),
                segments=self._segmenter.index,
                misses=self._misses,
                reason=reason,
                message=message,
            )
        )
        await self._out.close()

    async def _emit(self, event: AnyEvent) -> None:
        await self._out.put(event)

    async def _miss(self, stage: str, language: str, segment: int, budget: float, actual: float, action: str) -> None:
        self._misses += 1
        await self._emit(
            Miss(
                emitted_ms=self._clock.now_ms(),
                stage=stage,
                language=language,
                segment=segment,
                budget_ms=budget,
                actual_ms=actual,
                action=action,
            )
        )

    # gate

    async def _listen(self) -> None:
        gate = self._gate
        async for stretch in self._audio:
            for item in gate.process(stretch.samples):
                await self._pass_gate(item)
            await asyncio.sleep(0)
        for item in gate.finish():
            await self._pass_gate(item)
        await self._gated.close()

    async def _pass_gate(self, item: GateItem) -> None:
        if isinstance(item, Onset | Pause):
            active = isinstance(item, Onset)
            await self._emit(Voice(emitted_ms=self._clock.now_ms(), active=active, source_ms=ms(item.at)))
        await self._gated.put(item)

    # recognise and segment

    async def _recognise(self) -> None:
        if self._router is not None:
            await self._recognise_routed(self._router)
            return
        languages = LanguageChoice(self._config.source_language, self._config.candidates)
        prompt: tuple[int, ...] = ()
        while (item := await self._gated.get()) is not None:
            if isinstance(item, Onset):
                live = _LiveUtterance(Utterance(item.at, self._config.recognise, prompt))
                await self._follow(live, languages)
                prompt = live.utterance.prompt if not live.changed_language else ()
        await self._end_recognition(languages.current)

    async def _end_recognition(self, language: str) -> None:
        await self._hand_on((), language, StageTime(0, 0), pause=True)
        self._ending = True
        for target in self._targets.values():
            await target.clauses.close()

    async def _recognise_routed(self, router: Router) -> None:
        """Two-way: each utterance by the language that it turns out to be in, primed with what was said in it."""
        prompts: dict[str, tuple[int, ...]] = {}
        while (item := await self._gated.get()) is not None:
            if isinstance(item, Onset):
                router.begin(ms(item.at) / 1000)
                live = _LiveUtterance(Utterance(item.at, self._config.recognise))
                await self._follow_routed(live, router, prompts)
                router.end(ms(live.utterance.audio.end) / 1000)
                prompts[router.language] = live.utterance.prompt
        await self._end_recognition(router.language)

    async def _follow_routed(self, live: _LiveUtterance, router: Router, prompts: dict[str, tuple[int, ...]]) -> None:
        language = ""
        while not live.closed:
            await self._gather(live, self._pace.step_s)
            if not live.seconds or (live.seconds < router.config.first_s and not live.closed and not router.forced):
                continue
            if live.closed and live.settled:
                router.close()
            if language or (live.closed and live.settled):
                await self._advance(live, router.language)
                continue
            done = await self._weigh(live, router)
            if router.settled:
                language = router.language
                live.utterance.prime(prompts.get(language, ()))
            await self._heard(live, router.language, done, hold=not language)

    async def _weigh(self, live: _LiveUtterance, router: Router) -> Done[Hypothesis]:
        """Ask which language it is; the hypothesis of the likelier one."""
        if not router.forced:
            found = await self._engines.identify.submit(
                live.utterance.audio.samples.copy(), deadline=self._clock.deadline(500)
            )
            router.hear(found.result, live.seconds, closed=live.closed)
        if router.forced or router.plain:
            return await self._hypothesis(live, router.language)
        done = {code: await self._hypothesis(live, code) for code in router.between}
        router.read({code: one.result for code, one in done.items()})
        return done[router.language]

    async def _follow(self, live: _LiveUtterance, languages: LanguageChoice) -> None:
        """Recognise one utterance until the pause that ends it."""
        while not live.closed:
            await self._gather(live, self._pace.step_s)
            if languages.needs_identifying(live.identified) and (live.closed or live.seconds >= IDENTIFY_AFTER_S):
                found = await self._engines.identify.submit(
                    live.utterance.audio.samples.copy(), deadline=self._clock.deadline(500)
                )
                live.changed_language = languages.heard(found.result)
                live.identified = True
            if languages.current and live.seconds > 0:
                await self._advance(live, languages.current)

    async def _advance(self, live: _LiveUtterance, language: str) -> None:
        """The next pass, or none where the utterance ended after one that had heard it all."""
        if live.closed and live.settled:
            await self._take(live, live.utterance.close(), language, StageTime(0, 0))
        else:
            await self._pass(live, language)

    async def _gather(self, live: _LiveUtterance, step_s: float) -> None:
        """Wait for `step_s` of new audio, a lull or the pause, and take whatever more is there."""
        fresh = 0
        live.lull = False
        while not live.closed:
            enough = fresh >= step_s * SAMPLE_RATE or (live.lull and fresh >= LEAST_STEP_S * SAMPLE_RATE)
            item = await (self._gated.get_nowait() if enough else self._gated.get())
            if item is None:
                live.closed = live.closed or self._gated.closed
                return
            if isinstance(item, Stretch):
                live.utterance.append(item)
                fresh += len(item.samples)
                live.lull = False
                if fresh > self._config.recognise.longest_s * SAMPLE_RATE / 2:
                    return
            else:
                live.closed = isinstance(item, Pause)
                live.lull = isinstance(item, Lull)
                live.settled = live.settled and not live.lull

    async def _pass(self, live: _LiveUtterance, language: str) -> None:
        await self._heard(live, language, await self._hypothesis(live, language))

    async def _hypothesis(self, live: _LiveUtterance, language: str) -> Done[Hypothesis]:
        live.utterance.longest_s = self._pace.longest_s
        return await self._engines.recognizer.submit(
            self._briefed(live.utterance.request(language, closed=live.closed)),
            deadline=self._clock.deadline(self._config.budgets.recognise),
            key=None,
        )

    async def _heard(self, live: _LiveUtterance, language: str, done: Done[Hypothesis], *, hold: bool = False) -> None:
        """What a pass found; `hold` keeps all of it tentative."""
        end = live.utterance.audio.end
        update = live.utterance.apply(done.result, end, closed=live.closed, lull=live.lull, hold=hold)
        live.settled = live.lull
        time = _stage_time(done)
        await self._take(live, update, language, time)
        await self._judge_recognition(time)

    async def _take(self, live: _LiveUtterance, update: Update, language: str, time: StageTime) -> None:
        if update.committed or update.tentative or live.showed_tail:
            await self._emit_words(update.committed, update.tentative, language)
        live.showed_tail = bool(update.tentative)
        await self._hand_on(update.committed, language, time, pause=live.closed, tentative=update.tentative)
        if self._router is not None:
            self._gate.pause_s = patience_s(live.utterance.text, language)

    def _briefed(self, request: RecognitionRequest) -> RecognitionRequest:
        hotwords = self._config.briefing.glossary.hotwords(request.language)
        return replace(request, hotwords=hotwords) if hotwords else request

    async def _judge_recognition(self, time: StageTime) -> None:
        actual = time.queue_ms + time.compute_ms
        budget = self._config.budgets.recognise
        if self._config.live and actual > budget:
            await self._miss("recognise", "", self._segmenter.index, budget, actual, self._pace.missed())
        else:
            self._pace.met()

    async def _emit_words(
        self, committed: tuple[TimedWord, ...], tentative: tuple[TimedWord, ...], language: str
    ) -> None:
        shown = committed or tentative
        await self._emit(
            Words(
                emitted_ms=self._clock.now_ms(),
                language=language,
                committed="".join(word.text for word in committed),
                tentative="".join(word.text for word in tentative),
                source_start_ms=ms(shown[0].start) if shown else self._clock.now_ms(),
                source_end_ms=ms(shown[-1].end) if shown else self._clock.now_ms(),
                confidence=float(np.mean([word.probability for word in shown])) if shown else 0.0,
            )
        )

    async def _hand_on(
        self,
        words: tuple[TimedWord, ...],
        language: str,
        recognised: StageTime,
        *,
        pause: bool,
        tentative: tuple[TimedWord, ...] = (),
    ) -> None:
        for clause in self._segmenter.add(words, language, pause=pause, tentative=tentative):
            item = _Committed(clause, self._clock.now_ms(), recognised)
            for target in list(self._targets.values()):
                if self._router is None or self._config.both_sides or target.language != clause.language:
                    await target.clauses.put(item)

    # translate

    def _start_target(self, language: str) -> None:
        if language in self._targets or self._group is None or self._ending:
            return
        target = _Target(language, Channel(200 if self._config.live else 12), Channel(200))
        self._targets[language] = target
        self._group.create_task(self._translate(target))
        self._group.create_task(self._speak(target))

    async def _translate(self, target: _Target) -> None:
        translation: ClauseTranslation | None = None
        cutter, begun = PhraseCutter(), False
        index = -1
        context: list[tuple[str, str]] = []
        spoken_any = superseded = False
        while (item := await self._latest(target)) is not None:
            if target.language not in self._captions | self._voices:
                continue
            clause = item.clause
            if self._config.translate.whole_clauses and not clause.closed:
                continue
            if clause.index != index or translation is None:
                translation, index = ClauseTranslation(self._config.translate), clause.index
                cutter, begun = PhraseCutter(), False
            try:
                patient = clause.closed or superseded
                answer = await self._newest_answer(target, item, translation.committed, tuple(context), patient)
                superseded = False
            except Superseded:
                superseded = True
                continue
            except UnavailableError as error:
                if error.code == "pair-missing":
                    raise
                await self._untranslated(target.language, clause, error.code)
                continue
            step = (
                translation.close(answer.text)
                if clause.closed or answer.engine == NO_ENGINE
                else translation.update(answer.text, clause.text, answer.without_ahead)
            )
            now = self._clock.now_ms()
            space = _space(target.language, spoken_any and translation.committed == step.committed)
            if step.committed:
                spoken_any = True
            await self._emit_translation(target.language, clause, step.committed, step.tentative, space, answer.engine)
            if clause.closed:
                context = [*context, (clause.text, translation.committed)][-CONTEXT_CLAUSES:]
            silent = self._config.live and not len(target.spoken) and target.playhead.behind_s(now) <= SOON_S
            phrase = cutter.add(step.committed, final=clause.closed, silent=silent)
            if phrase or clause.closed:
                time = StageTime(answer.queue_s * 1000, answer.compute_s * 1000)
                await self._settle(target, _ToSpeak(item, phrase, now, time, not begun, clause.closed))
                begun = True
        await target.spoken.close()

    async def _untranslated(self, language: str, clause: Clause, code: str) -> None:
        """An engine failed: the session goes on, the clause closes with what is committed of it."""
        await self._miss("translate", language, clause.index, self._config.budgets.translate, 0, code)
        if clause.closed:
            await self._emit_translation(language, clause, "", "", "", NO_ENGINE)

    async def _latest(self, target: _Target) -> _Committed | None:
        """The next clause; of an open one only the newest state, where a newer one waits already."""
        item = await target.clauses.get()
        while item is not None and not item.clause.closed and len(target.clauses):
            item = await target.clauses.get()
        return item

    async def _newest_answer(
        self,
        target: _Target,
        item: _Committed,
        committed: str,
        context: tuple[tuple[str, str], ...],
        patient: bool,
    ) -> Translated:
        """Unless `patient`, raises `Superseded` and cancels the request as soon as newer source waits: its answer would
        be replaced at once. Never twice in a row, so that an engine slower than the speaker still shows something."""
        if patient:
            return await self._answer(target, item, committed, context)
        answer = asyncio.create_task(self._answer(target, item, committed, context))
        newer = asyncio.create_task(target.clauses.wait())
        try:
            await asyncio.wait({answer, newer}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and len(target.clauses):
                raise Superseded
            return await answer
        finally:
            answer.cancel()
            newer.cancel()
            await asyncio.gather(answer, newer, return_exceptions=True)

    async def _answer(
        self, target: _Target, item: _Committed, committed: str, context: tuple[tuple[str, str], ...]
    ) -> Translated:
        clause = item.clause
        if clause.language == target.language:
            return Translated(clause.text, NO_ENGINE, 0.0, 0.0)
        self._engines.translator.check(clause.language, target.language)
        budget = self._config.budgets.translate
        answer = await self._engines.translator.translate(
            TranslationRequest(
                clause.text,
                clause.language,
                target.language,
                committed,
                clause.closed,
                context,
                self._config.briefing,
                clause.ahead,
            ),
            deadline=self._clock.deadline(budget if self._config.live else PATIENT_MS),
            key=(id(self), target.language, clause.index),
        )
        actual = (answer.queue_s + answer.compute_s) * 1000
        if answer.reason:
            await self._miss("translate", target.language, clause.index, budget, actual, answer.reason)
        elif self._config.live and actual > budget:
            await self._miss("translate", target.language, clause.index, budget, actual, "open clauses coalesced")
        return answer

    async def _emit_translation(
        self, language: str, clause: Clause, committed: str, tentative: str, space: str, engine: str
    ) -> None:
        await self._emit(
            Translation(
                emitted_ms=self._clock.now_ms(),
                language=language,
                segment=clause.index,
                committed=space + committed if committed else "",
                tentative=tentative if committed else space + tentative,
                final=clause.closed,
                source_start_ms=ms(clause.start),
                source_end_ms=ms(clause.end),
                engine=engine,
            )
        )

    async def _settle(self, target: _Target, ready: _ToSpeak) -> None:
        repeated = self._router is not None and ready.item.clause.language == target.language
        if target.language in self._voices and not repeated:
            await target.spoken.put(ready)
        elif ready.last:
            await self._trace(target.language, ready, None, None)

    # speak

    async def _speak(self, target: _Target) -> None:
        playhead = target.playhead
        backlog = Backlog(self._config.backlog)
        dropping = False
        while (item := await target.spoken.get()) is not None:
            behind = playhead.behind_s(self._clock.now_ms()) if self._config.live else 0.0
            if item.first:
                dropping = item.last and backlog.drops(behind, len(target.spoken))
            if dropping:
                await self._drop_speech(target.language, item)
                continue
            try:
                await self._voice(target, item, playhead, backlog.rate(behind))
            except TsuyakuError as error:
                segment = item.item.clause.index
                await self._miss("speak", target.language, segment, self._config.budgets.speak, 0, error.code)
                await self._drop_speech(target.language, item)

    async def _voice(self, target: _Target, item: _ToSpeak, playhead: Playhead, rate: float) -> None:
        synthesizer = await self._engines.voice(target.language)
        pieces = phrases(item.text)
        first: tuple[float, StageTime] | None = None
        for number, phrase in enumerate(pieces):
            done = await synthesizer.submit(
                SpeechRequest(phrase, rate), deadline=self._clock.deadline(self._config.budgets.speak)
            )
            now = self._clock.now_ms()
            earliest = now if self._config.live else max(now, ms(item.item.clause.end))
            begin = await self._emit_speech(
                target.language,
                item,
                phrase,
                done.result,
                playhead,
                earliest,
                rate,
                last=item.last and number == len(pieces) - 1,
            )
            first = first or (begin, _stage_time(done))
        spoken_ms, time = first or (None, None)
        if item.last:
            await self._trace(target.language, item, spoken_ms, time)
        if time is not None:
            await self._judge_speech(target.language, item.item.clause.index, time)

    async def _judge_speech(self, language: str, segment: int, time: StageTime) -> None:
        actual, budget = time.queue_ms + time.compute_ms, self._config.budgets.speak
        if self._config.live and actual > budget:
            await self._miss("speak", language, segment, budget, actual, "rate follows the backlog")

    async def _emit_speech(
        self,
        language: str,
        item: _ToSpeak,
        phrase: str,
        voiced: Voiced,
        playhead: Playhead,
        earliest_ms: float,
        rate: float,
        *,
        last: bool,
    ) -> float:
        duration = len(voiced.samples) * 1000 / voiced.sample_rate
        begin = playhead.place(earliest_ms, duration)
        pcm = (np.clip(voiced.samples, -1, 1) * 32767).astype("<i2").tobytes()
        clause = item.item.clause
        await self._emit(
            Speech(
                emitted_ms=self._clock.now_ms(),
                language=language,
                segment=clause.index,
                text=phrase,
                sample_rate=voiced.sample_rate,
                duration_ms=duration,
                play_ms=begin,
                rate=rate,
                last=last,
                dropped=False,
                source_start_ms=ms(clause.start),
                source_end_ms=ms(clause.end),
                pcm=pcm,
            )
        )
        return begin

    async def _drop_speech(self, language: str, item: _ToSpeak) -> None:
        clause = item.item.clause
        now = self._clock.now_ms()
        await self._emit(
            Speech(
                emitted_ms=now,
                language=language,
                segment=clause.index,
                text=item.text,
                sample_rate=SAMPLE_RATE,
                duration_ms=0,
                play_ms=now,
                rate=1,
                last=True,
                dropped=True,
                source_start_ms=ms(clause.start),
                source_end_ms=ms(clause.end),
            )
        )
        if item.last:
            await self._trace(language, item, None, None)

    async def _trace(self, language: str, item: _ToSpeak, spoken_ms: float | None, speak: StageTime | None) -> None:
        clause = item.item.clause
        stages = {"recognise": item.item.recognised, "translate": item.translate}
        if speak is not None:
            stages["speak"] = speak
        captured = ms(clause.end)
        total = item.translated_ms - captured
        known = sum(stages[name].queue_ms + stages[name].compute_ms for name in ("recognise", "translate"))
        await self._emit(
            Trace(
                emitted_ms=self._clock.now_ms(),
                language=language,
                segment=clause.index,
                source_start_ms=ms(clause.start),
                captured_ms=captured,
                committed_ms=item.item.committed_ms,
                translated_ms=item.translated_ms,
                spoken_ms=spoken_ms,
                stages=stages,
                unaccounted_ms=total - known,
                end_to_end_ms=total,
            )
        )


@dataclass(slots=True)
class _LiveUtterance:
    utterance: Utterance
    closed: bool = False
    identified: bool = False
    changed_language: bool = False
    showed_tail: bool = False
    lull: bool = False
    """the audio taken so far ends in one"""
    settled: bool = False
    """the last pass heard all speech so far: every later sound is followed by another lull"""

    @property
    def seconds(self) -> float:
        return len(self.utterance.audio.samples) / SAMPLE_RATE


def _stage_time(done: Done[Any]) -> StageTime:
    return StageTime(done.queue_s * 1000, done.compute_s * 1000)


def _space(language: str, follows: bool) -> str:
    return " " if follows and language.split("-")[0] not in {"ja", "zh", "th", "km", "lo", "my"} else ""


def _reason(group: BaseException) -> tuple[str, str]:
    """Code and sentence of the first failure in a group. An unexpected one is named by its type: texts stay private."""
    error: Any = group
    while isinstance(error, BaseExceptionGroup):
        error = cast("Any", error).exceptions[0]
    if isinstance(error, TsuyakuError):
        return error.code, error.message
    return "internal", f"The session ended because of an unexpected {type(error).__name__}; please report it."
