"""Glossaries: three formats, terms found in any script, and translations that keep them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InputError
from models.glossary import (
    MOST_TERMS,
    Glossary,
    Rule,
    Term,
    from_csv,
    from_tbx,
    from_toml,
    load,
    translate_with_terms,
)

TOML = """
[[term]]
en = "circuit breaker"
pt = "disjuntor"
ja = "遮断器"

[[term]]
keep = "Tsuyaku"
case = true
"""
CSV = "\N{ZERO WIDTH NO-BREAK SPACE}en,pt,ja,keep,case\ncircuit breaker,disjuntor,遮断器,,\n,,,Tsuyaku,yes\n"
TBX = """<?xml version="1.0"?>
<tbx xmlns="urn:iso:std:iso:30042:ed-2"><text><body><conceptEntry id="c1">
  <langSec xml:lang="en-GB"><termSec><term>circuit <hi>breaker</hi></term></termSec></langSec>
  <langSec xml:lang="pt"><termSec><term>disjuntor</term></termSec><termSec><term>quebra</term></termSec></langSec>
</conceptEntry></body></text></tbx>"""
TBX_2 = TBX.replace("conceptEntry", "termEntry").replace("langSec", "langSet").replace("termSec", "tig")


@pytest.mark.parametrize("glossary", [from_toml(TOML.encode()), from_csv(CSV.encode())])
def test_formats_say_the_same(glossary: Glossary) -> None:
    assert glossary.rules("A Circuit  breaker at Tsuyaku", "en", "pt") == [
        Rule("Circuit  breaker", "disjuntor"),
        Rule("Tsuyaku", "Tsuyaku"),
    ]
    assert glossary.rules("tsuyaku", "en", "pt") == []
    assert glossary.rules("遮断器が落ちた", "ja", "en") == [Rule("遮断器", "circuit breaker")]
    assert glossary.hotwords("ja") == ("遮断器", "Tsuyaku")


@pytest.mark.parametrize("text", [TBX, TBX_2])
def test_tbx_gives_the_first_term_of_each_language(text: str) -> None:
    assert from_tbx(text.encode()).rules("the circuit breaker", "en", "pt-BR") == [Rule("circuit breaker", "disjuntor")]


def test_term_is_found_as_a_whole_word_and_the_longest_rules() -> None:
    glossary = Glossary([Term({"en": "art", "pt": "arte"}), Term({"en": "art history", "pt": "história da arte"})])
    assert glossary.rules("art history, party, art", "en", "pt") == [
        Rule("art history", "história da arte"),
        Rule("art", "arte"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("terms.docx", "", "glossary-format"),
        ("missing.toml", None, "glossary-missing"),
        ("terms.toml", "term = ", "glossary-syntax"),
        ("terms.toml", "other = 1", "glossary-syntax"),
        ("terms.toml", "[[term]]\nen = 3", "glossary-syntax"),
        ("terms.toml", "[[term]]\n", "glossary-syntax"),
        ("terms.toml", '[[term]]\nen = "a"\ncase = "maybe"', "glossary-syntax"),
        ("terms.toml", '[[term]]\nenglish_word = "a"', "glossary-syntax"),
        ("terms.csv", "en,pt\n\xe9,b,c,d\n", "glossary-syntax"),
        ("terms.tbx", "<tbx>", "glossary-syntax"),
        ("terms.tbx", '<!DOCTYPE x [<!ENTITY a "b">]><tbx>&a;</tbx>', "glossary-syntax"),
    ],
)
def test_what_cannot_be_read_is_said_with_a_code(tmp_path: Path, name: str, content: str | None, code: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(InputError) as caught:
        load(tmp_path / name)
    assert caught.value.code == code


def test_too_many_terms_are_refused() -> None:
    with pytest.raises(InputError, match="most"):
        Glossary(Term({"en": "a"}) for _ in range(MOST_TERMS + 1))


GLOSSARY = from_toml(TOML.encode())


async def translated(text: str, carries: bool) -> str:
    async def engine(piece: str) -> str:
        return piece.upper() if carries else piece.upper().replace("XQ", "QX")

    return await translate_with_terms(GLOSSARY, engine, text, "en", "pt")


@pytest.mark.parametrize("carries", [True, False])
async def test_terms_are_kept_whether_the_engine_carries_stand_ins_or_not(carries: bool) -> None:
    assert await translated("the circuit breaker of Tsuyaku, now.", carries) == "THE disjuntor OF Tsuyaku, NOW."
    assert await translated("Tsuyaku.", carries) == "Tsuyaku."
    assert await translated("nothing here", carries) == "NOTHING HERE"


@given(st.lists(st.sampled_from(["circuit breaker", "Tsuyaku", "the", "runs", ",", "."]), max_size=8), st.booleans())
async def test_every_term_occurs_as_often_as_it_was_said(words: list[str], carries: bool) -> None:
    text = await translated(" ".join(words), carries)
    assert text.count("disjuntor") == words.count("circuit breaker")
    assert text.count("Tsuyaku") == words.count("Tsuyaku")


@given(
    st.text(st.sampled_from("aAsSßſ éÉ.İı"), max_size=30), st.text(st.sampled_from("aAsSéÉß"), min_size=1, max_size=4)
)
def test_term_is_found_wherever_it_stands_as_a_word_in_any_case(text: str, term: str) -> None:
    glossary = Glossary([Term({"en": term, "pt": "x"})])
    words = [word for word in re.split(r"\W+", text) if re.fullmatch(re.escape(term), word, re.IGNORECASE)]
    assert {rule.source for rule in glossary.rules(text, "en", "pt")} == set(words)


def test_ten_thousand_terms_are_searched_as_one() -> None:
    glossary = Glossary(Term({"en": f"term {number}", "pt": f"termo {number}"}) for number in range(MOST_TERMS))
    assert glossary.rules("term 7 and Term 9999", "en", "pt") == [
        Rule("term 7", "termo 7"),
        Rule("Term 9999", "termo 9999"),
    ]
