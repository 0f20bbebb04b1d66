"""The client between a transport made for tests and its caller: every way in which an answer may arrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InputError
from models.llama import Deadlines, LlamaTranslator, require_url
from models.llama_errors import LlamaError, Outcome
from models.protocols import TranslationRequest

REQUEST = TranslationRequest("The train leaves at half past nine.", "en", "pt", final=True)
NEVER = 30.0  # a deadline that no test waits for


class Chunks(httpx2.AsyncByteStream):
    def __init__(self, chunks: Sequence[bytes], then: Callable[[], object] | None = None) -> None:
        self._chunks, self._then = chunks, then

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._then is not None:
            result = self._then()
            if asyncio.iscoroutine(result):
                await result


class Server(httpx2.AsyncBaseTransport):
    """Answers each request with the next of `answers`, and keeps what it was asked."""

    def __init__(self, *answers: Callable[[], httpx2.Response]) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, object]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(json.loads(await request.aread()) if request.method == "POST" else {})
        answer = self._answers.pop(0)()
        answer.request = request
        return answer


def event(text: str | None, finish: str | None = None, **more: object) -> bytes:
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]
    return b"data: " + json.dumps({"choices": choices, **more}, ensure_ascii=False).encode() + b"\n\n"


USAGE = {"prompt_tokens": 100, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 64}}
END = b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\ndata: [DONE]\n\n"


def stream(*chunks: bytes, then: Callable[[], object] | None = None) -> Callable[[], httpx2.Response]:
    headers = {"content-type": "text/event-stream"}
    return lambda: httpx2.Response(200, headers=headers, stream=Chunks(chunks, then))


def status(code: int) -> Callable[[], httpx2.Response]:
    return lambda: httpx2.Response(code, json={"error": {"message": "the words that were said"}})


def failing(error: Exception) -> Callable[[], httpx2.Response]:
    def fail() -> httpx2.Response:
        raise error

    return fail


def translator(server: Server, **more: object) -> LlamaTranslator:
    """Without deadlines, unless a test asks for one: a machine may stand still for longer than an answer may."""
    more.setdefault("deadlines", Deadlines(NEVER, NEVER, NEVER))
    return LlamaTranslator("http://127.0.0.1:1/v1", "m", transport=server, **more)  # type: ignore[arg-type]


async def failure(server: Server, request: TranslationRequest = REQUEST, **more: object) -> LlamaError:
    with pytest.raises(LlamaError) as caught:
        await translator(server, **more).translate(request, first_token_deadline_s=NEVER)
    return caught.value


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)  # each example makes a client, which takes 20 ms
@given(st.lists(TEXT, min_size=1, max_size=6), TEXT, st.data())
def test_answer_continues_the_committed_text_however_its_stream_is_split(
    pieces: list[str], committed: str, data: st.DataObject
) -> None:
    """Any script; cut anywhere, within characters and events too."""
    body = b"".join(map(event, pieces)) + event("", "stop") + END
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=12)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    request = TranslationRequest("source", "en", "pt", committed, final=True)
    text = asyncio.run(translator(Server(stream(*chunks)), guard=None).translate(request, first_token_deadline_s=NEVER))
    assert text == committed + "".join(pieces)


async def test_committed_text_is_continued_and_nothing_is_generated_before_it() -> None:
    server = Server(stream(event(" parte", "stop"), END))
    await translator(server).translate(
        TranslationRequest("The train leaves", "en", "pt", "O comboio"), first_token_deadline_s=NEVER
    )
    (asked,) = server.asked
    assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)
    assert asked["temperature"] == 0
    assert "priority" not in asked


async def test_closed_clause_has_priority_at_a_server_that_schedules_by_it() -> None:
    server = Server(stream(event("O comboio parte.", "stop"), END), stream(event("O comboio", "stop"), END))
    llama = translator(server, server_priority=True)
    await llama.translate(REQUEST, first_token_deadline_s=NEVER)
    await llama.translate(TranslationRequest("The train", "en", "pt"), first_token_deadline_s=NEVER)
    assert [asked["priority"] for asked in server.asked] == [0, 1]


async def test_cached_tokens_are_counted() -> None:
    llama = translator(Server(stream(event("O comboio parte às nove e meia.", "stop"), END)))
    await llama.translate(REQUEST, first_token_deadline_s=NEVER)
    assert (llama.stats.prompt_tokens, llama.stats.cached_tokens, llama.stats.completion_tokens) == (100, 64, 3)


async def test_half_a_character_at_the_length_limit_is_left_out() -> None:
    llama = translator(Server(stream(event("京\N{REPLACEMENT CHARACTER}", "length"), END)))
    request = TranslationRequest("the capital", "en", "ja", "東", final=True)
    assert await llama.translate(request, first_token_deadline_s=NEVER) == "東京"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (status(400), "llama-request"),
        (status(401), "llama-key"),
        (status(404), "llama-model"),
        (status(429), "llama-busy"),
        (status(500), "llama-server"),
        (status(503), "llama-busy"),
        (failing(httpx2.ConnectError("no")), "llama-unreachable"),
        (failing(httpx2.ConnectTimeout("no")), "llama-unreachable"),
        (stream(b"data: {{{\n\n"), "llama-malformed"),
        (stream(b"data: []\n\n"), "llama-malformed"),
        (stream(b'data: {"choices": 3}\n\n'), "llama-malformed"),
        (stream(b'data: {"choices": [{"delta": {"content": 3}}]}\n\n'), "llama-malformed"),
        (stream(b"\xff\xfe\x00 garbage"), "llama-malformed"),
        (stream(b"data: \xff\xfe\n\n"), "llama-malformed"),
        (lambda: httpx2.Response(200, text="<html>"), "llama-dropped"),
    ],
)
async def test_wrong_answer_becomes_its_error(answer: Callable[[], httpx2.Response], code: str) -> None:
    error = await failure(Server(answer, answer))
    assert error.code == code
    assert "words that were said" not in error.message


async def test_connection_that_drops_before_the_first_token_is_tried_once_more() -> None:
    llama = translator(Server(failing(httpx2.ReadError("reset")), stream(event("O comboio parte.", "stop"), END)))
    assert await llama.translate(REQUEST, first_token_deadline_s=NEVER) == "O comboio parte."
    assert llama.stats.retries == 1


async def test_stream_that_dies_in_the_middle_is_not_tried_again() -> None:
    server = Server(stream(event("O comboio"), then=failing(httpx2.ReadError("reset"))))
    assert (await failure(server)).code == "llama-dropped"
    assert len(server.asked) == 1


async def test_stream_without_its_end_is_dropped() -> None:
    assert (await failure(Server(stream(event("O comboio"))))).code == "llama-dropped"


async def test_answer_that_is_no_translation_is_rejected_and_says_why() -> None:
    error = await failure(Server(stream(event(REQUEST.source, "stop"), END)))
    assert (error.code, error.detail, error.outcome) == ("llama-rejected", "echo", Outcome.REQUEST)


async def test_stream_that_loops_is_left_at_once() -> None:
    forever = asyncio.Event()
    server = Server(stream(*[event(" vamos lá")] * 8, then=forever.wait))
    assert (await failure(server)).detail == "loop"


async def test_no_token_by_the_deadline_is_slow() -> None:
    server = Server(stream(then=asyncio.Event().wait))
    with pytest.raises(LlamaError) as caught:
        await translator(server).translate(REQUEST, first_token_deadline_s=0)
    assert caught.value.code == "llama-slow"


async def test_stream_that_stalls_is_slow() -> None:
    error = await failure(Server(stream(event("O"), then=asyncio.Event().wait)), deadlines=Deadlines(stall_s=0.0))
    assert error.code == "llama-slow"


async def test_request_that_finds_no_slot_in_time_is_not_the_servers_fault() -> None:
    begun, forever = asyncio.Event(), asyncio.Event()
    server = Server(stream(event("O"), then=forever.wait))
    llama = translator(server, max_concurrent=1)
    first = asyncio.create_task(llama.translate(REQUEST, first_token_deadline_s=NEVER, begun=begun))
    await begun.wait()
    with pytest.raises(LlamaError) as caught:
        await llama.translate(REQUEST, first_token_deadline_s=0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (caught.value.code, caught.value.outcome) == ("llama-full", Outcome.REQUEST)
    assert llama.stats.cancelled == 1


async def test_only_model_of_a_server_is_found() -> None:
    models = {"object": "list", "data": [{"id": "scout", "object": "model"}]}
    server = Server(lambda: httpx2.Response(200, json=models), stream(event("O comboio parte.", "stop"), END))
    await LlamaTranslator("http://127.0.0.1:1/v1", transport=server).translate(REQUEST, first_token_deadline_s=NEVER)
    assert server.asked[-1]["model"] == "scout"


async def test_server_with_several_models_needs_a_choice() -> None:
    models = {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}
    server = Server(lambda: httpx2.Response(200, json=models))
    with pytest.raises(LlamaError, match="--llama-model"):
        await LlamaTranslator("http://127.0.0.1:1/v1", transport=server).translate(
            REQUEST, first_token_deadline_s=NEVER
        )


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x/v1", "http://", "http://[::1/v1"])
def test_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="address"):
        require_url(url)
