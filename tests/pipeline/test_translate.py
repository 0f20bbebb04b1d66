"""Append-only translation: what is committed never changes, and the closed clause is whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.protocols import TargetPiece
from pipeline.translate import ClauseTranslation, TranslateConfig, split

WORDS = st.lists(st.sampled_from(["o", "gato", "preto", "dorme", "na", "casa", "猫が", "สวัสดี", "البيت"]), max_size=12)


def translation(hold_back: int = 1) -> ClauseTranslation:
    return ClauseTranslation(TranslateConfig(hold_back=hold_back, least_source_words=1))


def test_first_translation_shows_nothing_that_may_be_taken_back() -> None:
    step = translation().update("o gato preto", "the black cat")
    assert (step.committed, step.tentative) == ("", "")


def test_agreed_prefix_is_committed_and_what_is_held_back_of_it_shown() -> None:
    clause = translation()
    clause.update("o gato preto", "the black cat")
    step = clause.update("o gato preto", "the black cat")
    assert (step.committed, step.tentative) == ("o gato", " preto")


def test_translation_with_and_without_look_ahead_agree_at_once() -> None:
    step = translation().update("o gato preto dorme", "the black cat", without_ahead="o gato preto")
    assert (step.committed, step.tentative) == ("o gato preto", "")


def test_other_wording_of_the_beginning_is_continued() -> None:
    clause = translation(hold_back=0)
    clause.update("o gato negro", "the black cat")
    clause.update("o gato negro", "the black cat")
    clause.update("o gato preto dorme", "the black cat sleeps")
    step = clause.update("o gato preto dorme", "the black cat sleeps")
    assert step.committed == " dorme"


def test_closing_commits_the_rest() -> None:
    clause = translation()
    clause.update("o gato", "the cat")
    clause.update("o gato", "the cat")
    clause.close("o gato dorme.")
    assert clause.committed == "o gato dorme."


def test_final_text_that_differs_repeats_no_word_that_is_committed() -> None:
    clause = translation(hold_back=0)
    clause.update("o gato negro", "the black cat")
    clause.update("o gato negro", "the black cat")
    clause.close("o gato preto dorme em casa.")
    assert clause.committed == "o gato negro dorme em casa."


def test_stop_after_a_word_that_is_committed_is_not_lost() -> None:
    clause = translation(hold_back=0)
    clause.update("o gato", "the cat")
    clause.update("o gato", "the cat")
    assert clause.close("o gato.").committed == "."


def test_script_without_spaces_is_committed_by_character() -> None:
    assert split("猫が寝る。") == ["猫", "が", "寝", "る", "。"]


@given(st.lists(WORDS, min_size=1, max_size=8))
def test_committed_text_is_only_ever_extended(revisions: list[list[str]]) -> None:
    clause = translation()
    shown = ""
    for words in revisions[:-1]:
        step = clause.update(" ".join(words), "some source text")
        shown += step.committed
        assert clause.committed == shown
    shown += clause.close(" ".join(revisions[-1])).committed
    assert clause.committed == shown


@given(WORDS)
def test_closed_clause_without_earlier_commits_is_its_whole_translation(words: list[str]) -> None:
    clause = translation()
    clause.close(" ".join(words))
    assert clause.committed == " ".join(words)


ANY_SCRIPT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@given(st.lists(st.tuples(ANY_SCRIPT, ANY_SCRIPT, st.booleans()), min_size=1, max_size=8))
def test_shown_text_is_append_only_for_any_script_and_any_change_of_engine(
    revisions: list[tuple[str, str, bool]],
) -> None:
    """An engine that continues what is committed, and one that begins anew, in any order; sources of any length."""
    clause, shown = translation(hold_back=0), ""
    for source, text, continues in revisions[:-1]:
        answer = clause.committed + text if continues else text
        shown += clause.update(answer.strip(), source).committed  # `Translator`: with no space around it
        assert shown == clause.committed
    *_, (_, text, continues) = revisions
    whole = (clause.committed + text if continues else text).strip()
    shown += clause.close(whole).committed
    assert shown == clause.committed
    assert not continues or shown == whole


def test_engine_may_go_on_within_the_last_committed_word() -> None:
    clause = translation(hold_back=0)
    clause.update("o com", "the")
    clause.update("o com", "the train")
    step = clause.close("o comboio parte")
    assert (step.committed, clause.committed) == ("boio parte", "o comboio parte")


def test_committed_text_lags_no_more_than_the_largest_lag() -> None:
    clause = ClauseTranslation(TranslateConfig(hold_back=1, most_tentative=4, least_source_words=1))
    clause.update("a b c d e f g", "source")
    step = clause.update("x b c d e f g", "source")
    assert (step.committed, step.tentative) == ("x b c", "")


def test_source_without_spaces_is_counted_by_character() -> None:
    clause = ClauseTranslation(TranslateConfig(hold_back=0, least_source_words=5))
    clause.update("the train", "電車は九時")
    assert clause.update("the train", "電車は九時").committed == "the train"


SOURCE = "the red house on the corner was sold"
RENDERS = {"a": "the", "casa": "house", "vermelha": "red", "da": "on", "esquina": "corner"}
RENDERS |= {"foi": "was", "vendida": "sold"}


def pieces(text: str, source: str = SOURCE, begin: int = 0, probability: float = 0.5) -> list[TargetPiece]:
    """A piece for each word of `text` after `begin`; "esquina" renders "corner", and so on."""
    found: list[TargetPiece] = []
    at = 0
    for word in text.split():
        at = text.index(word, at) + len(word)
        if at > begin:
            found.append(TargetPiece(at, source.index(RENDERS[word]), probability))
    return found


def aligned(guard: int = 3) -> ClauseTranslation:
    return ClauseTranslation(TranslateConfig(guard=guard, sure_guard=1, sure_above=0.9))


def test_what_renders_the_end_of_the_source_stays_tentative() -> None:
    text = "a casa vermelha da esquina foi vendida"
    assert aligned().update(text, SOURCE, pieces=pieces(text)).committed == "a casa vermelha da"


def test_word_that_comes_from_the_end_holds_up_what_follows_it() -> None:
    """ "casa" renders the last word that is known: "vermelha" waits with it."""
    text = "a casa vermelha"
    assert aligned(1).update(text, "the red house", pieces=pieces(text)).committed == "a"


def test_words_ahead_are_a_guard_and_render_nothing_that_is_committed() -> None:
    text = "a casa vermelha da esquina foi vendida"
    step = aligned(1).update(text, "the red house", ahead=" on the corner was sold", pieces=pieces(text))
    assert step.committed == "a casa vermelha"


def test_punctuation_ends_the_neighbourhood() -> None:
    text, source = "a casa vermelha da esquina", "the red house, on the corner"
    assert aligned(9).update(text, source, pieces=pieces(text, source)).committed == "a casa vermelha"


def test_sure_word_may_come_closer_to_the_end() -> None:
    text = "a casa vermelha da esquina foi vendida"
    sure = pieces(text, probability=0.95)
    assert aligned().update(text, SOURCE, pieces=sure).committed == "a casa vermelha da esquina foi"


def test_last_word_may_be_half_a_word() -> None:
    text, source = "a casa", "the red house on the corner was sold yesterday evening"
    assert aligned(1).update(text, source, pieces=pieces(text, source)).committed == "a"


def test_what_follows_goes_on_from_what_is_committed() -> None:
    clause = aligned()
    clause.update("a casa vermelha", "the red house on the corner", pieces=pieces("a casa vermelha"))
    text = "a casa vermelha da esquina foi vendida"
    step = clause.update(text, SOURCE, pieces=pieces(text, begin=len(clause.committed)))
    assert clause.committed == "a casa vermelha da"
    assert step.committed == clause.committed.removeprefix("a casa")
