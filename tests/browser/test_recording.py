"""\"Try it with a recording\": words within seconds, speech that is really heard."""

from __future__ import annotations

import statistics
import time

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Running, evaluates, watched

pytestmark = pytest.mark.browser

WORDS = {"bom", "dia", "vindo", "vindos", "exemplo", "falando", "palavras", "idioma", "língua", "trem", "comboio"}
AUDIBLE = 0.003  # root mean square; digital silence is 0


FIRST_WORDS_S = 3.0
TRIES = 5  # the promise is for a warm server; whatever else this machine does is not its matter


def test_recording_is_read_within_seconds(server: Running, browser: Browser, figures: dict[str, float]) -> None:
    waits: list[float] = []
    while len(waits) < TRIES and not (waits and min(waits) <= FIRST_WORDS_S):
        with watched(browser, server.url) as pages:
            page = pages.page(server.url)
            page.select_option("#demo-language", "pt")
            page.focus("#demo")
            clicked = time.monotonic()
            page.keyboard.press("Enter")
            evaluates(page, "!!window.tsuyaku && document.querySelector('.flow').innerText.trim().length > 0")
            waits.append(time.monotonic() - clicked)
    figures["click_to_first_translated_words_s"] = min(waits)
    assert min(waits) <= FIRST_WORDS_S, waits


def test_recording_is_heard_and_painted_at_once(server: Running, browser: Browser, figures: dict[str, float]) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        page.select_option("#demo-language", "pt")
        clicked = time.monotonic()
        page.focus("#demo")
        page.keyboard.press("Enter")
        page.wait_for_selector("#voice")
        page.click("#voice")
        evaluates(page, f"tsuyaku.playback.energy > {AUDIBLE}")
        figures["click_to_first_speech_s"] = time.monotonic() - clicked
        evaluates(page, "tsuyaku.text().length > 120", 120)
        text = page.evaluate("tsuyaku.text()")
        said = {word.strip(".,!?").casefold() for word in text.replace("-", " ").split()}
        assert len(said & WORDS) >= 3, text
        assert "Good morning" in page.evaluate(
            "tsuyaku.room.captions.segments.map(s => tsuyaku.room.captions.source(s)).join(' ')"
        )
        paints = page.evaluate("tsuyaku.room.delay.paints")
        figures["commit_to_paint_median_ms"] = statistics.median(paints)
        assert statistics.median(paints) <= 100
        assert page.locator("#state").inner_text()
        spoken = page.evaluate(
            "tsuyaku.panel.bars.filter(bar => bar.stages.speak !== undefined).map(bar => bar.stages)"
        )
        figures["speech_waits_to_sound_median_ms"] = statistics.median(stages.get("play", 0) for stages in spoken)
        assert sum("play" in stages for stages in spoken) > len(spoken) / 2, "but for those that wait or were left out"
        page.click("#voice")
        evaluates(page, "tsuyaku.playback.energy === 0 || tsuyaku.playback.context.state === 'suspended'")
