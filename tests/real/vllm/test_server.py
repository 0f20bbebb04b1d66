"""Our client against a real vLLM that serves a random Llama 4: how we talk to it, not what it says."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import replace

import pytest

from models.llama import LlamaTranslator
from models.llama_errors import LlamaError
from models.llama_prompt import build
from models.protocols import TranslationRequest
from pipeline.translate import ClauseTranslation, TranslateConfig

from . import raw
from .server import NAME, VllmServer
from .speech import CLAUSES, PATIENT, steps, translator

pytestmark = pytest.mark.vllm

LONG = {"ignore_eos": True, "stop": None}
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}


def closed_clause(number: int = 0, committed: str = "") -> TranslationRequest:
    source, target, clause = CLAUSES[number]
    return TranslationRequest(clause, source, target, committed, final=True)


async def until_running(server: VllmServer, count: int, within_s: float = 5.0) -> float:
    """s until the server runs `count` requests."""
    begin = time.perf_counter()
    while await asyncio.to_thread(server.metric, "num_requests_running") != count:
        assert time.perf_counter() - begin < within_s
    return time.perf_counter() - begin


async def test_health_names_the_model(vllm: VllmServer) -> None:
    health = await LlamaTranslator(vllm.url).health()
    assert (health.ok, health.models) == (True, (NAME,))


async def test_model_that_the_server_lacks_is_said(vllm: VllmServer) -> None:
    llama = LlamaTranslator(vllm.url, "another")
    assert (await llama.health()).code == "llama-model"
    with pytest.raises(LlamaError, match="--llama-model"):
        await llama.translate(closed_clause(), first_token_deadline_s=5)


def test_prompt_that_is_continued_ends_with_the_committed_text(vllm: VllmServer) -> None:
    request = closed_clause(committed="O comboio")
    begun = vllm.tokens(build(request), **CONTINUED)
    asked = vllm.tokens(build(replace(request, committed="")), add_generation_prompt=True)
    assert begun[: len(asked)] == asked
    assert vllm.text(begun[len(asked) :]) == "O comboio"


@pytest.mark.parametrize("number", range(len(CLAUSES)))
async def test_streamed_text_is_the_text_of_one_whole_answer(vllm: VllmServer, number: int) -> None:
    """Characters that the tokeniser splits arrive whole; nothing is lost between chunks."""
    request = closed_clause(number, "Bom")
    text = await translator(vllm).translate(request, first_token_deadline_s=10)
    whole = await asyncio.to_thread(raw.answer, vllm, request)
    assert text == "Bom" + whole.rstrip().rstrip("\N{REPLACEMENT CHARACTER}").rstrip()


@pytest.mark.parametrize(("source", "target", "clause"), CLAUSES)
async def test_most_of_the_prompt_is_cached_from_the_third_step_of_a_clause(
    vllm: VllmServer, source: str, target: str, clause: str
) -> None:
    # Random weights write without end; a translation is about as long as its source: 4 tokens for 3 words.
    llama, shown = translator(vllm, max_tokens=4), ClauseTranslation(TranslateConfig(hold_back=1, least_source_words=1))
    shares: list[float] = []
    for request in steps(source, target, clause):
        asked = replace(request, committed=shown.committed)
        answer = await llama.translate(asked, first_token_deadline_s=10)
        assert answer.startswith(shown.committed)
        shares.append(llama.stats.last_cached_tokens / llama.stats.last_prompt_tokens)
        (shown.close if request.final else lambda text, s=request.source: shown.update(text, s))(answer)
    print(f"{source}-{target} cached share of the prompt by step: {' '.join(f'{share:.2f}' for share in shares)}")
    assert min(shares[2:]) >= 0.8


async def test_cancelled_request_leaves_the_running_set_within_100_ms(vllm: VllmServer) -> None:
    llama = translator(vllm, **LONG, max_tokens=1200)
    left_s: list[float] = []
    for _ in range(8):
        task = asyncio.create_task(llama.translate(closed_clause(), first_token_deadline_s=10))
        await until_running(vllm, 1)
        task.cancel()
        left_s.append(await until_running(vllm, 0))
        with pytest.raises(asyncio.CancelledError):
            await task
    generated = vllm.metric("generation_tokens_total")
    await asyncio.sleep(0.2)
    print(f"left the running set after {statistics.median(left_s) * 1000:.0f} ms, at most {max(left_s) * 1000:.0f} ms")
    assert vllm.metric("generation_tokens_total") == generated
    assert max(left_s) <= 0.1
    assert llama.stats.cancelled == 8


async def test_closed_clause_overtakes_open_ones_that_wait_at_the_server(vllm: VllmServer) -> None:
    busy = translator(vllm, **LONG, max_tokens=300)
    full = [asyncio.create_task(busy.translate(closed_clause(), first_token_deadline_s=30)) for _ in range(16)]
    await until_running(vllm, vllm.sequences)
    short = LlamaTranslator(
        vllm.url, guard=None, deadlines=PATIENT, server_priority=True, max_concurrent=64, extra_body={"max_tokens": 4}
    )
    order: list[str] = []

    async def ask(name: str, *, final: bool) -> None:
        await short.translate(replace(closed_clause(1), final=final), first_token_deadline_s=30)
        order.append(name)

    waiting = [asyncio.create_task(ask(f"open {n}", final=False)) for n in range(24)]
    await asyncio.sleep(0.3)
    waiting.append(asyncio.create_task(ask("closed", final=True)))
    await asyncio.gather(*full, *waiting)
    print(f"the closed clause, sent last of 25, was answered at place {order.index('closed') + 1}")
    assert order.index("closed") < vllm.sequences


async def test_full_server_is_answered_for_by_its_deadline(vllm: VllmServer) -> None:
    busy = translator(vllm, **LONG, max_tokens=600)
    full = [asyncio.create_task(busy.translate(closed_clause(), first_token_deadline_s=30)) for _ in range(16)]
    await until_running(vllm, vllm.sequences)
    begin = time.perf_counter()
    with pytest.raises(LlamaError) as caught:
        await translator(vllm).translate(replace(closed_clause(1), final=False), first_token_deadline_s=0.25)
    taken_s = time.perf_counter() - begin
    for task in full:
        task.cancel()
    await asyncio.gather(*full, return_exceptions=True)
    assert caught.value.code == "llama-slow"
    assert taken_s < 0.5


async def test_prompt_beyond_the_context_is_the_requests_own_fault(vllm: VllmServer) -> None:
    with pytest.raises(LlamaError) as caught:
        await translator(vllm).translate(replace(closed_clause(), source="word " * 3000), first_token_deadline_s=5)
    assert (caught.value.code, caught.value.detail) == ("llama-request", "400")


async def test_first_token_comes_at_most_3_ms_later_than_from_the_raw_api(vllm: VllmServer) -> None:
    """Paired: the same prompt, in turns, over a connection that is kept open. Other work on the machine only ever adds
    to a client's time, so the lowest median of three rounds is what the client costs."""
    llama, request = translator(vllm, max_tokens=4), closed_clause(0, "O comboio")
    connection = await raw.Connection.open(vllm)
    await llama.translate(request, first_token_deadline_s=10)
    await connection.first_token(request)

    async def extra_ms() -> float:
        begin, begun = time.perf_counter(), asyncio.Event()
        task = asyncio.create_task(llama.translate(request, first_token_deadline_s=10, begun=begun))
        await begun.wait()
        ours = time.perf_counter() - begin
        await task
        return (ours - await connection.first_token(request)) * 1000

    rounds = [statistics.median([await extra_ms() for _ in range(60)]) for _ in range(3)]
    await connection.close()
    print(f"over the raw API: medians of 60 pairs {', '.join(f'{median:.1f}' for median in rounds)} ms")
    assert min(rounds) <= 3.0
