"""People who speak at a steady pace, and what a reader sees of their translation."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field, replace

from models.protocols import TranslationRequest
from pipeline.engines import TranslationEngine
from pipeline.translate import ClauseTranslation, TranslateConfig

from .speech import CLAUSES, steps

BUDGET_S = 0.25


@dataclass(frozen=True)
class Answer:
    at: float
    """s of the monotonic clock, when it came"""
    taken_s: float
    engine: str
    final: bool


@dataclass
class Talk:
    """One speaker and one language; `pairs` are indices of CLAUSES."""

    engine: TranslationEngine
    pairs: tuple[int, ...] = (0,)
    pace_s: float = 0.3
    """between two states of a clause"""
    answers: list[Answer] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    """what a reader has of each clause"""
    superseded: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        for number in itertools.cycle(self.pairs):
            if stop.is_set():
                return
            await self._clause(*CLAUSES[number])

    async def _clause(self, source: str, target: str, clause: str) -> None:
        """Every committed piece is appended to what is shown; at the end that is the whole translation, once."""
        self.shown.append("")
        translation = ClauseTranslation(TranslateConfig(hold_back=1, least_source_words=1))
        for request in steps(source, target, clause):
            due = time.monotonic() + self.pace_s
            asked = replace(request, committed=translation.committed)
            answer = await self._ask(asked, None if request.final else due)
            if answer is None:
                continue
            text, engine = answer
            if engine == "llama":
                assert text.startswith(asked.committed), "the answer does not continue what is shown"
            step = translation.close(text) if request.final else translation.update(text, request.source)
            self.shown[-1] += step.committed
            assert self.shown[-1] == translation.committed
            if request.final and engine == "llama":
                assert self.shown[-1] == text, "text was lost, doubled or reordered"
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _ask(self, request: TranslationRequest, due: float | None) -> tuple[str, str] | None:
        """None where the next state of the clause was there first: the request is cancelled, as a session does."""
        begin = time.monotonic()
        try:
            async with asyncio.timeout_at(None if due is None else asyncio.get_running_loop().time() + due - begin):
                answer = await self.engine.translate(request, deadline=begin + BUDGET_S, key=None)
        except TimeoutError:
            self.superseded += 1
            return None
        end = time.monotonic()
        self.answers.append(Answer(end, end - begin, answer.engine, request.final))
        return answer.text, answer.engine


def engines(answers: list[Answer]) -> dict[str, int]:
    return {name: sum(answer.engine == name for answer in answers) for name in {a.engine for a in answers}}
