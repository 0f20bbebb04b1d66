"""What is spoken comes from a recording or from another tab as well as from a microphone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from tests.browser.conftest import Running, evaluates, launch, watched
from tests.conftest import Recording

pytestmark = pytest.mark.browser


def test_file_is_spoken_to_its_end(server: Running, browser: Browser, english: Recording) -> None:
    room = server.post("api/rooms")
    with watched(browser, server.url) as pages:
        listener = pages.page(f"{server.url}listen#{room['listener']}&lang=pt")
        speaker = pages.page(f"{server.url}speak#{room['host']}&lang=en")
        speaker.get_by_label("File", exact=True).check()
        speaker.set_input_files("#file", english.path)
        speaker.click("#start")
        evaluates(listener, "tsuyaku.text().length > 20", 120)
        speaker.wait_for_selector("#start", timeout=90_000)
        evaluates(listener, "[...tsuyaku.room.captions.channels.values()].every(c => !c.open)", 120)
        last = english.transcript.split()[-1].strip(".,!?").casefold()
        assert last in speaker.evaluate("tsuyaku.text()").casefold()


def test_file_without_sound_says_what_to_do(server: Running, browser: Browser) -> None:
    room = server.post("api/rooms")
    with watched(browser, server.url) as pages:
        speaker = pages.page(f"{server.url}speak#{room['host']}&lang=en")
        speaker.get_by_label("File", exact=True).check()
        text = {"name": "talk.wav", "mimeType": "audio/wav", "buffer": b"no sound at all"}
        speaker.set_input_files("#file", text)
        speaker.click("#start")
        speaker.get_by_text("This browser cannot play that file").wait_for()
        assert speaker.locator("#start").is_enabled()


@pytest.fixture(scope="module")
def sharing(playwright: Playwright) -> Iterator[Browser]:
    """Whoever asks for a tab gets the one that plays the recording."""
    choose = "--auto-select-tab-capture-source-by-title=sample.wav"
    plays = "--autoplay-policy=no-user-gesture-required"
    with launch(
        playwright, choose, plays, without=("--mute-audio",)
    ) as made:  # muted tabs are silent in a capture, too
        yield made


def test_tab_is_spoken(server: Running, sharing: Browser) -> None:
    room = server.post("api/rooms")
    with watched(sharing, server.url) as pages:
        playing = pages.page(f"{server.url}api/sample.wav")
        speaker = pages.page(f"{server.url}speak#{room['host']}&lang=en")
        speaker.get_by_label("Tab or screen").check()
        speaker.click("#start")
        speaker.wait_for_selector("#pause")
        playing.evaluate("const sound = document.querySelector('video, audio'); sound.currentTime = 0; sound.play()")
        evaluates(speaker, "/welcome|morning|example|speaking|words/i.test(tsuyaku.text())", 120)
