"""Llama by its deadline, else the embedded engine: a clause is always answered, and the answer says by whom.

The embedded engine begins when half of the time has passed without a token, so that its answer is there in time
(a hedged request: Dean and Barroso, *The Tail at Scale*, 2013). A server that failed is tried again beside the clauses,
not by one of them, so that no caption waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from models.errors import TsuyakuError, UnavailableError
from models.llama import LlamaTranslator
from models.llama_breaker import CircuitBreaker, State
from models.llama_errors import LlamaError, Outcome
from models.protocols import TranslationRequest

LLAMA = "llama"
RESTING = UnavailableError(
    "llama-resting", "The Llama server failed and is left alone for a moment; it is asked again by itself."
)


@dataclass(frozen=True, slots=True)
class Translated:
    text: str
    engine: str
    """`LLAMA`, or the embedded engine's name"""
    reason: str = ""
    """code of the `LlamaError` for which it was not Llama; `llama-resting` while the server is left alone"""


Embedded = Callable[[TranslationRequest], Awaitable[str]]


class HedgedTranslator:
    """`embedded` may raise a `TsuyakuError` for a pair that it lacks, which is then Llama's alone."""

    def __init__(
        self,
        llama: LlamaTranslator,
        embedded: Embedded | None,
        breaker: CircuitBreaker | None = None,
        *,
        embedded_name: str = "firefox",
        supports: Callable[[str, str], bool] = lambda source, target: True,
        alone_deadline_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`supports`: the embedded pairs; others get `alone_deadline_s` for the first token."""
        self.llama = llama
        self.answers: Counter[str] = Counter()
        """by engine, and by the code for which it was not Llama"""
        self._embedded = embedded
        self._breaker = breaker or CircuitBreaker()
        self._name = embedded_name
        self._supports = supports
        self._alone_s = alone_deadline_s
        self._clock = clock
        self._probe: asyncio.Task[str | UnavailableError] | None = None

    @property
    def breaker(self) -> CircuitBreaker:
        return self._breaker

    def alone(self, source: str, target: str) -> bool:
        """Whether only Llama translates this pair: to be said where it is chosen."""
        return self._embedded is None or not self._supports(source, target)

    async def translate(self, request: TranslationRequest, *, first_token_deadline_s: float = 0.25) -> Translated:
        """Raises `UnavailableError` only for a pair that Llama has alone."""
        if self.alone(request.source_language, request.target_language):
            answer = await self._alone(request, max(self._alone_s, first_token_deadline_s))
        else:
            answer = await self._hedged(request, first_token_deadline_s)
        self.answers[answer.engine if not answer.reason else f"{answer.engine} {answer.reason}"] += 1
        return answer

    async def _alone(self, request: TranslationRequest, deadline_s: float) -> Translated:
        if not self._breaker.allow(self._clock()):
            raise RESTING
        answer = await self._ask(request, deadline_s, asyncio.Event())
        if isinstance(answer, UnavailableError):
            raise answer
        return Translated(answer, LLAMA)

    async def _hedged(self, request: TranslationRequest, deadline_s: float) -> Translated:
        if self._breaker.state is not State.CLOSED:
            self._probe_beside(request, deadline_s)
            return await self._embedded_answer(self._fall_back(request), RESTING)
        begun = asyncio.Event()
        asking = asyncio.create_task(self._ask(request, deadline_s, begun))
        falling: asyncio.Task[str] | None = None
        try:
            done, _ = await asyncio.wait({asking}, timeout=deadline_s / 2)
            if not done and not begun.is_set():
                falling = asyncio.create_task(self._fall_back(request))
            answer = await asking
            if isinstance(answer, str):
                return Translated(answer, LLAMA)
            return await self._embedded_answer(falling or self._fall_back(request), answer)
        finally:
            await _end(asking, falling)

    async def _embedded_answer(self, answer: Awaitable[str], reason: UnavailableError) -> Translated:
        """Raises `reason` where the embedded engine has no answer either."""
        try:
            return Translated(await answer, self._name, reason.code)
        except TsuyakuError as error:
            raise reason from error

    def _probe_beside(self, request: TranslationRequest, deadline_s: float) -> None:
        if self._breaker.allow(self._clock()):
            self._probe = asyncio.create_task(self._ask(request, deadline_s, asyncio.Event(), cold=True))

    async def _ask(
        self, request: TranslationRequest, deadline_s: float, begun: asyncio.Event, *, cold: bool = False
    ) -> str | UnavailableError:
        """Once the breaker has allowed it. `cold`: the server may have just started, so it is asked twice, and only the
        second answer has to come by the deadline."""
        told = False
        try:
            if cold:
                await self.llama.translate(request, first_token_deadline_s=max(self._alone_s, deadline_s))
            text = await self.llama.translate(request, first_token_deadline_s=deadline_s, begun=begun)
            self._breaker.succeeded()
            told = True
            return text
        except LlamaError as error:
            told = error.code != "llama-full"
            if error.outcome is not Outcome.REQUEST:
                self._breaker.failed(self._clock(), at_once=error.outcome is Outcome.OPEN)
            elif told:
                self._breaker.succeeded()  # it answers, if not with what this request needs
            return error
        finally:
            if not told:  # cancelled, or never sent
                self._breaker.released(self._clock())

    async def _fall_back(self, request: TranslationRequest) -> str:
        assert self._embedded is not None  # not `alone`
        return await self._embedded(request)


async def _end(*tasks: asyncio.Task[str | UnavailableError] | asyncio.Task[str] | None) -> None:
    for task in tasks:
        if task is not None:
            task.cancel()
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)
