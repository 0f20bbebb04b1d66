"""The commands with a real vLLM behind them, through an outage too.

Its random model translates nothing, so the guard refuses what it writes and the embedded engine's captions are shown:
what is tested is the way there and back.
"""

from __future__ import annotations

import asyncio
import re

import numpy as np
import pytest

from app.media import MediaFile
from models.protocols import SAMPLE_RATE
from tests.conftest import Recording
from tests.real.command import committed, events, run
from tests.real.serving import Serve, serve
from tests.real.test_serve import Client

from .server import NAME, VllmServer

pytestmark = pytest.mark.vllm


def flags(server: VllmServer) -> list[str]:
    return ["--translator", "llama", "--llama-url", server.url, "--llama-model", NAME]


@pytest.mark.parametrize("pace", [[], ["--realtime"]], ids=["file", "realtime"])
def test_translate_asks_the_server_and_shows_a_whole_translation(
    vllm: VllmServer, english: Recording, pace: list[str]
) -> None:
    before = vllm.metric("prompt_tokens_total")
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "jsonl", *pace, *flags(vllm))
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert vllm.metric("prompt_tokens_total") > before
    assert len(committed(found, "translation", "pt").split()) > 10
    reasons = {str(e["action"]) for e in found if e["event"] == "miss" and e["stage"] == "translate"}
    assert "llama-rejected" in reasons
    made = {str(e["engine"]) for e in found if e["event"] == "translation"}
    assert made <= {"firefox", "llama"}


def test_translate_names_a_model_that_the_server_lacks(vllm: VllmServer, english: Recording) -> None:
    where = ["--translator", "llama", "--llama-url", vllm.url, "--llama-model", "another"]
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "txt", *where)
    assert done.returncode == 0
    assert b"[llama-model]" in done.stderr


def value(server: Serve, name: str) -> float:
    found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", server.get("/metrics").decode(), re.MULTILINE)
    return sum(map(float, found))


async def until(server: Serve, name: str, wanted: float, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while await asyncio.to_thread(value, server, name) != wanted:
            await asyncio.sleep(0.05)


async def test_room_goes_on_through_an_outage_which_the_page_and_the_metrics_tell(
    vllm: VllmServer, english: Recording, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`test_failures` says how soon Llama is used again."""
    speech = np.concatenate([*MediaFile(english.path), np.zeros(SAMPLE_RATE, np.float32)])
    try:
        with serve(tmp_path_factory.mktemp("serve"), *flags(vllm), wait_s=300) as server:
            await _outage(server, vllm, speech)
            assert value(server, "tsuyaku_translations_total") > 0
    finally:
        vllm.stop()
        vllm.start()
        await asyncio.to_thread(vllm.wait_until_healthy)


async def _outage(server: Serve, vllm: VllmServer, speech: np.ndarray) -> None:
    room = server.post("/api/rooms")
    speaker = Client(server, room["speaker"])
    async with Client(server, room["listener"], captions=["pt"]) as listener, speaker:
        await speaker.say("start", key="a-key-of-the-test", language="en")
        channel = (await speaker.got("started"))["channel"]
        talking = asyncio.create_task(talk(speaker, speech, channel))
        try:
            await until_more(server, "tsuyaku_llama_requests_total", 3)
            vllm.kill()
            await until(server, "tsuyaku_llama_in_use", 0, 15.0)
            await until_code(listener, {"llama-unreachable", "llama-dropped", "llama-resting"})
            shown = len(listener.text("caption", "pt"))
            async with asyncio.timeout(20):
                while len(listener.text("caption", "pt")) <= shown:
                    await asyncio.sleep(0.1)
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


async def talk(speaker: Client, speech: np.ndarray, channel: int) -> None:
    """The recording again and again, on one clock."""
    endless = np.concatenate([speech] * 20)
    await speaker.speak(endless, channel, len(endless))


async def until_more(server: Serve, name: str, least: float) -> None:
    async with asyncio.timeout(60):
        while await asyncio.to_thread(value, server, name) < least:
            await asyncio.sleep(0.1)


async def until_code(listener: Client, codes: set[str]) -> None:
    async with asyncio.timeout(20):
        while not codes & {m["code"] for m in listener.texts if m["type"] == "trouble"}:
            await asyncio.sleep(0.05)
