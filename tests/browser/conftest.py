"""A real server with real engines, and a real Chromium before it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, sync_playwright

from app.media import MediaFile, SpeechFile
from models.protocols import SAMPLE_RATE

ROOT = Path(__file__).parent.parent.parent
OUT = ROOT / "out" / "browser"
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-quic")
FAKE_MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def chromium() -> str | None:
    """Debian's browser where there is one; None leaves the choice to Playwright."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Running:
    port: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path, json.dumps(body or {}).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


def until(said: Callable[[], Any], limit_s: float, what: str) -> Any:
    """Ask until the answer is true. Raises `AssertionError` after `limit_s`."""
    end = time.monotonic() + limit_s
    while not (answer := said()):
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(0.02)
    return answer


def evaluates(page: Page, expression: str, limit_s: float = 60.0) -> Any:
    """Wait until `expression` is true in the page: Playwright's own way needs eval, which the page's policy forbids."""
    return until(lambda: _evaluated(page, expression), limit_s, expression)


def _evaluated(page: Page, expression: str) -> Any:
    try:
        return page.evaluate(expression)
    except Error as error:
        if "context was destroyed" in error.message:
            return False  # the page is just being left for another
        raise


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / "server.log").open("w") as log:
        command = [str(ROOT / ".venv" / "bin" / "tsuyaku"), "serve", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log)
        try:
            until(lambda: process.poll() is not None or _ready(port), 180, "the server is ready")
            assert process.poll() is None, (OUT / "server.log").read_text()
            yield Running(port)
        finally:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as made:
        yield made


def launch(playwright: Playwright, *arguments: str, without: tuple[str, ...] = ()) -> Browser:
    """`without`: of Playwright's own arguments."""
    return playwright.chromium.launch(
        executable_path=chromium(), args=[*QUIET, *arguments], ignore_default_args=list(without)
    )


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """With a microphone that beeps, and sound that may begin by itself."""
    with launch(playwright, *FAKE_MICROPHONE) as made:
        yield made


class Watched:
    """Pages of one context; what went wrong in any of them, and what they asked for."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.context = context
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.urls: list[str] = []
        self.referers: list[str] = []
        self.weight = 0
        self._origins = (origin, origin.replace("http", "ws", 1), "blob:", "data:")
        context.on("request", self._request)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("console", lambda m: self.errors.append(m.text) if "Content Security Policy" in m.text else None)

    def _request(self, request: Any) -> None:
        self.urls.append(request.url)
        self.referers.append(request.headers.get("referer", ""))
        if not request.url.startswith(self._origins):
            self.foreign.append(request.url)

    def page(self, url: str = "about:blank") -> Page:
        page = self.context.new_page()
        page.on("websocket", lambda socket: self.urls.append(socket.url))
        page.goto(url)
        return page


@contextmanager
def watched(browser: Browser, origin: str, **options: Any) -> Iterator[Watched]:
    """A context that must come through without an error and without a request to anybody else."""
    context = browser.new_context(**{"locale": "en-GB", **options})
    context.set_default_timeout(60_000)  # ms; a busy machine is no failure of the page
    try:
        made = Watched(context, origin)
        yield made
        assert made.errors == []
        assert made.foreign == []
    finally:
        context.close()


def microphone_file(
    source: Path, path: Path, *, longest_s: float = 600.0, lead_s: float = 0.0, silence_s: float
) -> Path:
    """A recording with silence before and after it, as a WAV file that Chromium takes for a microphone."""

    async def read() -> np.ndarray:
        return np.concatenate([block async for block in MediaFile(source)])

    with ThreadPoolExecutor() as elsewhere:  # Playwright's loop runs in this thread
        samples = elsewhere.submit(lambda: asyncio.run(read())).result()
    samples = samples[: round(longest_s * SAMPLE_RATE)]
    with SpeechFile(path, SAMPLE_RATE) as file:
        file.write(np.zeros(round(lead_s * SAMPLE_RATE), "<i2").tobytes(), 0.0)
        file.write((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), file.duration_ms)
        file.write(np.zeros(round(silence_s * SAMPLE_RATE), "<i2").tobytes(), file.duration_ms)
    return path


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, float]]:
    """Measured on the way, written to out/browser/figures.json."""
    measured: dict[str, float] = {}
    yield measured
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "figures.json").write_text(json.dumps(measured, indent=2) + "\n")
    print("\n" + "\n".join(f"{name}: {value:g}" for name, value in measured.items()))
