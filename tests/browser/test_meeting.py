"""One speaker with a (fake) microphone, several listeners, and every kind of bad network."""

from __future__ import annotations

import asyncio
import difflib
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.browser.conftest import FAKE_MICROPHONE, ROOT, Running, evaluates, launch, microphone_file, until, watched
from tests.browser.proxy import DeadLinkProxy
from tests.conftest import Recording

pytestmark = pytest.mark.browser

OUTAGE_S = 20.0  # of mobile network, as the promise says
CAPTIONS = """[...tsuyaku.room.captions.segments].map(s => [s.id, s.texts.get('LANG')?.text ?? '']).filter(s => s[1])"""


@pytest.fixture(scope="module")
def spoken(recordings: dict[str, Recording], tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A minute of English as a WAV file that Chromium takes for a microphone."""
    recording = recordings.get("en_printing") or recordings["sample"]
    path = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    microphone_file(recording.path, path, longest_s=75, silence_s=4)
    return Recording(recording.name, path, recording.language, recording.transcript, recording.translations)


@pytest.fixture(scope="module")
def speaker_browser(playwright: Playwright, spoken: Recording) -> Iterator[Browser]:
    with launch(playwright, *FAKE_MICROPHONE, f"--use-file-for-fake-audio-capture={spoken.path}%noloop") as made:
        yield made


def captions(page: Page, language: str) -> list[list[str]]:
    return page.evaluate(CAPTIONS.replace("LANG", language))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def likeness(one: str, other: str) -> float:
    """Of two texts, by words: 1 is equal."""
    return difflib.SequenceMatcher(None, words(one), words(other), autojunk=False).ratio()


def command_line(path: Path, target: str) -> dict[str, Any]:
    """What `tsuyaku translate` makes of the same sound."""
    run = subprocess.run(
        [str(ROOT / ".venv/bin/tsuyaku"), "translate", str(path), "--from", "en", "--to", target, "--format", "json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return json.loads(run.stdout)


class StalledReader(threading.Thread):
    """A client that reads its welcome and nothing more until `go`; then it reads everything."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(daemon=True)
        self._port, self._token = port, token
        self.go, self.stop = threading.Event(), threading.Event()
        self.captions: dict[str, str] = {}
        self.last = 0

    def run(self) -> None:
        asyncio.run(self._read())

    async def _read(self) -> None:
        hello = {"type": "hello", "version": 1, "token": self._token, "wanted": {"captions": ["pt"], "voices": ["pt"]}}
        resume: dict[str, object] = {}
        while not self.stop.is_set():
            with suppress(ConnectionClosed):  # the server cuts off who does not read for too long
                async with connect(f"ws://localhost:{self._port}/ws", max_queue=1, ping_interval=None) as socket:
                    await socket.send(json.dumps({**hello, **resume}))
                    epoch = json.loads(await socket.recv())["epoch"]
                    resume = {"resume": {"epoch": epoch, "sequence": self.last}}
                    await asyncio.to_thread(self.go.wait)
                    async for frame in socket:
                        self._take(json.loads(frame) if isinstance(frame, str) else {})
                        resume = {"resume": {"epoch": epoch, "sequence": self.last}}
                        if self.stop.is_set():
                            break

    def _take(self, message: dict[str, Any]) -> None:
        self.last = max(self.last, message.get("sequence", 0) if message.get("type") != "welcome" else 0)
        if message.get("type") == "caption":
            name = f"{message['channel']}/{message['segment']}"
            self.captions[name] = self.captions.get(name, "") + message["text"]


def test_no_caption_is_lost_whatever_the_network_does(
    server: Running, browser: Browser, speaker_browser: Browser, spoken: Recording, figures: dict[str, float]
) -> None:
    room = server.post("api/rooms")
    with (
        DeadLinkProxy(server.port) as speaker_link,
        DeadLinkProxy(server.port) as listener_link,
        watched(speaker_browser, speaker_link.url, permissions=["microphone"]) as speaking,
        watched(browser, server.url) as near,
        watched(browser, listener_link.url) as far,
    ):
        undisturbed = near.page(f"{server.url}listen#{room['listener']}&lang=pt")
        restarted = near.page(f"{server.url}listen#{room['listener']}&lang=pt")
        english = near.page(f"{server.url}listen#{room['listener']}&lang=en")
        hearing = near.page(f"{server.url}listen#{room['listener']}&lang=pt")
        hearing.click("#voice")
        cut_off = far.page(f"{listener_link.url}listen#{room['listener']}&lang=pt")
        stalled = StalledReader(server.port, room["listener"])
        stalled.start()
        speaker = speaking.page(f"{speaker_link.url}speak#{room['host']}&lang=en")
        speaker.click("#start")
        evaluates(undisturbed, "tsuyaku.text().length > 40", 120)
        until(lambda: "6" in speaker.locator("#audience").inner_text(), 60, "the speaker sees six listeners")
        evaluates(hearing, "tsuyaku.playback.energy > 0.003", 90)

        listener_link.die()
        restarted.close()
        restarted = near.page(f"{server.url}listen#{room['listener']}&lang=pt")
        evaluates(restarted, "!!window.tsuyaku && tsuyaku.text().length > 40")
        time.sleep(OUTAGE_S)
        assert cut_off.locator(".notice.danger").count() == 1
        listener_link.revive()
        evaluates(cut_off, "document.documentElement.dataset.connection === 'open'", 90)

        speaker_link.die()
        before = undisturbed.evaluate("tsuyaku.text().length")
        time.sleep(OUTAGE_S)
        assert float(speaker.evaluate("tsuyaku.speaking.pendingSeconds")) > OUTAGE_S / 2
        speaker_link.revive()
        evaluates(speaker, "tsuyaku.speaking.pendingSeconds < 2", 120)
        evaluates(undisturbed, f"tsuyaku.text().length > {before} + 40", 120)

        evaluates(
            undisturbed, "tsuyaku.room.captions.segments.length > 0 && tsuyaku.room.captions.tails.size === 0", 180
        )
        evaluates(speaker, "tsuyaku.speaking.capture.settings !== undefined")
        _until_silent(undisturbed)
        speaker.click("#stop")
        evaluates(undisturbed, "[...tsuyaku.room.captions.channels.values()].every(c => !c.open)", 180)

        expected = captions(undisturbed, "pt")
        assert expected
        for page in (restarted, cut_off, hearing):
            until(lambda page=page: captions(page, "pt") == expected, 90, "the same captions")
        stalled.go.set()
        until(lambda: list(stalled.captions.items()) == [tuple(c) for c in expected], 120, "a stalled reader has all")
        stalled.stop.set()

        expected_texts = command_line(spoken.path, "pt")
        heard, read, followed = (page.evaluate("tsuyaku.text()") for page in (speaker, undisturbed, english))
        figures["meeting_likeness_source"] = likeness(heard, expected_texts["source_text"])
        figures["meeting_likeness_pt"] = likeness(read, expected_texts["text"]["pt"])
        figures["meeting_likeness_en"] = likeness(followed, heard)
        assert likeness(heard, expected_texts["source_text"]) > 0.9
        assert likeness(read, expected_texts["text"]["pt"]) > 0.75
        assert likeness(followed, heard) > 0.95


def _until_silent(page: Page) -> None:
    """Until nothing was committed for 8 s: the recording is over and worked through."""
    seen, since = "", time.monotonic()
    end = time.monotonic() + 120
    while time.monotonic() - since < 8:
        assert time.monotonic() < end, "the recording does not end"
        if (text := page.evaluate("tsuyaku.text()")) != seen:
            seen, since = text, time.monotonic()
        time.sleep(0.1)
