"""A session on engines made for tests: what flows, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from models.briefing import Briefing
from models.errors import InputError, UnavailableError
from models.glossary import Glossary, Term
from models.protocols import (
    SAMPLE_RATE,
    Hypothesis,
    RecognitionRequest,
    Samples,
    SpeechPart,
    TranslationRequest,
    Word,
)
from models.scheduler import Done, Scheduler
from pipeline.audio import Stretch
from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.config import SessionConfig
from pipeline.engines import Engines, SpeechRequest, Translated, TranslationEngine, Voiced
from pipeline.events import AnyEvent, End, Miss, Speech, StageTime, Trace, Translation, Voice, Words
from pipeline.gate import Gate, GateItem
from pipeline.segment import Clause
from pipeline.session import Session
from pipeline.speak import Playhead
from pipeline.stages.listen import listen
from pipeline.stages.shared import Committed, Phrase, Shared
from pipeline.stages.speak import SpeechIn
from pipeline.stages.translate import TranslationTo

from .test_stages import LoudnessDetector, sound


def recognise(batch: Sequence[RecognitionRequest]) -> list[Hypothesis]:
    """One word for each second of audio, a stop where the audio ends in silence."""
    return [_heard(request) for request in batch]


def _heard(request: RecognitionRequest) -> Hypothesis:
    count = len(request.audio) // SAMPLE_RATE
    words = [Word(f" word{n}", n, n + 0.8, 0.9, (n,)) for n in range(len(request.prefix), count)]
    ended = request.closed or not request.audio[-1600:].any()
    stop = [Word(".", count, count, 0.9, (99,))] if ended and count and 99 not in request.prefix else []
    return Hypothesis((*words, *stop), 0.0, -0.1)


class Upper(TranslationEngine):
    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        return Translated(request.source.upper(), "upper", 0.0, 0.0)


class Missing(Upper):
    def check(self, source: str, target: str) -> None:
        raise UnavailableError("pair-missing", "No model.")


@dataclass
class Rig:
    translator: TranslationEngine = field(default_factory=Upper)

    def engines(self) -> Engines:
        async def voice(language: str) -> Scheduler[SpeechRequest, Voiced]:
            return Scheduler("speak", self._voice)

        recognizer = Scheduler[RecognitionRequest, Hypothesis]("recognise", lambda: recognise)
        identify = Scheduler[Samples, dict[str, float]]("identify", lambda: lambda b: [{"en": 1.0} for _ in b])
        return Engines(LoudnessDetector(), recognizer, identify, self.translator, voice)

    def _voice(self) -> Callable[[Sequence[SpeechRequest]], Sequence[Voiced]]:
        return lambda batch: [Voiced(np.zeros(1600, np.float32), 16000) for _ in batch]

    async def run(self, config: SessionConfig, portions: Sequence[Samples]) -> list[AnyEvent]:
        session = Session(self.engines(), config)
        return [event async for event in _fed(session, portions)]


async def _fed(session: Session, portions: Sequence[Samples]) -> AsyncIterator[AnyEvent]:
    async def feed() -> None:
        for portion in portions:
            await session.send(portion)
        await session.finish()

    feeder = asyncio.create_task(feed())
    async for event in session.events():
        yield event
    await feeder


CONFIG = SessionConfig(source_language="en", captions=frozenset({"pt", "es"}), voices=frozenset({"pt"}), live=False)
SPEECH = [sound(0.5, False), sound(3, True), sound(2, False), sound(2, True)]


def final(events: list[AnyEvent], language: str) -> str:
    return "".join(e.committed for e in events if isinstance(e, Translation) and e.language == language)


async def test_speech_becomes_words_translations_and_speech() -> None:
    events = await Rig().run(CONFIG, SPEECH)
    source = "".join(e.committed for e in events if isinstance(e, Words)).strip()
    assert source.count(".") == 2
    assert final(events, "pt") == final(events, "es") == source.upper()
    assert {e.language for e in events if isinstance(e, Speech)} == {"pt"}
    assert isinstance(events[-1], End)
    assert events[-1].reason == "end"


async def test_a_phrase_in_parts_is_one_text_and_ends_once() -> None:
    def begin(request: SpeechRequest) -> Voiced:
        parts = request.begun or (SpeechPart(np.zeros(1600, np.float32), more) for more in (True, True, False))
        part = next(parts)
        return Voiced(part.samples, 16000, rest=replace(request, begun=parts) if part.more else None)

    async def voice(language: str) -> Scheduler[SpeechRequest, Voiced]:
        return Scheduler("speak", lambda: lambda batch: [begin(request) for request in batch])

    whole = [e for e in await Rig().run(CONFIG, SPEECH) if isinstance(e, Speech)]
    session = Session(replace(Rig().engines(), voice=voice), CONFIG)
    parts = [e async for e in _fed(session, SPEECH) if isinstance(e, Speech)]
    assert len(parts) == 3 * len(whole)
    assert [e.text for e in parts[::3]] == [e.text for e in whole]
    assert not any(e.text for n, e in enumerate(parts) if n % 3)
    assert [e.last for e in parts[2::3]] == [e.last for e in whole]
    assert not any(e.last for n, e in enumerate(parts) if n % 3 != 2)
    ends = [e.play_ms + e.duration_ms for e in parts]
    assert all(parts[n + 1].play_ms >= ends[n] for n in range(len(parts) - 1))


async def test_silence_makes_no_event_but_the_end() -> None:
    events = await Rig().run(CONFIG, [sound(20, False)])
    assert [type(event) for event in events] == [End]


async def test_each_segment_is_final_once_in_each_language() -> None:
    events = await Rig().run(CONFIG, SPEECH)
    finals = [(e.language, e.segment) for e in events if isinstance(e, Translation) and e.final]
    assert sorted(finals) == [("es", 0), ("es", 1), ("pt", 0), ("pt", 1)]


async def test_trace_adds_up_to_the_end_to_end_time() -> None:
    events = await Rig().run(CONFIG, SPEECH)
    traces = [e for e in events if isinstance(e, Trace)]
    assert len(traces) == 4
    for trace in traces:
        known = sum(trace.stages[s].queue_ms + trace.stages[s].compute_ms for s in ("recognise", "translate"))
        assert abs(known + trace.unaccounted_ms - trace.end_to_end_ms) < 1e-6
        assert trace.captured_ms <= trace.committed_ms <= trace.translated_ms


async def test_speech_of_one_language_never_overlaps_itself() -> None:
    events = await Rig().run(CONFIG, SPEECH)
    spoken = [e for e in events if isinstance(e, Speech)]
    for before, after in itertools.pairwise(spoken):
        assert after.play_ms >= before.play_ms + before.duration_ms


async def test_failure_of_a_stage_ends_the_session_with_its_code() -> None:
    events = await Rig(Missing()).run(CONFIG, SPEECH)
    assert isinstance(events[-1], End)
    assert events[-1].reason == "pair-missing"


async def test_change_of_language_begins_anew() -> None:
    heard: list[RecognitionRequest] = []

    def listening(batch: Sequence[RecognitionRequest]) -> list[Hypothesis]:
        heard.extend(batch)
        return recognise(batch)

    spoken = iter(["en", "pt"])
    identify = Scheduler[Samples, dict[str, float]]("identify", lambda: lambda b: [{next(spoken): 1.0} for _ in b])
    engines = replace(Rig().engines(), identify=identify, recognizer=Scheduler("recognise", lambda: listening))
    session = Session(engines, replace(CONFIG, source_language="auto"))
    events = [event async for event in _fed(session, SPEECH)]
    committed = [(e.language, e.source_start_ms) for e in events if isinstance(e, Words) and e.committed]
    assert {language for language, start in committed if start >= 5000} == {"pt"}
    assert {language for language, start in committed if start < 5000} == {"en"}
    assert all(request.prompt == () for request in heard if request.language == "pt")


class NoSpanish(Upper):
    def check(self, source: str, target: str) -> None:
        if source == "es":
            raise UnavailableError("pair-missing", "No model from Spanish.")


async def test_change_to_a_language_without_a_model_does_not_end_the_session() -> None:
    spoken = iter(["en", "es", "en"])
    identify = Scheduler[Samples, dict[str, float]]("identify", lambda: lambda b: [{next(spoken): 1.0} for _ in b])
    session = Session(replace(Rig(NoSpanish()).engines(), identify=identify), replace(CONFIG, source_language="auto"))
    events = [event async for event in _fed(session, [*SPEECH, sound(2, False), sound(3, True)])]
    heard = [
        "".join(e.committed for e in events if isinstance(e, Words) and e.language == code) for code in ("en", "es")
    ]
    assert all(heard)
    assert final(events, "pt") == heard[0].strip().upper()
    assert {e.action for e in events if isinstance(e, Miss)} == {"pair-missing"}
    assert isinstance(events[-1], End)
    assert (events[-1].reason, events[-1].message) == ("pair-missing", "No model from Spanish.")


class NotCatalogued(Upper):
    """What `app.translation` raises for a language of which there is no model at all."""

    def check(self, source: str, target: str) -> None:
        if source == "cy":
            raise InputError("pair-missing", "There is no model from Welsh.")


@pytest.mark.parametrize("order", [["en", "cy", "en"], ["cy", "en", "en"]])
async def test_language_without_any_model_ends_no_session_wherever_it_comes(order: list[str]) -> None:
    spoken = iter(order)
    identify = Scheduler[Samples, dict[str, float]]("identify", lambda: lambda b: [{next(spoken): 1.0} for _ in b])
    session = Session(
        replace(Rig(NotCatalogued()).engines(), identify=identify), replace(CONFIG, source_language="auto")
    )
    events = [event async for event in _fed(session, [*SPEECH, sound(2, False), sound(3, True)])]
    english = "".join(e.committed for e in events if isinstance(e, Words) and e.language == "en")
    assert english
    assert final(events, "pt") == english.strip().upper()
    assert isinstance(events[-1], End)
    assert events[-1].reason == "pair-missing"


async def test_audio_that_was_dropped_unheard_shifts_no_time() -> None:
    """Twelve seconds arrive at once where three portions may wait; speech is only in the last two."""
    session = Session(Rig().engines(), replace(CONFIG, live=True, capacity=3))
    portions = [sound(1, False) for _ in range(10)] + [sound(1, True) for _ in range(2)]
    for portion in portions:
        await session.send(portion)
    await session.finish()
    events = [event async for event in session.events()]
    assert any(isinstance(e, Miss) and e.stage == "capture" for e in events)
    onset = next(e for e in events if isinstance(e, Voice) and e.active)
    assert 9_500 < onset.source_ms < 10_500


@pytest.mark.parametrize(
    ("patient", "spoken"),
    [(False, ["one two", "three four five six", "and seven."]), (True, ["one two three four five six", "and seven."])],
)
async def test_few_words_are_spoken_in_a_silence_and_more_by_a_patient_voice(patient: bool, spoken: list[str]) -> None:
    shared = Shared(Rig().engines(), replace(CONFIG, live=True, patient_voice=patient), Clock(live=True))
    shared.captions = shared.voices = frozenset({"en"})
    clauses, phrases, playhead = Channel[Committed](20), Channel[Phrase](20), Playhead()
    translation = asyncio.create_task(TranslationTo(shared, "en", clauses, phrases, playhead).run())
    handed_on: list[str] = []
    for text in ("one two", "one two three four five six", "one two three four five six and seven."):
        clause = Clause(0, "en", text, 0, SAMPLE_RATE, closed=text.endswith("."))
        await clauses.put(Committed(clause, 0.0, StageTime(0, 0)))
        await asyncio.sleep(0.02)
        while (phrase := await phrases.get_nowait()) is not None:
            handed_on.append(phrase.text)
    await clauses.close()
    await translation
    assert handed_on == spoken


async def test_clause_of_several_phrases_is_left_unspoken_where_speech_is_far_behind() -> None:
    """Its later phrases with it; each clause that is dropped is a miss."""
    shared = Shared(Rig().engines(), replace(CONFIG, live=True), Clock(live=True))
    waiting, playhead = Channel[Phrase](20), Playhead(at_ms=60_000)
    clause = Clause(0, "en", "A clause.", 0, SAMPLE_RATE, closed=True)
    time = StageTime(0, 0)
    for number in range(2):
        item = Committed(replace(clause, index=number), 0.0, time)
        await waiting.put(Phrase(item, "Uma parte,", 0.0, time, first=True, last=False))
        await waiting.put(Phrase(item, "e outra.", 0.0, time, first=False, last=True))
    await waiting.close()
    await SpeechIn(shared, "pt", waiting, playhead).run()
    await shared.out.close()
    events = [event async for event in shared.out]
    spoken = [(e.segment, e.dropped, e.last) for e in events if isinstance(e, Speech)]
    assert spoken == [(0, True, False), (0, True, True), (1, False, False), (1, False, True)]
    assert [(e.segment, e.action) for e in events if isinstance(e, Miss)] == [(0, "oldest clause left unspoken")]
    first, second = (e.spoken_ms for e in events if isinstance(e, Trace))
    assert first is None
    assert second == next(e.play_ms for e in events if isinstance(e, Speech) and not e.dropped)


class SlowToStart(Scheduler[SpeechRequest, Voiced]):
    """Its work takes `seconds` as it tells it, and no time."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name, lambda: lambda batch: [Voiced(np.zeros(1600, np.float32), 16000) for _ in batch])
        self.seconds = seconds
        self.said: list[str] = []

    async def submit(self, request: SpeechRequest, *, deadline: float, key: Hashable | None = None) -> Done[Voiced]:
        self.said.append(request.text)
        return Done(Voiced(np.zeros(1600, np.float32), 16000), 0.0, self.seconds)


@pytest.mark.parametrize("has_faster", [True, False])
async def test_voice_that_is_late_clause_after_clause_leaves_the_next_ones_to_a_faster_one(has_faster: bool) -> None:
    slow, fast = SlowToStart("slow", 0.5), SlowToStart("fast", 0.01)

    async def voice(_language: str) -> Scheduler[SpeechRequest, Voiced]:
        return slow

    async def faster(_language: str) -> Scheduler[SpeechRequest, Voiced] | None:
        return fast if has_faster else None

    engines = replace(Rig().engines(), voice=voice, faster_voice=faster)
    shared = Shared(engines, replace(CONFIG, live=True), Clock(live=True))
    waiting, time = Channel[Phrase](20), StageTime(0, 0)
    for number in range(4):
        item = Committed(Clause(number, "en", "A clause.", 0, SAMPLE_RATE, closed=True), 0.0, time)
        await waiting.put(Phrase(item, f"Parte {number}.", 0.0, time, first=True, last=True))
    await waiting.close()
    await SpeechIn(shared, "pt", waiting, Playhead()).run()
    await shared.out.close()
    events = [event async for event in shared.out]
    assert fast.said == (["Parte 2.", "Parte 3."] if has_faster else [])
    assert sorted(slow.said + fast.said) == [f"Parte {number}." for number in range(4)]
    late = "rate follows the backlog"
    expected = [late, "faster voice"] if has_faster else [late] * 4
    assert [e.action for e in events if isinstance(e, Miss) and e.stage == "speak"] == expected


class SlowPasses(Scheduler[RecognitionRequest, Hypothesis]):
    """Every pass takes 1.4 s as it tells it, and no time."""

    async def submit(
        self, request: RecognitionRequest, *, deadline: float, key: Hashable | None = None
    ) -> Done[Hypothesis]:
        return Done(_heard(request), 0.2, 1.2)


class SlowToAnswer(Upper):
    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        return Translated(request.source.upper(), "upper", 0.1, 0.3)


@pytest.mark.parametrize("live", [True, False])
async def test_slow_engines_are_misses_that_say_what_is_done_and_lose_nothing(live: bool) -> None:
    """A file waits for its engines and misses nothing."""
    engines = replace(Rig(SlowToAnswer()).engines(), recognizer=SlowPasses("recognise", lambda: recognise))
    session = Session(engines, replace(CONFIG, live=live))
    events = [event async for event in _fed(session, [sound(0.5, False), *[sound(1, True)] * 12, sound(2, False)])]
    misses = [e for e in events if isinstance(e, Miss)]
    assert final(events, "pt") == "".join(e.committed for e in events if isinstance(e, Words)).strip().upper()
    assert len(final(events, "pt").split()) >= 11
    if not live:
        assert misses == []
        return
    passes = [e for e in misses if e.stage == "recognise"]
    assert passes[0].action == "step widened to 0.9 s"
    assert all((e.budget_ms, e.actual_ms) == (1000, pytest.approx(1400)) for e in passes)
    late = [e for e in misses if e.stage == "translate"]
    assert {e.language for e in late} == {"pt", "es"}
    assert all((e.budget_ms, e.actual_ms) == (250, pytest.approx(400)) for e in late)
    end = events[-1]
    assert isinstance(end, End)
    assert end.misses == len(misses)


async def test_live_audio_that_is_heard_late_is_a_miss_said_once() -> None:
    """The source is 3 s behind the clock from the second portion on, as after a stall."""
    now = 100.0
    shared = Shared(Rig().engines(), replace(CONFIG, live=True), Clock(live=True, now=lambda: now))
    audio, gated = Channel[Stretch](20), Channel[GateItem](100)
    shared.clock.reached(SAMPLE_RATE)
    await audio.put(Stretch(0, sound(1, False)))
    now += 3
    for number in range(1, 4):
        await audio.put(Stretch(number * SAMPLE_RATE, sound(1, False)))
    await audio.close()
    await listen(shared, Gate(LoudnessDetector(), shared.config.gate), audio, gated)
    await shared.out.close()
    misses = [event async for event in shared.out if isinstance(event, Miss)]
    assert [(e.stage, e.actual_ms) for e in misses] == [("capture", pytest.approx(3000))]


async def test_language_that_nobody_wants_any_more_ends_with_the_next_clause() -> None:
    session = Session(Rig().engines(), CONFIG)
    crowded = after = 0
    await session.send(np.concatenate(SPEECH[:3]))
    async for event in session.events():
        if isinstance(event, Translation) and event.final and event.segment == 0 and event.language == "pt":
            session.set_targets(frozenset(f"x{letter}" for letter in "abcdefghij"), frozenset())
            crowded = len(asyncio.all_tasks())
            session.set_targets(frozenset({"pt"}), frozenset())
            await session.send(np.concatenate([SPEECH[3], sound(2, False)]))
            await session.finish()
        elif isinstance(event, Translation) and event.final and event.segment == 1:
            after = len(asyncio.all_tasks())
    assert 0 < after <= crowded - 2 * 10


async def test_session_says_how_much_audio_nobody_will_hear() -> None:
    config = replace(CONFIG, live=True, capacity=2)
    session = Session(Rig().engines(), config)
    dropped = [await session.send(sound(0.5, True)) for _ in range(4)]
    await session.finish()
    misses = [(e.stage, e.action) async for e in session.events() if isinstance(e, Miss)]
    assert dropped == [0.0, 0.0, 0.5, 0.5]
    assert misses.count(("capture", "audio-dropped")) == 2


class Stumbling:
    """A recogniser that fails in some of its passes."""

    def __init__(self, failing: range) -> None:
        self._failing = failing
        self._passes = itertools.count()

    def __call__(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis]:
        if next(self._passes) in self._failing:
            raise UnavailableError("engine-failed", "Whisper failed.")
        return recognise(batch)


async def recognised_by(engine: Stumbling) -> list[AnyEvent]:
    engines = replace(Rig().engines(), recognizer=Scheduler("recognise", lambda: engine))
    return [event async for event in _fed(Session(engines, CONFIG), SPEECH)]


async def test_pass_that_fails_loses_nothing() -> None:
    whole = await recognised_by(Stumbling(range(0)))
    events = await recognised_by(Stumbling(range(1, 3)))
    assert final(events, "pt") == final(whole, "pt")
    assert [e.action for e in events if isinstance(e, Miss)] == ["engine-failed"] * 2
    assert [e.reason for e in events if isinstance(e, End)] == ["end"]


async def test_recogniser_that_fails_again_and_again_ends_the_session_and_says_so() -> None:
    events = await recognised_by(Stumbling(range(1, 1000)))
    assert [e.reason for e in events if isinstance(e, End)] == ["engine-failed"]


class Failing(Upper):
    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        raise UnavailableError("engine-failed", "The engine failed.")


async def test_failing_translator_does_not_end_the_session() -> None:
    events = await Rig(Failing()).run(CONFIG, SPEECH)
    assert isinstance(events[-1], End)
    assert events[-1].reason == "end"
    assert {e.action for e in events if isinstance(e, Miss)} == {"engine-failed"}
    assert sum(1 for e in events if isinstance(e, Translation) and e.final) == 4


async def test_voice_that_is_missing_leaves_the_captions() -> None:
    async def voice(language: str) -> Scheduler[SpeechRequest, Voiced]:
        raise UnavailableError("model-missing", "No voice.")

    rig = Rig()
    engines = replace(rig.engines(), voice=voice)
    session = Session(engines, CONFIG)
    events = [event async for event in _fed(session, SPEECH)]
    assert final(events, "pt")
    assert all(e.dropped for e in events if isinstance(e, Speech))
    assert [e.reason for e in events if isinstance(e, End)] == ["end"]


async def test_same_language_is_passed_through() -> None:
    config = SessionConfig(source_language="en", captions=frozenset({"en"}), live=False)
    events = await Rig().run(config, SPEECH)
    assert final(events, "en") == "".join(e.committed for e in events if isinstance(e, Words)).strip()


@pytest.mark.parametrize(("speaks_source", "heard"), [(True, {"en", "pt"}), (False, {"pt"})])
async def test_where_listeners_hear_the_speaker_no_voice_repeats_them(speaks_source: bool, heard: set[str]) -> None:
    languages = frozenset({"en", "pt"})
    config = SessionConfig(
        source_language="en", captions=languages, voices=languages, speaks_source=speaks_source, live=False
    )
    events = await Rig().run(config, SPEECH)
    assert {e.language for e in events if isinstance(e, Speech)} == heard


class Hanging(Upper):
    """Never answers the first request of an open clause."""

    def __init__(self) -> None:
        self.asked: list[TranslationRequest] = []
        self.cancelled: list[TranslationRequest] = []

    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        self.asked.append(request)
        if not request.final and not self.cancelled:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(request)
                raise
        return await super().translate(request, deadline=deadline, key=key)


async def test_request_that_newer_source_made_obsolete_is_cancelled() -> None:
    engine = Hanging()
    config = replace(CONFIG, captions=frozenset({"pt"}), voices=frozenset())
    events = await Rig(engine).run(config, SPEECH)
    assert len(engine.cancelled) == 1
    assert len(engine.asked[1].source) > len(engine.cancelled[0].source)
    spoken = "".join(e.committed for e in events if isinstance(e, Words)).upper().split()
    assert final(events, "pt").split() == spoken


class StandingIn(Upper):
    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        return Translated(request.source.upper(), "firefox", 0.0, 0.0, "llama-slow")


async def test_engine_that_stands_in_for_another_is_said_with_the_reason() -> None:
    events = await Rig(StandingIn()).run(CONFIG, SPEECH)
    assert {e.engine for e in events if isinstance(e, Translation)} == {"firefox"}
    assert {e.action for e in events if isinstance(e, Miss) and e.stage == "translate"} == {"llama-slow"}


async def test_briefing_travels_with_every_request() -> None:
    engine, heard = Hanging(), list[RecognitionRequest]()
    briefing = Briefing(Glossary([Term({"en": "word1", "pt": "palavra"})]))
    rig = Rig(engine)
    engines = rig.engines()

    def listening(batch: Sequence[RecognitionRequest]) -> list[Hypothesis]:
        heard.extend(batch)
        return recognise(batch)

    engines = replace(engines, recognizer=Scheduler("recognise", lambda: listening))
    session = Session(engines, replace(CONFIG, briefing=briefing))
    [event async for event in _fed(session, SPEECH)]
    assert all(request.briefing is briefing for request in engine.asked)
    assert {request.hotwords for request in heard} == {("word1",)}
