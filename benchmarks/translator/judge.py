"""What is wrong with an answer, and which terms of the glossary it keeps."""

from __future__ import annotations

import re

import msgspec

from benchmarks.translator.suite import Case
from models.glossary import ANY, Glossary
from models.llama_guard import Guard

GUARD = Guard()


class TermCheck(msgspec.Struct, frozen=True, kw_only=True):
    term: str
    """as it was said"""
    expected: str
    kept: bool
    """a name that stays as it is in every language"""
    hit: bool


def objection(case: Case, text: str) -> str:
    """Why `text` is no translation of the case, in a word: what the guard objects to, `answered` or `unlike`."""
    spoken = case.utterance
    if why := GUARD.objection(text, spoken.text, final=True):
        return why
    if spoken.never and re.search(spoken.never, text):
        return "answered"
    says = spoken.says.get(case.target)
    return "unlike" if says and not re.search(says, text) else ""


def check_terms(case: Case, text: str, glossary: Glossary) -> tuple[TermCheck, ...]:
    """A name must be there letter by letter; a translated term may begin a sentence."""
    names = {form for term in glossary.terms if (form := term.forms.get(ANY))}
    found: list[TermCheck] = []
    for rule in glossary.rules(case.utterance.text, *case.pair):
        kept = rule.target in names
        hit = rule.target in text if kept else rule.target.casefold() in text.casefold()
        found.append(TermCheck(term=rule.source, expected=rule.target, kept=kept, hit=hit))
    return tuple(found)
