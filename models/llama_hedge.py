"""Llama by its deadline, else the embedded engine: a clause is always answered, and the answer says by whom."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from models.errors import TsuyakuError, UnavailableError
from models.glossary import Glossary, translate_with_glossary
from models.llama import LlamaTranslator
from models.llama_breaker import CircuitBreaker
from models.llama_errors import LlamaError, Outcome
from models.protocols import TranslationRequest

LLAMA = "llama"


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
        glossary: Glossary | None = None,
        alone_deadline_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`supports`: the embedded pairs; others get `alone_deadline_s` for the first token."""
        self._llama = llama
        self._embedded = embedded
        self._breaker = breaker or CircuitBreaker()
        self._name = embedded_name
        self._supports = supports
        self._glossary = glossary or Glossary()
        self._alone_s = alone_deadline_s
        self._clock = clock

    @property
    def breaker(self) -> CircuitBreaker:
        return self._breaker

    def alone(self, source: str, target: str) -> bool:
        """Whether only Llama translates this pair: to be said where it is chosen."""
        return self._embedded is None or not self._supports(source, target)

    async def translate(
        self, request: TranslationRequest, *, priority: int = 0, first_token_deadline_s: float = 0.25
    ) -> Translated:
        """Raises `UnavailableError` only for a pair that Llama has alone."""
        alone = self.alone(request.source_language, request.target_language)
        if not self._breaker.allow(self._clock()):
            failure: UnavailableError = UnavailableError(
                "llama-resting", "The Llama server failed and is left alone for a moment; it is asked again by itself."
            )
        else:
            deadline_s = max(self._alone_s, first_token_deadline_s) if alone else first_token_deadline_s
            answer = await self._ask(request, priority, deadline_s)
            if isinstance(answer, str):
                return Translated(answer, LLAMA)
            failure = answer
        if alone:
            raise failure
        return await self._fall_back(request, failure)

    async def _ask(self, request: TranslationRequest, priority: int, deadline_s: float) -> str | LlamaError:
        told = False
        try:
            text = await self._llama.translate(request, priority=priority, first_token_deadline_s=deadline_s)
            self._breaker.succeeded()
            told = True
            return text
        except LlamaError as error:
            if error.outcome is not Outcome.REQUEST:
                self._breaker.failed(self._clock(), at_once=error.outcome is Outcome.OPEN)
                told = True
            return error
        finally:
            if not told:  # cancelled, or the request's own fault
                self._breaker.released(self._clock())

    async def _fall_back(self, request: TranslationRequest, failure: UnavailableError) -> Translated:
        assert self._embedded is not None  # not `alone`
        try:
            text = await translate_with_glossary(self._glossary, self._embedded, request)
        except TsuyakuError as error:
            raise failure from error
        return Translated(text, self._name, failure.code)
