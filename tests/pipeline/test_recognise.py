"""What is committed of an utterance, from hypotheses made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.protocols import SAMPLE_RATE, Hypothesis, Word
from pipeline import guards
from pipeline.audio import Stretch
from pipeline.recognise import RecogniseConfig, Update, Utterance
from pipeline.words import TimedWord


def hypothesis(
    text: str, start: float = 0.0, *, looped: bool = False, no_speech: float = 0.0, probability: float = 0.5
) -> Hypothesis:
    """Words half a second long, from `start`; punctuation is a word of its own, as Whisper's tokens are."""
    words: list[Word] = []
    for number, piece in enumerate(text.replace(".", " .").replace(",", " ,").split()):
        spoken = piece.isalnum()
        words.append(Word(f" {piece}" if spoken else piece, start, start + 0.5 * spoken, probability, (number,)))
        start += 0.5 * spoken
    return Hypothesis(tuple(words), no_speech, -2.0 if no_speech else -0.1, looped)


def utterance(seconds: float = 10.0, config: RecogniseConfig | None = None) -> Utterance:
    live = Utterance(0, config or RecogniseConfig(longest_s=30))
    live.append(Stretch(0, np.zeros(round(seconds * SAMPLE_RATE), np.float32)))
    return live


def apply(live: Utterance, given: Hypothesis, *, closed: bool = False) -> Update:
    return live.apply(given, live.audio.end, closed=closed)


def text(update: Update) -> tuple[str, str]:
    return "".join(w.text for w in update.committed), "".join(w.text for w in update.tentative)


def test_first_hypothesis_commits_nothing() -> None:
    assert text(apply(utterance(), hypothesis("the old man"))) == ("", " the old man")


def test_two_hypotheses_commit_what_they_agree_on() -> None:
    live = utterance()
    apply(live, hypothesis("the old van"))
    assert text(apply(live, hypothesis("the old man sat"))) == (" the old", " man sat")


def test_pause_commits_everything() -> None:
    live = utterance()
    assert text(apply(live, hypothesis("the end."), closed=True)) == (" the end.", "")


def test_words_that_are_sure_and_away_from_the_edge_need_no_second_hypothesis() -> None:
    live = utterance(seconds=1.6)
    assert text(apply(live, hypothesis("one two three", probability=0.9))) == (" one two", " three")


def test_lull_commits_what_is_sure_up_to_the_edge() -> None:
    live = utterance(seconds=1.5)
    update = live.apply(hypothesis("one two three.", probability=0.9), live.audio.end, closed=False, lull=True)
    assert text(update) == (" one two three", ".")


def test_unsure_word_keeps_the_sure_ones_after_it_open() -> None:
    live = utterance()
    words = (*hypothesis("one two").words, *hypothesis("three", start=1.0, probability=0.9).words)
    assert text(apply(live, Hypothesis(words, 0.0, -0.1))) == ("", " one two three")


def test_stop_at_the_end_stays_open_until_a_word_follows() -> None:
    live = utterance()
    apply(live, hypothesis("it is over."))
    assert text(apply(live, hypothesis("it is over."))) == (" it is over", ".")


def test_stop_that_a_word_follows_is_committed_with_the_word_before_it() -> None:
    live = utterance()
    apply(live, hypothesis("it is over"))
    assert text(apply(live, hypothesis("it is over. Then"))) == (" it is over.", " Then")


def test_word_at_the_very_end_of_the_audio_stays_open() -> None:
    live = utterance(seconds=1.0)
    apply(live, hypothesis("one two"))
    assert text(apply(live, hypothesis("one two"))) == (" one", " two")


def test_next_pass_goes_on_from_what_is_committed_but_for_the_last_word() -> None:
    live = utterance()
    asked = [live.request("en", closed=False)]
    for heard in ("one two three.", "one two three. five"):
        apply(live, hypothesis(heard))
        asked.append(live.request("en", closed=False))
    assert [each.prefix for each in asked] == [(), (), (0, 1)]
    assert [each.draft for each in asked] == [(), (0, 1, 2, 3), (2, 3, 4)]


@pytest.mark.parametrize(
    ("said", "heard", "start", "open_now"),
    [
        ("the old man", "man sat down", 1.0, " sat down"),
        ("the old man", "mane sat down", 1.0, " sat down"),
        ("the old man", "cold man sat down", 0.5, " sat down"),
        ("the old man", "cold man sat down", 0.8, " sat down"),
        ("the old man", "sat down", 1.5, " sat down"),
        ("the old man", "we all sat down", -0.5, " sat down"),
        ("the old man", "manly sat down", 1.3, " manly sat down"),
        ("the old man", "man, sat down", 1.0, ", sat down"),
        ("the old man.", "man, sat down", 1.0, " sat down"),
        ("the old man.", "mane sat down", 1.0, " sat down"),
        ("the old man", "", 1.0, ""),
    ],
)
def test_committed_word_stays_where_another_is_heard_in_its_place(
    said: str, heard: str, start: float, open_now: str
) -> None:
    live = utterance()
    apply(live, hypothesis(said))
    update = apply(live, hypothesis(said), closed=said.endswith("."))
    assert text(update) == (f" {said}", "")
    assert text(apply(live, hypothesis(heard, start))) == ("", open_now)


def test_silence_is_not_recognised() -> None:
    live = utterance()
    assert text(apply(live, hypothesis("thank you", no_speech=0.9), closed=True)) == ("", "")


def test_loop_drops_the_prompt() -> None:
    live = Utterance(0, RecogniseConfig(), prompt=(7, 8))
    live.append(Stretch(0, np.zeros(SAMPLE_RATE, np.float32)))
    assert live.request("en", closed=False).prompt == (7, 8)
    apply(live, hypothesis("la la", looped=True))
    assert live.request("en", closed=False).prompt == ()


def test_long_buffer_is_trimmed_and_scrolled_text_becomes_the_prompt() -> None:
    live = utterance(seconds=14.0, config=RecogniseConfig(longest_s=12, keep_s=3))
    words = " ".join(f"w{n}" for n in range(26))
    apply(live, hypothesis(words))
    update = apply(live, hypothesis(words))
    assert len(update.committed) == 26
    assert live.audio.end - live.audio.start <= 4 * SAMPLE_RATE
    request = live.request("en", closed=False)
    assert request.prompt + request.prefix + request.draft == tuple(range(26))


def test_buffer_that_is_shorter_than_it_may_be_keeps_less() -> None:
    live = utterance(seconds=14.0, config=RecogniseConfig(longest_s=12, keep_s=6))
    live.longest_s = 6.0
    words = " ".join(f"w{n}" for n in range(26))
    for _ in range(2):
        apply(live, hypothesis(words))
    assert 3 * SAMPLE_RATE <= live.audio.end - live.audio.start <= 4 * SAMPLE_RATE


def test_buffer_in_which_nothing_is_understood_is_trimmed_too() -> None:
    live = utterance(seconds=30.0, config=RecogniseConfig(longest_s=12, keep_s=3))
    apply(live, hypothesis(""))
    assert live.audio.end - live.audio.start == 3 * SAMPLE_RATE


def test_first_word_of_a_sentence_is_written_with_a_capital() -> None:
    live = Utterance(0, RecogniseConfig(), begins_sentence=True)
    live.append(Stretch(0, np.zeros(3 * SAMPLE_RATE, np.float32)))
    assert text(apply(live, hypothesis("the end. of"), closed=True)) == (" The end. of", "")
    assert not live.ends_sentence


def test_sentence_that_goes_on_after_a_pause_keeps_its_small_letter() -> None:
    live = utterance()
    assert text(apply(live, hypothesis("of the year."), closed=True)) == (" of the year.", "")
    assert live.ends_sentence


def test_word_that_is_heard_in_another_way_each_time_holds_up_no_others_once_the_buffer_is_full() -> None:
    live = utterance(seconds=5.0, config=RecogniseConfig(longest_s=6, keep_s=2))
    said = "sat down by the river and read a long letter"
    assert text(apply(live, hypothesis(f"captain {said}"))) == ("", f" captain {said}")
    live.append(Stretch(live.audio.end, np.zeros(2 * SAMPLE_RATE, np.float32)))
    update = apply(live, hypothesis(f"kept in {said}"))
    assert text(update) == (" kept in sat down by the river and", " read a long letter")


def test_full_buffer_commits_nothing_on_which_hypotheses_do_not_agree() -> None:
    live = utterance(seconds=8.0, config=RecogniseConfig(longest_s=6, keep_s=2))
    apply(live, hypothesis("thanks for watching this"))
    assert text(apply(live, hypothesis("the sound of the wind")))[0] == ""


def test_last_committed_word_stays_in_the_buffer_that_is_trimmed() -> None:
    live = utterance(seconds=14.0, config=RecogniseConfig(longest_s=12, keep_s=3))
    for _ in range(2):
        update = apply(live, hypothesis("one two three four"))
    assert text(update) == (" one two three four", "")
    request = live.request("en", closed=False)
    assert (request.prompt, request.prefix, request.draft) == ((0, 1, 2), (), (3,))
    assert live.audio.start == 1.5 * SAMPLE_RATE


def test_utterance_of_improbable_words_is_discarded_unless_some_of_it_stands() -> None:
    config = RecogniseConfig(longest_s=30, noise_below=0.12)
    assert text(apply(utterance(config=config), hypothesis("agree", probability=0.09), closed=True)) == ("", "")
    assert text(apply(utterance(config=config), hypothesis("yes", probability=0.3), closed=True)) == (" yes", "")
    live = utterance(config=config)
    apply(live, hypothesis("the old man", probability=0.09))
    assert text(live.close()) == ("", "")
    live = utterance(config=config)
    apply(live, hypothesis("the old", probability=0.9))
    assert text(apply(live, hypothesis("man", start=1.0, probability=0.09), closed=True)) == (" man", "")


@pytest.mark.parametrize(
    ("spoken_s", "probability", "heard"), [(0.45, 0.5, ""), (0.45, 0.6, " oh"), (0.55, 0.5, " oh")]
)
def test_word_out_of_a_click_has_to_be_probable(spoken_s: float, probability: float, heard: str) -> None:
    config = RecogniseConfig(noise_below=0.12, brief_s=0.5, brief_noise_below=0.55)
    found = hypothesis("oh", probability=probability)
    for before_the_pause in (False, True):
        live = utterance(seconds=1.0, config=config)
        if before_the_pause:
            apply(live, found)
        live.pause(round(spoken_s * SAMPLE_RATE))
        assert text(live.close() if before_the_pause else apply(live, found, closed=True)) == (heard, "")


def passage(words: str, start: float, pace: float) -> Hypothesis:
    pieces = words.split()
    return Hypothesis(
        tuple(Word(f" {w}", start + pace * n, start + pace * (n + 1), 0.9, (n,)) for n, w in enumerate(pieces)), 0, -0.1
    )


def test_passage_that_returns_faster_than_it_was_said_is_the_decoder_saying_it_again() -> None:
    for closed in (False, True):
        live = utterance(seconds=8)
        apply(live, passage("in the middle of the fifteenth century it", 0, 0.5))
        again = apply(live, passage("was in the middle of the fifteenth century", 4, 0.2), closed=closed)
        assert "middle" not in "".join(text(again))


def test_passage_that_a_person_says_twice_is_kept() -> None:
    live = utterance(seconds=9)
    apply(live, passage("we will not go back again", 0, 0.4))
    again = apply(live, passage("we will not go back again now", 2.4, 0.4), closed=True)
    assert "not go back" in text(again)[0]


def test_pair_that_returns_at_once_with_a_doubtful_word_is_left_out() -> None:
    def heard(chance: float) -> Hypothesis:
        said = (("saint", 0.9), ("louis", chance), ("saint", 0.9), ("louis", 0.9), ("sat", 0.9), ("down", 0.9))
        return Hypothesis(tuple(Word(f" {w}", n / 2, n / 2 + 0.5, p, (n,)) for n, (w, p) in enumerate(said)), 0, -0.1)

    for chance, expected in ((0.1, " saint louis sat down"), (0.9, " saint louis saint louis sat down")):
        assert text(apply(utterance(), heard(chance), closed=True))[0] == expected


def test_word_that_is_said_twice_at_once_is_believed_only_where_it_is_likely() -> None:
    """As in "St. St." and "in in"; a person says "no, no"."""
    for probability, kept in ((0.45, " play in the garden"), (0.9, " play in in the garden")):
        live = utterance()
        given = hypothesis("play in in the garden", probability=0.9)
        words = (*given.words[:2], replace(given.words[2], probability=probability), *given.words[3:])
        update = apply(live, replace(given, words=words), closed=True)
        assert text(update)[0] == kept


def test_passage_in_capitals_is_written_in_small_letters_and_acronyms_stay() -> None:
    texts = [" Americans.", " ASK", " WHAT", " I", " CAN", " DO", "!", " And", " NASA", " in", " the", " US"]
    calm = guards.without_shouting((), texts)
    assert "".join(calm) == " Americans. Ask what I can do! And NASA in the US"
    said = [TimedWord(" ask", 0, 1, 0.9, (), shouted=True), TimedWord(" what", 1, 2, 0.9, (), shouted=True)]
    assert guards.without_shouting(said, [" YOU", " can"]) == [" you", " can"]
    assert guards.without_shouting((), [" the", " US", " FDA", " said"]) == [" the", " US", " FDA", " said"]
