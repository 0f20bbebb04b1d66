"""Subtitles, texts and JSON documents of a session."""

from __future__ import annotations

import io
import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from app.formats import LINE_CELLS, LINES, cues, wrap, writer
from models.errors import InputError
from pipeline.events import End, Event
from pipeline.transcript import Transcript
from tests.pipeline.test_transcript import translation, words

END = End(emitted_ms=9000.0, source_ms=9000.0, segments=2, misses=0)
TALK: list[Event] = [
    words(" Good morning.", 0, 1200),
    translation("Bom dia.", 0, 0, 1200),
    words(" Fish & chips <b> --> please.", 1300, 4000),
    translation(" Peixe & fritas <b> --> por favor.", 1, 1300, 4000),
    END,
]


def written(name: str, events: list[Event], *, bilingual: bool = False) -> str:
    stream = io.StringIO()
    made = writer(name, stream, bilingual=bilingual)
    for event in events:
        made.add(event)
    made.close()
    return stream.getvalue()


def test_txt_has_a_clause_a_line() -> None:
    assert written("txt", TALK) == "Bom dia.\nPeixe & fritas <b> --> por favor.\n"


def test_bilingual_txt_names_the_languages() -> None:
    assert written("txt", TALK, bilingual=True).startswith("en: Good morning.\npt: Bom dia.\n\nen: Fish")


@pytest.mark.parametrize("name", ["txt", "srt", "vtt", "json"])
def test_languages_are_in_the_order_asked_for_whichever_is_translated_first(name: str) -> None:
    spoken = words(" Good morning.", 0, 1200)
    es, pt = (translation(text, 0, 0, 1200, code) for text, code in (("Buenos días.", "es"), ("Bom dia.", "pt")))
    found: list[str] = []
    for events in ([spoken, es, pt, END], [spoken, pt, es, END]):
        stream = io.StringIO()
        made = writer(name, stream, languages=("pt", "es"))
        for event in events:
            made.add(event)
        made.close()
        found.append(stream.getvalue())
    assert len(set(found)) == 1 or json.loads(found[0]) == json.loads(found[1])
    assert all(text.index("Bom dia.") < text.index("Buenos días.") for text in found)


def test_txt_of_a_session_without_targets_is_what_was_said() -> None:
    assert written("txt", [TALK[0], END]) == "Good morning.\n"


def test_srt_numbers_its_cues_and_has_no_arrow_in_text() -> None:
    text = written("srt", TALK)
    assert text.startswith("1\n00:00:00,000 --> 00:00:01,200\nBom dia.\n\n2\n00:00:01,300 --> 00:00:04,000\n")
    assert text.count("-->") == 2


def test_vtt_escapes_what_its_grammar_reserves() -> None:
    text = written("vtt", TALK)
    assert text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.200\n")
    assert "Peixe &amp; fritas &lt;b&gt; --&gt; por favor." in text


def test_bilingual_cue_has_a_line_for_each_language() -> None:
    assert "Good morning.\nBom dia.\n" in written("srt", TALK, bilingual=True)


def test_json_has_texts_clauses_and_the_end() -> None:
    document = json.loads(written("json", TALK))
    assert document["text"]["pt"] == "Bom dia. Peixe & fritas <b> --> por favor."
    assert document["segments"][0]["source"] == "Good morning."
    assert document["end"]["reason"] == "end"


def test_jsonl_writes_each_event_as_it_happens() -> None:
    stream = io.StringIO()
    made = writer("jsonl", stream)
    made.add(TALK[0])
    assert json.loads(stream.getvalue())["committed"] == " Good morning."


@pytest.mark.parametrize("name", ["txt", "srt", "vtt", "json", "jsonl"])
def test_writer_completes_a_session_in_which_nothing_was_said(name: str) -> None:
    assert "None" not in written(name, [END])


def test_writer_refuses_a_format_it_does_not_know() -> None:
    with pytest.raises(InputError) as caught:
        writer("doc", io.StringIO())
    assert caught.value.code == "unknown-format"


def test_short_clause_is_shown_for_a_second_where_silence_follows() -> None:
    made = Transcript()
    for event in (words(" Hi.", 0, 200), translation("Oi.", 0, 0, 200), words(" No.", 5000, 5200)):
        made.add(event)
    made.add(translation(" Não.", 1, 5000, 5200))
    assert [(cue.start_ms, cue.end_ms) for cue in cues(made)] == [(0, 1000), (5000, 6000)]


@given(
    st.lists(
        st.tuples(st.text("añ 訳、。ー<&w", max_size=150), st.integers(0, 3000), st.integers(0, 900)),
        max_size=6,
    ),
    st.booleans(),
)
def test_cues_fit_the_screen_and_never_overlap(clauses: list[tuple[str, int, int]], bilingual: bool) -> None:
    made, at = Transcript(), 0.0
    for index, (text, length, gap) in enumerate(clauses):
        made.add(words(f" {text}", at, at + length))
        made.add(translation(f" {text[::-1]}", index, at, at + length))
        at += length + gap
    shown = cues(made, bilingual)
    for cue, following in pairwise(shown):
        assert round(cue.end_ms) <= round(following.start_ms)
    for cue in shown:
        assert round(cue.start_ms) < round(cue.end_ms)
        assert 1 <= len(cue.lines) <= LINES
        assert all(0 < cell_len(line) <= LINE_CELLS for line in cue.lines)
    if not bilingual:
        kept = "".join(line for cue in shown for line in cue.lines)
        assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", made.text("pt"))


@given(st.text(max_size=200), st.integers(4, 42))
def test_wrapped_lines_keep_every_character(text: str, cells: int) -> None:
    rows = wrap(text, cells)
    assert "".join("".join(rows).split()) == "".join(text.split())
