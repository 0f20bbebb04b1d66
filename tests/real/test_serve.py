"""The server as people start it, with real engines on a real recording, through real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import websockets
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from app.frames import Uplink, Voice
from app.media import MediaFile
from models.protocols import SAMPLE_RATE, Samples
from tests.conftest import Recording
from tests.real.mosquitto import MOSQUITTO, Display, Mosquitto
from tests.real.serving import TSUYAKU, Serve, serve

pytestmark = pytest.mark.real

FRAME = SAMPLE_RATE // 25
OUTAGE_S = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serve]:
    with serve(tmp_path_factory.mktemp("serve")) as started:
        yield started


@pytest.fixture(scope="module")
def speech(english: Recording) -> Samples:
    """The recording, and the silence in which a page completes what was said."""
    blocks = list(MediaFile(english.path))
    return np.concatenate([*blocks, np.zeros(round(1.5 * SAMPLE_RATE), np.float32)])


class Client:
    """A listener or speaker that notes all it gets."""

    def __init__(self, server: Serve, token: str, **wanted: Any) -> None:
        self._url = f"ws://127.0.0.1:{server.port}/ws"
        self._token = token
        self._wanted = wanted
        self.texts: list[dict[str, Any]] = []
        self.voices: list[Voice] = []
        self.position = 0

    async def __aenter__(self) -> Client:
        self.socket = await websockets.connect(self._url, max_size=None, max_queue=None)
        resume = {"resume": {"epoch": self._epoch(), "sequence": self.log[-1]["sequence"]}} if self.log else {}
        hello = {"type": "hello", "version": 1, "token": self._token, "wanted": self._wanted, **resume}
        await self.socket.send(json.dumps(hello))
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.transport.abort()
        await asyncio.gather(self._reading, return_exceptions=True)

    def _epoch(self) -> str:
        return next(m["epoch"] for m in reversed(self.texts) if m["type"] == "welcome")

    async def _read(self) -> None:
        async for frame in self.socket:
            if isinstance(frame, bytes):
                self.voices.append(Voice.decode(frame))
                continue
            message = json.loads(frame)
            self.texts.append(message)
            if message["type"] in ("confirmed", "started"):
                self.position = message["position"]

    @property
    def log(self) -> list[dict[str, Any]]:
        return [m for m in self.texts if "sequence" in m and m["type"] != "welcome"]

    async def got(self, kind: str, seconds: float = 60.0, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                found = [m for m in self.texts if m["type"] == kind]
                if len(found) >= count:
                    return found[-1]
                await asyncio.sleep(0.02)

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def speak(self, samples: Samples, channel: int, until: int) -> None:
        """From where the server is, at the pace of the voice where it is not behind."""
        loop = asyncio.get_running_loop()
        begin, start = loop.time(), self.position
        for at in range(start, until, FRAME):
            frame = Uplink(channel, at // FRAME, at, samples[at : min(at + FRAME, until)])
            await self.socket.send(frame.encode())
            await asyncio.sleep(max(0.0, begin + (at - start) / SAMPLE_RATE - loop.time()))

    def text(self, kind: str, language: str) -> str:
        return "".join(m["text"] for m in self.log if m["type"] == kind and m["language"] == language).strip()


def command_line(english: Recording, *options: str) -> tuple[str, str]:
    """What `tsuyaku translate` makes of the recording at the pace of the voice: source and Portuguese."""
    arguments = [TSUYAKU, "translate", str(english.path), "--from", "en", "--to", "pt", "--format", "jsonl", *options]
    done = subprocess.run(arguments, capture_output=True, timeout=300, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return tuple(  # type: ignore[return-value]
        "".join(e["committed"] for e in found if e["event"] == kind).strip() for kind in ("words", "translation")
    )


def word_errors(reference: str, hypothesis: str, *, english: bool) -> float:
    normalise = EnglishTextNormalizer() if english else BasicTextNormalizer()
    return jiwer.wer(normalise(reference), normalise(hypothesis))


async def interpret(
    server: Serve, speech: Samples, *, speaker_cut: bool = False, listener_cut: bool = False
) -> tuple[Client, Client, Client]:
    """The recording, spoken in a room: an undisturbed listener, one that may be cut off, the speaker."""
    room = server.post("/api/rooms")
    whole = Client(server, room["listener"], captions=["pt"], voices=["pt"])
    other = Client(server, room["listener"], captions=["pt"])
    speaker = Client(server, room["speaker"])
    async with whole:
        async with speaker, other:
            await speaker.say("start", key="a-key-of-the-test", language="en")
            channel = (await speaker.got("started"))["channel"]
            middle = len(speech) // 2 if speaker_cut or listener_cut else len(speech)
            await speaker.speak(speech, channel, middle)
            if not speaker_cut and not listener_cut:
                await speaker.say("stop", channel=channel)
                await whole.got("closed")
                await other.got("closed")
                return whole, other, speaker
        if speaker_cut:
            await asyncio.sleep(OUTAGE_S)
        async with speaker:
            await speaker.say("start", key="a-key-of-the-test", language="en")
            await speaker.got("started", count=2)
            await speaker.speak(speech, channel, len(speech))
            await speaker.say("stop", channel=channel)
            await whole.got("closed")
        if listener_cut:
            await asyncio.sleep(OUTAGE_S - len(speech) / 2 / SAMPLE_RATE)
        async with other:
            await other.got("closed")
    return whole, other, speaker


async def test_captions_are_those_of_the_command_line(server: Serve, speech: Samples, english: Recording) -> None:
    """Both hear the same engines at the same pace; where passes fall differs by ms, and with it now and then a word."""
    whole, other, _ = await interpret(server, speech)
    source, target = command_line(english, "--realtime")
    assert word_errors(english.transcript, whole.text("words", "en"), english=True) <= 0.1
    assert word_errors(source, whole.text("words", "en"), english=True) <= 0.1
    assert word_errors(target, whole.text("caption", "pt"), english=False) <= 0.25
    assert other.log == whole.log
    assert sum(len(voice.payload) / 2 / voice.sample_rate for voice in whole.voices) > 3
    loudest = max(np.abs(np.frombuffer(voice.payload, "<i2")).max() for voice in whole.voices)
    assert loudest > 3000


async def test_listener_without_network_for_20_s_misses_nothing(server: Serve, speech: Samples) -> None:
    whole, other, _ = await interpret(server, speech, listener_cut=True)
    assert other.texts[0]["type"] == "welcome"
    assert [m["recovered"] for m in other.texts if m["type"] == "welcome"] == [False, True]
    assert other.log == whole.log
    assert [m["sequence"] for m in whole.log] == list(range(1, len(whole.log) + 1))


async def test_speaker_without_network_for_20_s_loses_no_word(
    server: Serve, speech: Samples, english: Recording
) -> None:
    whole, _, speaker = await interpret(server, speech, speaker_cut=True)
    assert speaker.position == len(speech)
    assert word_errors(english.transcript, whole.text("words", "en"), english=True) <= 0.1


async def test_demonstration_shows_translated_words_within_3_s(server: Serve) -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    token = server.post("/api/demo")["listener"]
    async with Client(server, token, captions=["pt"], voices=["pt"], opus=True) as client:
        async with asyncio.timeout(10):
            while not any(m["type"] in ("tail", "caption") and m["language"] == "pt" for m in client.texts):
                await asyncio.sleep(0.01)
        seconds = loop.time() - begin
        print(f"first translated words after {seconds:.2f} s")
        await client.got("closed")
    assert seconds < 3
    assert "Bom dia" in client.text("caption", "pt")
    assert client.voices
    assert all(voice.opus for voice in client.voices)


def test_terminal_listens_to_a_room(server: Serve, speech: Samples, tmp_path: Path) -> None:
    room = server.post("/api/rooms")
    spoken = tmp_path / "pt.wav"
    link = f"{server.base}/listen#{room['listener']}"
    arguments = [TSUYAKU, "listen", link, "--lang", "pt", "--record", str(spoken)]
    listener = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    async def speak() -> Client:
        async with Client(server, room["host"], captions=["pt"]) as host:
            async with asyncio.timeout(60):
                while server.metric("tsuyaku_listeners") < 1:
                    await asyncio.sleep(0.2)
            await host.say("start", key="a-key-of-the-test", language="en")
            channel = (await host.got("started"))["channel"]
            await host.speak(speech, channel, len(speech))
            await host.say("stop", channel=channel)
            await host.got("closed")
            await host.say("close")
            await host.got("ended")
            return host

    host = asyncio.run(speak())
    out, errors = listener.communicate(timeout=60)
    assert listener.returncode == 0, errors
    assert errors.strip() == b"tsuyaku: the room is over (host)."
    written = "".join(re.findall(r"pt: (.*)$", out.decode(), re.MULTILINE))
    squeezed = re.sub(r"\s", "", host.text("caption", "pt"))
    assert re.sub(r"\s", "", written) == squeezed != ""
    assert spoken.stat().st_size > 40_000


@pytest.mark.skipif(MOSQUITTO is None, reason="needs mosquitto")
async def test_room_is_published_to_a_broker(server: Serve, speech: Samples, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous true")
    broker.start()
    room = server.post("/api/rooms")
    link, address = f"{server.base}/listen#{room['listener']}", f"mqtt://127.0.0.1:{broker.port}/hall"
    display = Display(broker)
    subscribed = asyncio.Event()
    reading = asyncio.create_task(display.follow(subscribed))
    try:
        await asyncio.wait_for(subscribed.wait(), 20)
        listener = await asyncio.create_subprocess_exec(TSUYAKU, "listen", link, "--lang", "pt", "--mqtt", address)
        async with Client(server, room["host"], captions=["pt"]) as host:
            async with asyncio.timeout(60):
                while server.metric("tsuyaku_listeners") < 1:
                    await asyncio.sleep(0.2)
            await host.say("start", key="a-key-of-the-test", language="en")
            channel = (await host.got("started"))["channel"]
            await host.speak(speech, channel, len(speech))
            await host.say("stop", channel=channel)
            await host.got("closed")
            await host.say("close")
            await host.got("ended")
        await asyncio.wait_for(reading, 60)
        assert await asyncio.wait_for(listener.wait(), 60) == 0
    finally:
        reading.cancel()
        broker.stop()
    assert re.sub(r"\s", "", "".join(display.lines)) == re.sub(r"\s", "", host.text("caption", "pt")) != ""


def test_neither_token_nor_text_is_in_the_log_and_shutdown_finishes(tmp_path: Path, speech: Samples) -> None:
    """With its own server, whose log is read after it was told to end in the middle of a sentence."""
    with serve(tmp_path) as server:
        room = server.post("/api/rooms", code="4711")

        async def speak() -> Client:
            host = Client(server, room["host"], captions=["pt"])
            async with host:
                await host.say("start", key="a-key-of-the-test", language="en", name="Ana Maria")
                channel = (await host.got("started"))["channel"]
                await host.speak(speech, channel, 6 * SAMPLE_RATE)
                await host.say("ping", id=1)
                await host.got("pong")
                server.process.send_signal(signal.SIGTERM)
                await host.got("ended")
            return host

        host = asyncio.run(speak())
        assert server.process.wait(30) == 0
    assert host.log[-1]["code"] == "shutdown"
    assert [m["code"] for m in host.log if m["type"] == "closed"] == ["end"]
    words = host.text("words", "en").split()
    assert len(words) > 3
    log = (tmp_path / "serve.log").read_text("utf-8")
    for secret in (*room.values(), "4711", "Ana Maria", " ".join(words[:2])):
        assert not isinstance(secret, str) or secret not in log
