"""The server's API over a plain socket: what our client is compared with."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from dataclasses import dataclass

from models.llama_guard import weight
from models.llama_prompt import build
from models.protocols import TranslationRequest

from .server import NAME, VllmServer


def body(request: TranslationRequest, **more: object) -> bytes:
    fields: dict[str, object] = {
        "model": NAME,
        "messages": build(request),
        "temperature": 0,
        "max_tokens": 32 + weight(request.source),
        "stop": ["\n"],
        "priority": 0 if request.final else 1,
    }
    if request.committed:
        fields |= {"continue_final_message": True, "add_generation_prompt": False}
    return json.dumps(fields | more).encode()


def answer(server: VllmServer, request: TranslationRequest) -> str:
    """The whole answer, not streamed."""
    asked = urllib.request.Request(
        f"{server.url}/chat/completions", body(request), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=30) as got:
        return json.load(got)["choices"][0]["message"]["content"]


@dataclass
class Connection:
    """Kept open, as a client's is."""

    server: VllmServer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, server: VllmServer) -> Connection:
        return cls(server, *await asyncio.open_connection("127.0.0.1", server.port))

    async def first_token(self, request: TranslationRequest) -> float:
        """s from the request to the first chunk with text; reads the answer to its end."""
        sent = body(request, stream=True, max_tokens=4, stream_options={"include_usage": True})
        begin = time.perf_counter()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        self.writer.write(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        first = 0.0
        while (line := await self.reader.readline()) != b"data: [DONE]\n":
            if not first and line.startswith(b"data: ") and _has_text(line):
                first = time.perf_counter() - begin
        await self.reader.readuntil(b"0\r\n\r\n")
        return first

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def _has_text(line: bytes) -> bool:
    choices = json.loads(line[6:])["choices"]
    return bool(choices and choices[0]["delta"].get("content"))
