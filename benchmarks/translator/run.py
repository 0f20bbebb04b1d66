"""Every case asked twice: as one whole clause, and as a clause that grows while its translation is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from benchmarks.translator.judge import TermCheck, check_terms, objection
from benchmarks.translator.suite import Case
from models.briefing import Briefing
from models.errors import TsuyakuError
from models.glossary import Glossary
from models.protocols import TranslationRequest
from pipeline.translate import ClauseTranslation, TranslateConfig, split

STEP = 2  # words, or characters where words have no space between them, by which a clause grows

Manner = Literal["whole", "growing"]
MANNERS: tuple[Manner, ...] = ("whole", "growing")
Outcome = Literal["translated", "stopped", "failed", "wrong"]


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    first_token_s: float | None = None
    """None of an engine that does not stream"""


Ask = Callable[[TranslationRequest], Awaitable[Answer]]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    case: str
    kind: str
    source: str
    target: str
    manner: Manner
    outcome: Outcome
    """`stopped` by the guard, so that the embedded engine's translation would be shown; `failed` by the server"""
    why: str = ""
    text: str = ""
    seconds: float = 0.0
    """of the request for the closed clause"""
    first_token_s: float | None = None
    terms: tuple[TermCheck, ...] = ()


async def run(ask: Ask, cases: Sequence[Case], glossary: Glossary, *, at_once: int = 1) -> list[Result]:
    """Results in the order of `cases`, each in all `MANNERS`."""
    turn = asyncio.Semaphore(at_once)

    async def one(case: Case, manner: Manner) -> Result:
        async with turn:
            return await _one(ask, case, glossary, manner)

    return list(await asyncio.gather(*(one(case, manner) for case in cases for manner in MANNERS)))


async def _one(ask: Ask, case: Case, glossary: Glossary, manner: Manner) -> Result:
    source, target = case.pair
    request = TranslationRequest(
        case.utterance.text, source, target, final=True, briefing=Briefing(_of_terms(case, glossary))
    )
    begin = time.perf_counter()
    translation = ClauseTranslation(TranslateConfig())
    try:
        if manner == "growing":
            await _grow(ask, request, translation)
        begin = time.perf_counter()
        answer = await ask(replace(request, committed=translation.committed))
    except TsuyakuError as error:
        detail = str(getattr(error, "detail", "")) or error.code
        return _result(case, manner, "stopped" if error.code == "llama-rejected" else "failed", detail, "", glossary)
    seconds = time.perf_counter() - begin
    translation.close(answer.text)
    why = objection(case, translation.committed)
    result = _result(case, manner, "wrong" if why else "translated", why, translation.committed, glossary)
    return msgspec.structs.replace(result, seconds=seconds, first_token_s=answer.first_token_s)


def _of_terms(case: Case, glossary: Glossary) -> Glossary:
    """Only sentences about terms are asked with the glossary, so that the others show the engine alone."""
    return glossary if case.utterance.kind == "term" else Glossary()


def _result(case: Case, manner: Manner, outcome: Outcome, why: str, text: str, glossary: Glossary) -> Result:
    return Result(
        case=case.name,
        kind=case.utterance.kind,
        source=case.utterance.source,
        target=case.target,
        manner=manner,
        outcome=outcome,
        why=why,
        text=text,
        terms=check_terms(case, text, _of_terms(case, glossary)),
    )


async def _grow(ask: Ask, request: TranslationRequest, translation: ClauseTranslation) -> None:
    """As a session asks: what two answers agree on is shown, and the next answer continues it."""
    units = split(request.source)
    for count in range(STEP, len(units), STEP):
        source = "".join(units[:count])
        try:
            answer = await ask(replace(request, source=source, committed=translation.committed, final=False))
        except TsuyakuError:
            continue  # of an open clause nothing is shown then; the closed one is asked all the same
        translation.update(answer.text, source)
