"""Servers that misbehave on a real socket, beside the real embedded engine: captions go on in time, once each."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.translation import LlamaTranslation, TranslationConfig, translation
from models.protocols import TranslationRequest
from models.store import Store
from pipeline.engines import Translated
from pipeline.translate import ClauseTranslation, TranslateConfig

pytestmark = pytest.mark.real

BUDGET_S = 0.25
SLACK_S = 0.05
CLAUSE = "The train leaves at half past nine from platform four and the doctor asked for you."
ANSWER = "O trem parte às nove e meia da plataforma quatro e o médico perguntou por você."


@dataclass
class Misbehaving:
    """`mode` may change at any time: well, silent, trickle, garbage, error."""

    mode: str = "well"
    server: asyncio.Server | None = None
    port: int = 0
    connections: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """As a killed process does: nothing listens, and every connection is reset."""
        assert self.server is not None
        self.server.close()
        for writer in self.connections:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = re.search(rb"content-length: *(\d+)", head)
                await self._answer(
                    json.loads(await reader.readexactly(int(length[1]) if length else 0) or b"{}"), writer
                )
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client left, or the test is over
        finally:
            self.connections.discard(writer)
            writer.close()

    async def _answer(self, asked: dict[str, object], writer: asyncio.StreamWriter) -> None:
        if self.mode == "silent":
            await asyncio.Event().wait()
        if self.mode == "error":
            writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}")
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        if self.mode == "garbage":
            _chunk(writer, b"data: {{{ \xff\xfe }\n\n")
            _chunk(writer, b"")
            return
        for piece in _rest(asked):
            _chunk(writer, _event(piece))
            await writer.drain()
            await asyncio.sleep(1.0 if self.mode == "trickle" else 0.005)
        _chunk(writer, _event("", "stop"))
        _chunk(writer, b"data: [DONE]\n\n")
        _chunk(writer, b"")


def _rest(asked: dict[str, object]) -> list[str]:
    """A translation as long as its source, after what is committed: what a good model would write."""
    messages = asked["messages"]
    assert isinstance(messages, list)
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    source = messages[-2 if begun else -1]["content"].removeprefix("<source>\n").partition("\n")[0].removesuffix(" …")
    whole = " ".join(ANSWER.split()[: len(source.split())])
    return [whole[len(begun) :][i : i + 3] for i in range(0, len(whole) - len(begun), 3)]


def _event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


@dataclass
class Reader:
    """Says the same clause again and again, and keeps what a reader sees."""

    engine: LlamaTranslation
    taken_s: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    async def clause(self) -> list[Translated]:
        """Its translations, each begun by what was committed before; asserts that nothing committed changes."""
        translation, answers, shown = ClauseTranslation(TranslateConfig()), list[Translated](), ""
        words = CLAUSE.split()
        for count in range(4, len(words) + 1, 4):
            final = count + 4 > len(words)
            source = CLAUSE if final else " ".join(words[:count])
            begin = time.monotonic()
            request = TranslationRequest(source, "en", "pt", translation.committed, final)
            answer = await self.engine.translate(request, deadline=begin + BUDGET_S, key=None)
            self.taken_s.append(time.monotonic() - begin)
            self.reasons.append(answer.reason)
            shown += (translation.close(answer.text) if final else translation.update(answer.text, source)).committed
            assert shown == translation.committed
            answers.append(answer)
        self.shown.append(shown)
        return answers


@asynccontextmanager
async def reading(server: Misbehaving) -> AsyncIterator[Reader]:
    await server.start()
    engine = translation(TranslationConfig("llama", f"http://127.0.0.1:{server.port}/v1", "m"), Store())
    assert isinstance(engine, LlamaTranslation)
    await engine.warm("en", "pt")
    reader = Reader(engine)
    assert {answer.engine for answer in await reader.clause()} == {"llama"}
    assert reader.shown == [ANSWER]
    yield reader
    await engine.hedged.llama.close()
    await server.die()


async def until_llama_answers(reader: Reader) -> float:
    begin = time.monotonic()
    while {answer.engine for answer in await reader.clause()} != {"llama"}:
        assert time.monotonic() - begin < 5
        await asyncio.sleep(0.1)
    return time.monotonic() - begin


def duplicated(text: str) -> bool:
    """A word twice in a row, or the clause begun anew."""
    words = text.casefold().split()
    return any(a == b for a, b in itertools.pairwise(words)) or text.count("O trem") > 1


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("silent", "llama-slow"),
        ("trickle", "llama-slow"),
        ("garbage", "llama-malformed"),
        ("error", "llama-server"),
    ],
)
async def test_captions_go_on_in_time_and_return_to_llama(mode: str, code: str) -> None:
    server = Misbehaving()
    async with reading(server) as reader:
        del reader.taken_s[:]
        server.mode = mode
        answers = [answer for _ in range(4) for answer in await reader.clause()]
        assert {answer.engine for answer in answers} == {"firefox"}
        assert {answer.reason for answer in answers} == {code, "llama-resting"}
        slowest, median = max(reader.taken_s), statistics.median(reader.taken_s)
        server.mode = "well"
        back_s = await until_llama_answers(reader)
        print(f"{mode}: median {median * 1000:.0f} ms, slowest {slowest * 1000:.0f} ms; back after {back_s:.1f} s")
        assert not any(map(duplicated, reader.shown))
        assert median <= BUDGET_S
        # One that begins and then stalls is seen to stall only by the next token's deadline.
        assert slowest <= (2 * BUDGET_S if mode == "trickle" else BUDGET_S) + SLACK_S
        assert back_s <= 5


async def test_server_that_dies_in_the_middle_of_an_answer_and_returns() -> None:
    server = Misbehaving()
    async with reading(server) as reader:
        server.mode = "trickle"
        clause = asyncio.create_task(reader.clause())
        await asyncio.sleep(0.1)  # in the middle of the first answer
        await server.die()
        answers = await clause
        assert {answer.engine for answer in answers} == {"firefox"}
        assert max(reader.taken_s) <= BUDGET_S + SLACK_S
        server.mode = "well"
        await server.start()
        assert await until_llama_answers(reader) <= 5
        assert not any(map(duplicated, reader.shown))
