"""Who answers a clause, and what the server's failures lead to."""

from __future__ import annotations

import asyncio

import pytest

from models.errors import UnavailableError
from models.llama_breaker import State
from models.llama_errors import LlamaError
from models.llama_hedge import HedgedTranslator
from models.protocols import TranslationRequest

REQUEST = TranslationRequest("hello", "en", "pt", final=True)
NEVER = 30.0


class Llama:
    """Answers, fails with a code, or waits for ever; sets `begun` where it is told to."""

    def __init__(self, outcome: str, begins: bool = False) -> None:
        self.outcome, self.begins, self.calls = outcome, begins, 0
        self.deadlines: list[float] = []

    async def translate(
        self, request: TranslationRequest, *, first_token_deadline_s: float, begun: asyncio.Event | None = None
    ) -> str:
        self.calls += 1
        self.deadlines.append(first_token_deadline_s)
        if self.begins and begun is not None:
            begun.set()
        if self.outcome == "waits":
            await asyncio.Event().wait()
        if self.outcome.startswith("llama-"):
            raise LlamaError(self.outcome, "here")
        return self.outcome


class Embedded:
    def __init__(self, missing: bool = False) -> None:
        self.missing, self.begun, self.ended = missing, asyncio.Event(), 0

    async def __call__(self, request: TranslationRequest) -> str:
        self.begun.set()
        if self.missing:
            raise UnavailableError("pair-missing", "No model.")
        self.ended += 1
        return "embedded"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def hedged(llama: Llama, embedded: Embedded | None, clock: Clock | None = None, **more: object) -> HedgedTranslator:
    return HedgedTranslator(llama, embedded, clock=clock or Clock(), **more)  # type: ignore[arg-type]


async def test_llama_answers_alone_while_it_is_quick() -> None:
    embedded = Embedded()
    answer = await hedged(Llama("olá"), embedded).translate(REQUEST, first_token_deadline_s=NEVER)
    assert (answer.text, answer.engine, answer.reason) == ("olá", "llama", "")
    assert not embedded.begun.is_set()


async def test_failure_is_answered_by_the_embedded_engine_with_its_code() -> None:
    answer = await hedged(Llama("llama-server"), Embedded()).translate(REQUEST)
    assert (answer.text, answer.engine, answer.reason) == ("embedded", "firefox", "llama-server")


async def test_embedded_engine_begins_before_a_silent_server_has_missed_its_deadline() -> None:
    embedded = Embedded()
    task = asyncio.create_task(hedged(Llama("waits"), embedded).translate(REQUEST, first_token_deadline_s=0.0))
    await embedded.begun.wait()
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert embedded.ended == 1


async def test_embedded_engine_is_spared_once_the_first_token_is_there() -> None:
    embedded = Embedded()
    task = asyncio.create_task(
        hedged(Llama("waits", begins=True), embedded).translate(REQUEST, first_token_deadline_s=0.0)
    )
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not embedded.begun.is_set()


async def settled(translator: HedgedTranslator) -> None:
    """Until the probe that runs beside the clauses has ended."""
    for _ in range(50):
        await asyncio.sleep(0)
        if translator.breaker.state is not State.PROBING:
            return


async def test_server_that_keeps_failing_is_left_alone_and_probed_after_its_rest() -> None:
    llama, clock = Llama("llama-unreachable"), Clock()
    translator = hedged(llama, Embedded(), clock)
    reasons = [(await translator.translate(REQUEST)).reason for _ in range(5)]
    assert reasons == ["llama-unreachable"] * 3 + ["llama-resting"] * 2
    assert llama.calls == 3
    llama.outcome, clock.now = "olá", 0.5
    assert (await translator.translate(REQUEST)).reason == "llama-resting"
    await settled(translator)
    assert translator.breaker.state is State.CLOSED
    assert (await translator.translate(REQUEST)).engine == "llama"
    assert translator.answers == {"firefox llama-unreachable": 3, "firefox llama-resting": 3, "llama": 1}


async def test_no_clause_waits_for_a_probe_and_a_cold_server_has_more_time_for_its_first_answer() -> None:
    llama, clock = Llama("llama-slow"), Clock()
    translator = hedged(llama, Embedded(), clock)
    for _ in range(3):
        await translator.translate(REQUEST)
    llama.outcome, clock.now = "waits", 0.5
    answers = [await translator.translate(REQUEST) for _ in range(3)]
    await asyncio.sleep(0)
    assert {answer.engine for answer in answers} == {"firefox"}
    assert llama.calls == 4
    assert llama.deadlines[-1] == 2.0
    assert translator.breaker.state is State.PROBING


async def test_server_that_is_slow_when_warm_is_not_used_again() -> None:
    class SlowTwice(Llama):
        async def translate(self, request: TranslationRequest, **more: object) -> str:  # type: ignore[override]
            self.outcome = "llama-slow" if self.calls != 3 else "olá"
            return await super().translate(request, **more)  # type: ignore[arg-type]

    llama, clock = SlowTwice("llama-slow"), Clock()
    translator = hedged(llama, Embedded(), clock)
    for _ in range(3):
        await translator.translate(REQUEST)
    clock.now = 0.5
    await translator.translate(REQUEST)
    await settled(translator)
    assert llama.calls == 5
    assert translator.breaker.state is State.OPEN


async def test_wrong_key_is_not_tried_a_second_time() -> None:
    llama = Llama("llama-key")
    translator = hedged(llama, Embedded())
    assert [(await translator.translate(REQUEST)).reason for _ in range(2)] == ["llama-key", "llama-resting"]


async def test_rejected_answer_shows_that_the_server_is_there() -> None:
    llama, clock = Llama("llama-unreachable"), Clock()
    translator = hedged(llama, Embedded(), clock)
    for _ in range(3):
        await translator.translate(REQUEST)
    llama.outcome, clock.now = "llama-rejected", 0.5
    await translator.translate(REQUEST)
    await settled(translator)
    assert (await translator.translate(REQUEST)).reason == "llama-rejected"
    assert translator.breaker.state is State.CLOSED


async def test_cancelled_probe_leaves_the_next_request_to_probe() -> None:
    llama, clock = Llama("llama-unreachable"), Clock()
    translator = hedged(llama, None, clock)
    for _ in range(3):
        with pytest.raises(LlamaError):
            await translator.translate(REQUEST)
    llama.outcome, clock.now = "waits", 0.5
    probe = asyncio.create_task(translator.translate(REQUEST, first_token_deadline_s=NEVER))
    while llama.calls < 4:
        await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    llama.outcome = "olá"
    assert (await translator.translate(REQUEST)).engine == "llama"


async def test_pair_that_llama_has_alone_fails_with_the_servers_error() -> None:
    translator = hedged(Llama("llama-unreachable"), Embedded(), supports=lambda source, target: False)
    assert translator.alone("en", "hi")
    with pytest.raises(LlamaError, match="tsuyaku llama serve"):
        await translator.translate(REQUEST)


async def test_engine_without_the_pair_does_not_hide_the_servers_error() -> None:
    with pytest.raises(LlamaError) as caught:
        await hedged(Llama("llama-server"), Embedded(missing=True)).translate(REQUEST)
    assert caught.value.code == "llama-server"
