"""A server that dies, freezes and returns while people speak: captions go on, once each, and Llama comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.translation import EmbeddedTranslation, LlamaTranslation
from models.llama import LlamaTranslator
from models.llama_breaker import State
from models.protocols import TranslationRequest
from models.store import Store

from .server import VllmServer
from .talk import BUDGET_S, Answer, Talk, engines

pytestmark = pytest.mark.vllm

SLACK_S = 0.05  # for a machine whose cores also run the server and its clients


@asynccontextmanager
async def talking(server: VllmServer) -> AsyncIterator[tuple[Talk, LlamaTranslation]]:
    embedded = EmbeddedTranslation(Store())
    embedded.check("en", "pt")
    await embedded.translate(TranslationRequest("Hello.", "en", "pt", final=True), deadline=0.0, key=None)
    llama = LlamaTranslator(server.url, guard=None, server_priority=True, extra_body={"max_tokens": 8})
    engine = LlamaTranslation(llama, embedded)
    talk, stop = Talk(engine), asyncio.Event()
    speaking = asyncio.create_task(talk.run(stop))
    try:
        await until_engine(talk, "llama", 10.0)
        await asyncio.sleep(2)
        yield talk, engine
    finally:
        stop.set()
        await speaking


async def until_engine(talk: Talk, name: str, within_s: float) -> float:
    """s until an answer by `name` that comes after this call."""
    begin = time.monotonic()
    while not any(answer.engine == name and answer.at > begin for answer in talk.answers):
        assert time.monotonic() - begin < within_s, f"no answer by {name} within {within_s} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


def since(talk: Talk, moment: float) -> list[Answer]:
    return [answer for answer in talk.answers if answer.at > moment]


async def test_killed_server_is_answered_for_at_once_and_used_again_when_it_is_back(vllm: VllmServer) -> None:
    async with talking(vllm) as (talk, engine):
        before = engines(talk.answers)
        killed = time.monotonic()
        vllm.kill()
        await asyncio.sleep(3)
        without = since(talk, killed + BUDGET_S)
        assert engines(without) == {"firefox": len(without)}
        assert without
        assert engine.hedged.breaker.state is not State.CLOSED
        vllm.start()
        await asyncio.to_thread(vllm.wait_until_healthy)
        back_s = await until_engine(talk, "llama", 5.0)
        slowest = max(answer.taken_s for answer in since(talk, killed))
        print(f"before {before}; without the server {len(without)} answers; slowest {slowest * 1000:.0f} ms; ", end="")
        print(f"back on Llama {back_s:.1f} s after its return")
        assert slowest <= BUDGET_S + SLACK_S


async def test_server_that_accepts_and_never_answers_costs_no_caption(vllm: VllmServer) -> None:
    async with talking(vllm) as (talk, engine):
        frozen = time.monotonic()
        vllm.freeze()
        try:
            await asyncio.sleep(5)
        finally:
            vllm.thaw()
        thawed = time.monotonic()
        during = since(talk, frozen + BUDGET_S)
        back_s = await until_engine(talk, "llama", 5.0)
        slowest = max(answer.taken_s for answer in since(talk, frozen))
        print(f"frozen: {engines(during)}; slowest {slowest * 1000:.0f} ms; ", end="")
        print(f"back on Llama {back_s:.1f} s after its return; {dict(engine.hedged.answers)}")
        assert [answer for answer in during if answer.at < thawed and answer.engine != "firefox"] == []
        assert slowest <= BUDGET_S + SLACK_S
