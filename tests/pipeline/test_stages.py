"""Gate, segmenter, speech and budgets: plain classes, time as an argument."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.protocols import SAMPLE_RATE, Samples
from pipeline.audio import AudioBuffer, Stretch
from pipeline.budget import Backlog, BacklogConfig, StepControl, VoiceControl
from pipeline.clock import Clock
from pipeline.gate import Gate, GateItem, Lull, Onset, Pause
from pipeline.language import LanguageChoice
from pipeline.segment import Clause, SegmentConfig, Segmenter
from pipeline.speak import PhraseCutter, Playhead, phrases
from pipeline.words import TimedWord


class LoudnessDetector:
    """Speech is what is loud: a detector for tests of the gate's own logic."""

    frame_samples = 512

    def stream(self) -> LoudnessDetector:
        return self

    def process(self, frame: Samples) -> float:
        return float(np.abs(frame).mean())


def sound(seconds: float, loud: bool) -> Samples:
    return np.full(round(seconds * SAMPLE_RATE), 0.9 if loud else 0.0, np.float32)


def gated(portions: list[Samples]) -> list[GateItem]:
    gate = Gate(LoudnessDetector())
    items = [item for portion in portions for item in gate.process(portion)]
    return items + list(gate.finish())


def marks(items: list[GateItem]) -> list[type]:
    return [type(item) for item in items if not isinstance(item, Stretch)]


def test_silence_lets_nothing_through() -> None:
    assert gated([sound(5, False)]) == []


@pytest.mark.parametrize("portion", [160, 512, 1600, 7777])
def test_speech_passes_whole_with_what_came_before_it_however_it_is_portioned(portion: int) -> None:
    samples = np.concatenate([sound(1, False), sound(1, True), sound(1, False)])
    items = gated([samples[i : i + portion] for i in range(0, len(samples), portion)])
    assert isinstance(items[0], Onset)
    assert isinstance(items[-1], Pause)
    stretches = [item for item in items if isinstance(item, Stretch)]
    assert items[0].at == stretches[0].start <= 0.8 * SAMPLE_RATE
    assert all(a.end == b.start for a, b in itertools.pairwise(stretches))
    assert stretches[-1].end >= 2 * SAMPLE_RATE
    assert sum(float(s.samples.sum()) for s in stretches) == pytest.approx(float(samples.sum()))


def test_pause_within_speech_makes_two_utterances() -> None:
    items = gated([sound(1, True), sound(1, False), sound(1, True)])
    assert marks(items) == [Onset, Lull, Pause, Onset, Pause]


def test_lull_comes_after_the_audio_that_it_ends_and_before_more() -> None:
    items = gated([sound(1, True), sound(0.3, False), sound(1, True)])
    assert marks(items) == [Onset, Lull, Pause]
    at = next(i for i, item in enumerate(items) if isinstance(item, Lull))
    heard = sum(len(item.samples) for item in items[:at] if isinstance(item, Stretch))
    assert SAMPLE_RATE < heard < 1.3 * SAMPLE_RATE


def words(text: str) -> list[TimedWord]:
    return [TimedWord(f" {w}", n * 1000, n * 1000 + 900, 1.0, ()) for n, w in enumerate(text.split())]


def closed(clauses: list[Clause]) -> list[str]:
    return [clause.text for clause in clauses if clause.closed]


def test_clause_ends_at_a_stop() -> None:
    clauses = list(Segmenter().add(words("It rains. We stay"), "en", pause=False))
    assert [(c.index, c.text, c.closed) for c in clauses] == [(0, "It rains.", True), (1, "We stay", False)]


def test_title_does_not_end_a_clause() -> None:
    assert closed(list(Segmenter().add(words("Dr. Smith is in."), "en", pause=False))) == ["Dr. Smith is in."]


def test_pause_ends_a_clause_without_punctuation() -> None:
    assert closed(list(Segmenter().add(words("no stop here"), "en", pause=True))) == ["no stop here"]


def test_long_clause_is_cut_and_nothing_is_lost() -> None:
    text = " ".join(f"w{n}" for n in range(95))
    clauses = closed(list(Segmenter(SegmentConfig(longest=40)).add(words(text), "en", pause=True)))
    assert " ".join(clauses) == text
    assert [len(clause.split()) for clause in clauses] == [40, 40, 15]


def test_lull_ends_a_clause_that_is_long_enough_and_wholly_committed() -> None:
    segmenter = Segmenter(SegmentConfig(lull_after=3))
    assert closed(list(segmenter.add(words("in short"), "en", pause=False, lull=True))) == []
    tail = words("or so")
    assert closed(list(segmenter.add(words("it rains"), "en", pause=False, lull=True, tentative=tail))) == []
    assert closed(list(segmenter.add(words("today"), "en", pause=False, lull=True))) == ["in short it rains today"]


def test_change_of_language_ends_a_clause() -> None:
    segmenter = Segmenter()
    list(segmenter.add(words("good morning"), "en", pause=False))
    assert closed(list(segmenter.add(words("bom dia"), "pt", pause=False))) == ["good morning"]


def test_phrases_hold_every_word_in_order() -> None:
    text = "Bom dia, senhoras e senhores: o comboio para a costa parte às nove e meia, da plataforma quatro. Até já."
    assert " ".join(phrases(text)) == text
    assert len(phrases(text)) > 1


def test_phrase_is_released_before_its_clause_closes() -> None:
    cutter = PhraseCutter()
    assert cutter.add("Bom dia, senhoras e", final=False) == ""
    assert cutter.add(" senhores, o comboio", final=False) == "Bom dia, senhoras e senhores,"
    assert cutter.add(" parte.", final=True) == "o comboio parte."
    assert cutter.add("", final=True) == ""


def test_rate_rises_with_the_backlog_up_to_its_limit() -> None:
    backlog = Backlog(BacklogConfig(hurry_s=2, fastest=1.3))
    assert [round(backlog.rate(s), 2) for s in (0, 2, 4, 6, 60)] == [1.0, 1.0, 1.15, 1.3, 1.3]


def test_clause_is_dropped_only_where_a_newer_one_waits() -> None:
    backlog = Backlog(BacklogConfig(drop_s=10))
    assert backlog.drops(11, waiting=1)
    assert not backlog.drops(11, waiting=0)
    assert not backlog.drops(9, waiting=5)


def test_speech_follows_what_is_still_playing() -> None:
    playhead = Playhead()
    assert playhead.place(1000, 500) == 1000
    assert playhead.place(1200, 500) == 1500
    assert playhead.behind_s(1200) == pytest.approx(0.8)


def test_step_widens_on_misses_then_context_shortens_and_both_recover() -> None:
    pace = StepControl(0.6, 6.0)
    assert "0.9" in pace.missed()
    said = [pace.missed() for _ in range(9)]
    assert (pace.step_s, pace.longest_s) == (pace.widest_s, pace.shortest_s)
    assert "context shortened to 4 s" in said
    assert said[-1] == "step and context at their limit"
    for _ in range(100):
        pace.met()
    assert (pace.step_s, pace.longest_s) == (pytest.approx(0.6), 6.0)


def test_pass_hears_as_much_as_this_machine_can_hear_in_its_share_of_a_step() -> None:
    pace = StepControl(0.6, 9.0)
    assert pace.longest_s == 9.0
    pace.took(0.4, 1.0)
    assert pace.longest_s == 9.0, "so little audio tells nothing"
    pace.took(8 * 0.03, 8.0)
    assert pace.longest_s == pytest.approx(7.0)
    for _ in range(60):
        pace.took(8 * 0.06, 8.0)
    assert pace.longest_s == pace.modest_s
    for _ in range(60):
        pace.took(6 * 0.02, 6.0)
    assert pace.longest_s == 9.0
    assert StepControl(0.6, 5.0).longest_s == 5.0


def test_faster_voice_speaks_some_clauses_after_misses_in_a_row_and_no_others() -> None:
    control = VoiceControl(patience=2, clauses=3)
    assert not control.next_clause()
    assert not control.missed()
    control.met()
    assert [control.missed(), control.missed()] == [False, True]
    assert [control.next_clause() for _ in range(5)] == [True, True, True, False, False]


def test_given_language_is_never_identified() -> None:
    assert not LanguageChoice("en").needs_identifying(False)


def test_identified_language_needs_evidence_to_change() -> None:
    choice = LanguageChoice("auto", ("en", "pt"))
    assert not choice.heard({"en": 0.5, "pt": 0.2, "de": 0.3})
    assert choice.current == "en"
    assert not choice.heard({"en": 0.45, "pt": 0.5})
    assert choice.heard({"en": 0.1, "pt": 0.8})
    assert choice.current == "pt"


def test_buffer_keeps_its_place_when_it_is_trimmed() -> None:
    buffer = AudioBuffer(100)
    buffer.append(np.arange(10, dtype=np.float32))
    buffer.trim(104)
    buffer.append(np.arange(10, 12, dtype=np.float32))
    assert (buffer.start, buffer.end) == (104, 112)
    assert list(buffer.samples) == [4, 5, 6, 7, 8, 9, 10, 11]


def test_live_clock_counts_from_the_capture_of_the_first_sample() -> None:
    now = 10.0
    clock = Clock(live=True, now=lambda: now)
    clock.reached(SAMPLE_RATE // 10)
    now = 11.0
    assert clock.now_ms() == pytest.approx(1100)


def test_clock_of_a_file_is_the_position_of_its_audio() -> None:
    clock = Clock(live=False)
    clock.reached(SAMPLE_RATE * 3)
    assert clock.now_ms() == 3000


def test_two_words_begin_a_clause_in_a_silence_and_three_go_on_with_it() -> None:
    cutter = PhraseCutter()
    assert cutter.add("O livro", final=False, silent=True) == "O livro"
    assert cutter.add(" mais antigo", final=False, silent=True) == ""
    assert cutter.add(" impresso", final=False, silent=True) == "mais antigo impresso"
