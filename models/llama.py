"""Llama 4 behind any OpenAI-compatible server: append-only simultaneous translation, one clause at a time.

The committed target is sent as the last assistant message and continued (vLLM: `continue_final_message` with
`add_generation_prompt: false`), so an answer begins with what is shown already, whatever the server answers.
Whoever awaits `translate` drops a request by cancelling it: the connection closes and vLLM aborts the generation.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from models.errors import InputError
from models.llama_errors import FAILURES, Dropped, LlamaError, Malformed, Outcome, as_llama_error
from models.llama_guard import Guard, tidy, weight
from models.llama_prompt import Message, build
from models.llama_slots import Slots
from models.protocols import TranslationRequest

import httpx2  # isort: skip  # after llama_errors, which says how to install these two
import openai  # isort: skip


KEEP_ALIVE_S = 4.0  # below the 5 s after which vLLM's uvicorn closes an idle connection


@dataclass(frozen=True, slots=True)
class Deadlines:
    connect_s: float = 1.0
    total_s: float = 3.0
    """of an answer, from its request"""
    stall_s: float = 0.25
    """between two pieces of an answer"""


@dataclass(slots=True)
class Stats:
    """Since the start; sums are divided by `answers`."""

    requests: int = 0
    answers: int = 0
    cancelled: int = 0
    retries: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    """by code and detail: `llama-rejected loop`"""
    queue_s: float = 0.0
    first_token_s: float = 0.0
    total_s: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    last_prompt_tokens: int = 0
    last_cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    ok: bool
    models: tuple[str, ...] = ()
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk of an answer."""

    text: str
    finish: str = ""
    """"stop" or "length" in the last one that has text"""
    usage: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class _Progress:
    """What has arrived of the answer to one request."""

    asked_s: float
    until_s: float
    """deadline of the first token"""
    begun: asyncio.Event
    admitted_s: float = 0.0
    text: str = ""
    finish: str = ""

    @property
    def started(self) -> bool:
        return self.begun.is_set()


@dataclass(frozen=True, slots=True)
class _Connections:
    """To one server, of one event loop: the vendor's client, and the HTTP client beneath it."""

    openai: openai.AsyncOpenAI
    http: httpx2.AsyncClient
    completions: httpx2.URL
    headers: Mapping[str, str]


class LlamaTranslator:
    """One server and model; shared by all sessions, of which each request carries its room's briefing."""

    def __init__(
        self,
        base_url: str,
        model: str = "",
        *,
        api_key: str | None = None,
        max_concurrent: int = 16,
        deadlines: Deadlines | None = None,
        guard: Guard | None = Guard(),  # noqa: B008  frozen
        server_priority: bool = False,
        extra_body: Mapping[str, object] | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`model` empty: the only one the server has. `server_priority` only where it runs with priority scheduling.

        `extra_body`: more fields for the server. `guard` None passes every answer, for models that write noise.
        """
        self._where = base_url
        self._model = model
        self._deadlines = deadlines or Deadlines()
        self._guard = guard
        self._server_priority = server_priority
        self._extra = dict(extra_body or {})
        self._slots = Slots(max_concurrent)
        self.stats = Stats()
        self._api_key = api_key or "none"
        self._kept_alive = max_concurrent
        self._transport = transport
        self._open: dict[asyncio.AbstractEventLoop, _Connections] = {}

    def supports(self, source: str, target: str) -> bool:
        """Every pair may be asked for; `llama_prompt.OFFICIAL` are the languages that Llama 4 names."""
        return bool(source and target) and source != target

    @property
    def where(self) -> str:
        return self._where

    @property
    def waiting(self) -> int:
        """Requests that wait for one of ours to end."""
        return self._slots.waiting

    async def translate(
        self, request: TranslationRequest, *, first_token_deadline_s: float = 0.25, begun: asyncio.Event | None = None
    ) -> str:
        """The whole target; begins with `request.committed`. Closed clauses go first, then the oldest request.

        `begun` is set with the first token.
        Raises `LlamaError`, with a code of `llama_errors.KINDS`, where the answer is late, broken or no translation.
        """
        loop = asyncio.get_running_loop()
        asked = loop.time()
        progress = _Progress(asked, asked + first_token_deadline_s, begun or asyncio.Event())
        self.stats.requests += 1
        try:
            await self._within_deadlines(request, progress)
            text = self._judge(request, progress)
        except LlamaError as error:
            self._note(error)
            raise
        except asyncio.CancelledError:
            self.stats.cancelled += 1
            raise
        self.stats.answers += 1
        self.stats.queue_s += progress.admitted_s - asked
        self.stats.total_s += loop.time() - asked
        return text

    async def health(self, timeout_s: float = 2.0) -> Health:
        """Whether the server answers and has the model; never raises for what a server does."""
        try:
            async with asyncio.timeout(timeout_s):
                models = await self._list_models()
        except FAILURES as error:
            failure = as_llama_error(error, self._where, started=False)
        else:
            if models and (not self._model or self._model in models):
                return Health(True, models)
            failure = LlamaError("llama-model", self._where)
        return Health(False, (), failure.code, failure.message)

    async def close(self) -> None:
        """Closes the connections that this event loop has opened."""
        if connections := self._open.pop(asyncio.get_running_loop(), None):
            await connections.openai.close()

    def _connections(self) -> _Connections:
        """Of the running event loop: they are bound to one, and a command may run several after each other."""
        loop = asyncio.get_running_loop()
        if loop not in self._open:
            self._open = {loop: self._connect()}
        return self._open[loop]

    def _connect(self) -> _Connections:
        # Deadlines are ours, in one place; HTTP/1.1 with keep-alive is what vLLM's uvicorn speaks.
        timeout = httpx2.Timeout(None, connect=self._deadlines.connect_s)
        http = httpx2.AsyncClient(
            timeout=timeout,
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=self._kept_alive, keepalive_expiry=KEEP_ALIVE_S
            ),
            transport=self._transport,
        )
        client = openai.AsyncOpenAI(
            base_url=self._where, api_key=self._api_key, max_retries=0, timeout=timeout, http_client=http
        )
        completions = httpx2.URL(f"{self._where.rstrip('/')}/chat/completions")
        headers = {
            "Host": completions.netloc.decode("ascii"),
            "Authorization": f"Bearer {self._api_key}",
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
        }
        return _Connections(client, http, completions, headers)

    async def _within_deadlines(self, request: TranslationRequest, progress: _Progress) -> None:
        """First the deadline of the first token, then from token to token; the one boundary of failures."""
        try:
            async with (
                asyncio.timeout_at(progress.until_s) as limit,
                self._slots.hold((_priority(request),)),
            ):
                progress.admitted_s = asyncio.get_running_loop().time()
                await self._attempt_twice(request, progress, limit)
        except FAILURES as error:
            if isinstance(error, TimeoutError) and not progress.admitted_s:
                raise LlamaError("llama-full", self._where) from None
            # Without its cause: a vendor's message may quote what was said.
            raise as_llama_error(error, self._where, started=progress.started) from None

    async def _attempt_twice(self, request: TranslationRequest, progress: _Progress, limit: asyncio.Timeout) -> None:
        try:
            await self._attempt(request, progress, limit)
        except FAILURES as error:
            if as_llama_error(error, self._where, started=progress.started).outcome is not Outcome.RETRY:
                raise
            self.stats.retries += 1
            await self._attempt(request, progress, limit)

    async def _attempt(self, request: TranslationRequest, progress: _Progress, limit: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        async with aclosing(self._stream(request, await self._resolve_model())) as pieces:
            async for piece in pieces:
                if piece.text and not progress.started:
                    progress.begun.set()
                    self.stats.first_token_s += loop.time() - progress.asked_s
                progress.text += piece.text
                progress.finish = piece.finish or progress.finish
                self._count(piece.usage)
                if progress.started:
                    end = progress.asked_s + self._deadlines.total_s
                    limit.reschedule(min(end, loop.time() + self._deadlines.stall_s))
                if self._guard and self._guard.hopeless(request.committed + progress.text, request.source):
                    return
        if not progress.finish:
            raise Dropped

    async def _stream(self, request: TranslationRequest, model: str) -> AsyncGenerator[Piece]:
        # A request of our own, read with the vendor's decoder: its client takes as long to build one as all the rest
        # takes together, before anything has left (docs/llama.md has the figures).
        to = self._connections()
        body = json.dumps(self._body(request, model), ensure_ascii=False).encode()
        asked = httpx2.Request("POST", to.completions, headers=to.headers, content=body)
        response = await to.http.send(asked, stream=True)
        try:
            if not response.is_success:
                raise openai.APIStatusError("", response=response, body=None)
            async for chunk in openai.AsyncStream[object](cast_to=object, response=response, client=to.openai):
                yield read_chunk(chunk)
        finally:
            await response.aclose()  # vLLM aborts the generation when its client disconnects

    def _body(self, request: TranslationRequest, model: str) -> dict[str, object]:
        messages = build(request)
        return {
            "model": model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "max_tokens": 32 + weight(request.source),
            "stop": ["\n"],
            **self._fields(messages, _priority(request)),
        }

    def _fields(self, messages: Sequence[Message], priority: int) -> dict[str, object]:
        fields = dict(self._extra)
        if messages[-1]["role"] == "assistant":
            fields |= {"continue_final_message": True, "add_generation_prompt": False}
        if self._server_priority:
            fields["priority"] = priority
        return fields

    def _judge(self, request: TranslationRequest, progress: _Progress) -> str:
        text = request.committed + progress.text.rstrip()
        if not request.committed:
            text = tidy(text, request.source)
        elif progress.finish == "length":
            text = request.committed + progress.text.rstrip().rstrip("\N{REPLACEMENT CHARACTER}").rstrip()
        if self._guard and (why := self._guard.objection(text, request.source, final=request.final)):
            raise LlamaError("llama-rejected", self._where, detail=why)
        return text

    async def _resolve_model(self) -> str:
        if not self._model:
            models = await self._list_models()
            if len(models) != 1:
                raise LlamaError("llama-model", self._where)
            self._model = models[0]
        return self._model

    async def _list_models(self) -> tuple[str, ...]:
        page = await self._connections().openai.models.list()
        entries: object = getattr(page, "data", None)
        if not isinstance(entries, list):
            raise Malformed
        names = [getattr(entry, "id", None) for entry in cast(list[object], entries)]
        return tuple(name for name in names if isinstance(name, str))

    def _count(self, usage: Mapping[str, int]) -> None:
        if usage:
            self.stats.prompt_tokens += usage["prompt"]
            self.stats.cached_tokens += usage["cached"]
            self.stats.completion_tokens += usage["completion"]
            self.stats.last_prompt_tokens = usage["prompt"]
            self.stats.last_cached_tokens = usage["cached"]

    def _note(self, error: LlamaError) -> None:
        self.stats.failures[f"{error.code} {error.detail}".strip()] += 1


def _priority(request: TranslationRequest) -> int:
    """Lower goes first: a closed clause stands for good once it is answered, an open one is asked again."""
    return 0 if request.final else 1


def read_chunk(chunk: object) -> Piece:
    """A chunk as it was parsed from JSON; a server may send any shape. Raises `Malformed`."""
    choices = _get(chunk, "choices")
    if not isinstance(choices, list):
        raise Malformed
    usage = _usage(_get(chunk, "usage"))
    if not choices:
        return Piece("", usage=usage)
    choice = cast(list[object], choices)[0]
    delta = _get(choice, "delta")
    text, finish = _get(delta, "content"), _get(choice, "finish_reason")
    if not isinstance(delta, dict) or not isinstance(text, str | None) or not isinstance(finish, str | None):
        raise Malformed
    return Piece(text or "", finish or "", usage)


def _usage(usage: object) -> dict[str, int]:
    prompt, completion = _get(usage, "prompt_tokens"), _get(usage, "completion_tokens")
    cached = _get(_get(usage, "prompt_tokens_details"), "cached_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return {}
    return {"prompt": prompt, "completion": completion, "cached": cached if isinstance(cached, int) else 0}


def _get(table: object, key: str) -> object:
    return cast(dict[object, object], table).get(key) if isinstance(table, dict) else None


def require_url(base_url: str) -> str:
    """Raises `InputError` `llama-url`."""
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise InputError("llama-url", "The address of the Llama server must look like http://127.0.0.1:8000/v1.")
    return base_url
