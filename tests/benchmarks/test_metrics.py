"""Metrics on logs made by hand, whose answers are known."""

from __future__ import annotations

import pytest

from benchmarks import metrics
from benchmarks.metrics import Point, Spoken
from tests.benchmarks.logs import end, log, miss, speech, target, words


def points(*lags: float, every: float = 1000) -> list[Point]:
    return [Point(at * every, lag) for at, lag in enumerate(lags)]


def test_commit_lag_is_emission_minus_end_of_the_word() -> None:
    spoken = [Spoken("Hello,", 0, 400), Spoken("big", 500, 700), Spoken("world.", 800, 1200)]
    made = log(words(900, " Hello", " big world"), words(2000, " bad world."), end())
    lags = metrics.commit_lags(spoken, made.source_words("en"))
    assert [(p.at_ms, p.lag_ms) for p in lags] == [(400, 500), (1200, 800)]


def test_word_split_between_events_counts_when_its_last_letter_comes() -> None:
    made = log(words(100, " wor"), words(300, "ld"), words(500, "."))
    assert [(w.token.text, w.emitted_ms) for w in made.source_words("en")] == [("world.", 300)]


def test_distribution_gives_interpolated_percentiles_in_seconds() -> None:
    found = metrics.distribution(points(*range(0, 1100, 100)), "lag")
    assert found == pytest.approx({"lag_median": 0.5, "lag_p90": 0.9, "lag_p99": 0.99, "lag_max": 1.0})
    assert metrics.distribution([], "lag") == {}


def test_growth_is_slope_per_minute_and_last_minute_minus_first() -> None:
    found = metrics.growth(points(*(1000 + 10 * at for at in range(301))), "lag")  # 10 ms a second for 5 minutes
    assert found == pytest.approx({"lag_slope": 0.6, "lag_growth": 2.41}, abs=0.02)
    assert "lag_growth" not in metrics.growth(points(1, 2, 3), "lag")


def test_word_errors_ignore_case_punctuation_and_spelling_variants() -> None:
    assert metrics.word_errors("The colour, twenty-one!", "the color 21", "en")["wer"] == 0
    found = metrics.word_errors("big cat sat on a mat here", "cat sat on a mat here now", "en")
    assert found["wer"] == pytest.approx(2 / 7)
    assert found["wer_inserted"] == found["wer_deleted"] == pytest.approx(1 / 7)


def test_word_errors_keep_accents_and_count_characters_of_japanese() -> None:
    assert metrics.word_errors("é bom", "e bom", "pt")["wer"] == 0.5
    assert metrics.word_errors("日本語です", "日本誤です", "ja")["wer"] == pytest.approx(0.2)


def test_no_transcript_gives_no_word_errors() -> None:
    assert metrics.word_errors("", "noise", "en") == {}


def test_stop_f1_counts_stops_after_aligned_words() -> None:
    reference = "It rained. We stayed home. Then Mr. Smith came."
    assert metrics.stop_f1(reference, reference, "en") == 1.0
    assert metrics.stop_f1(reference, "It rained. We stayed home then. Mr. Smith came.", "en") == pytest.approx(2 / 3)
    assert metrics.stop_f1("no stop at all", "None. At all.", "en") is None


def test_erasure_counts_words_taken_back_per_final_word() -> None:
    made = log(words(1, "", " a b c"), words(2, " a", " x y"), words(3, " x", ""), words(4, " z w", ""))
    # [a b c] → [a x y] takes back 2, → [a x] takes back 1; the final text has 4 words.
    assert metrics.erasure(made.words, "en") == pytest.approx(3 / 4)


def test_erasure_of_text_that_only_grows_is_zero() -> None:
    made = log(target(1, 0, "", " o gato"), target(2, 0, " o", " gato dorme"), target(3, 0, " gato dorme", final=True))
    assert metrics.erasure(made.translations("pt"), "pt") == 0
    assert metrics.erasure([], "pt") is None


def test_erasure_keeps_a_tail_for_each_segment() -> None:
    made = log(target(1, 0, "", " a b"), target(2, 1, "", " c"), target(3, 0, " a b", final=True), target(4, 1, " c"))
    assert metrics.erasure(made.translations("pt"), "pt") == 0


def test_ear_voice_span_is_first_sound_of_a_clause_minus_its_start() -> None:
    made = log(
        speech(0, 3000, 500, 1000), speech(0, 3500, 500, 1000), speech(1, 0, 0, 2000), speech(2, 7000, 100, 4000)
    )
    assert [(p.at_ms, p.lag_ms) for p in metrics.ear_voice_spans(made, "pt")] == [(1000, 2000), (4000, 3000)]


def test_caption_span_starts_with_the_first_committed_word() -> None:
    made = log(
        target(900, 0, "", " o", start=100), target(1500, 0, " o", start=100), target(1600, 0, " gato", start=100)
    )
    assert [p.lag_ms for p in metrics.caption_spans(made, "pt")] == [1400]


def test_misses_are_shares_of_clauses() -> None:
    made = log(miss("translate", 0), miss("translate", 0), miss("speak", 1), end(segments=4))
    assert metrics.misses(made) == {"miss_translate": 0.25, "miss_speak": 0.25, "misses": 0.5}


def test_sound_log_has_no_problem() -> None:
    made = log(
        words(900, " Hi", " there", 0, 500),
        target(950, 0, "", " Oi", end=500),
        words(1500, " there.", "", 500, 1000),
        target(1600, 0, " Oi.", final=True, end=1000),
        end(1),
    )
    assert metrics.problems(made) == []


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([target(1, 0, " a", final=True), target(2, 0, " b"), end()], "follows its final"),
        ([target(1, 0, " a", final=True), target(2, 0, "", final=True), end()], "final again"),
        ([target(1, 0, " a", " b", final=True), end()], "final and yet tentative"),
        ([target(1, 0, " a"), end()], "never final"),
        ([target(1, 0, " a"), target(2, 1, " b", final=True), target(3, 0, final=True), end()], "earlier one is open"),
        ([words(900, " a", "", 0, 800), words(990, " b", "", 0, 100), end()], "already committed"),
        ([words(100, " a", "", 500, 800), end()], "before they were spoken"),
        ([words(900, " a", " b", 0, 800), end()], "neither committed nor withdrawn"),
        ([words(900), words(100), end()], "before the one before it"),
        ([speech(0, 0, 1000, 0), speech(1, 500, 100, 0), end()], "while earlier speech"),
        ([end(), words(1)], "follows the end"),
        ([words(1)], "0 ends"),
    ],
)
def test_broken_promise_is_reported(events: list, said: str) -> None:
    assert any(said in problem for problem in metrics.problems(log(*events)))
