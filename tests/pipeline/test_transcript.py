"""The transcript: words cut into the clauses that translations name, and none lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import Translation, Words
from pipeline.transcript import Transcript


def words(text: str, start: float, end: float, language: str = "en", tentative: str = "") -> Words:
    return Words(
        emitted_ms=end + 500,
        language=language,
        committed=text,
        tentative=tentative,
        source_start_ms=start,
        source_end_ms=end,
        confidence=0.9,
    )


def translation(
    text: str, segment: int, start: float, end: float, language: str = "pt", *, final: bool = True
) -> Translation:
    return Translation(
        emitted_ms=end + 700,
        language=language,
        segment=segment,
        committed=text,
        tentative="",
        final=final,
        source_start_ms=start,
        source_end_ms=end,
        engine="firefox",
    )


def transcript(*events: Words | Translation) -> Transcript:
    made = Transcript()
    for event in events:
        made.add(event)
    return made


def test_text_joins_committed_parts_exactly() -> None:
    made = transcript(
        words(" Good", 0, 200),
        words("", 200, 400, tentative=" morning"),
        words(" morning.", 200, 600),
        translation("Bom", 0, 0, 600, final=False),
        translation(" dia.", 0, 0, 600),
    )
    assert made.source_text == made.text("en") == " Good morning."
    assert made.text("pt") == "Bom dia."


def test_line_ends_where_event_ends_at_its_clause() -> None:
    made = transcript(
        words(" and then", 0, 400), words(" he left", 400, 900), words(" Now", 2000, 2200), translation("E", 0, 0, 900)
    )
    assert [line.source for line in made.lines()] == ["and then he left", "Now"]


def test_clause_ends_at_stop_when_its_end_lies_inside_an_event() -> None:
    made = transcript(
        words(" Yes. I do not think so", 0, 2000), translation("Sim.", 0, 0, 700), translation("Não", 1, 700, 2000)
    )
    assert [(line.source, line.targets["pt"]) for line in made.lines()] == [
        ("Yes.", "Sim."),
        ("I do not think so", "Não"),
    ]


def test_clause_takes_no_words_after_it_in_a_second_language() -> None:
    made = transcript(
        words(" One.", 0, 500),
        translation("Um.", 0, 0, 500),
        words(" Two.", 600, 900),
        translation("Uno.", 0, 0, 500, "es"),
    )
    assert [(line.source, dict(line.targets)) for line in made.lines()] == [
        ("One.", {"pt": "Um.", "es": "Uno."}),
        ("Two.", {}),
    ]


def test_open_clause_has_the_words_that_are_left() -> None:
    made = transcript(words(" so far", 0, 500), translation("até", 0, 0, 500, final=False))
    assert [(line.segment, line.source, line.targets["pt"]) for line in made.lines()] == [(0, "so far", "até")]


def test_words_before_the_first_translated_clause_become_their_own_line() -> None:
    made = transcript(words(" Early.", 0, 500), words(" Late.", 900, 1500), translation("Tarde.", 4, 900, 1500))
    assert [(line.segment, line.source) for line in made.lines()] == [(None, "Early."), (4, "Late.")]


def test_words_without_translation_are_cut_into_sentences() -> None:
    made = transcript(words(" One. Two", 0, 500), words(" more. Drei", 500, 900), words(" vier", 900, 950, "de"))
    assert [line.source for line in made.lines()] == ["One.", "Two more.", "Drei", "vier"]


@given(
    st.lists(st.lists(st.text("ab.,", min_size=1, max_size=4), min_size=1, max_size=5), max_size=8),
    st.sets(st.integers(0, 7)),
    st.floats(-300, 300),
)
def test_transcript_loses_no_word_whatever_the_times(said: list[list[str]], closed: set[int], off: float) -> None:
    made = Transcript()
    for index, clause in enumerate(said):
        made.add(words("".join(f" {word}" for word in clause), index * 1000, index * 1000 + 900))
        if index in closed:
            made.add(translation("x", index, index * 1000 + off, index * 1000 + 900 + off))
    everything = [word for clause in said for word in clause]
    assert " ".join(line.source for line in made.lines()).split() == everything
