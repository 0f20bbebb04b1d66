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


def test_recording_is_read_and_heard_at_once(server: Running, browser: Browser, figures: dict[str, float]) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        page.select_option("#demo-language", "pt")
        clicked = time.monotonic()
        page.focus("#demo")
        page.keyboard.press("Enter")
        evaluates(page, "!!window.tsuyaku && document.querySelector('.flow').innerText.trim().length > 0")
        figures["click_to_first_translated_words_s"] = time.monotonic() - clicked
        page.click("#voice")
        evaluates(page, f"tsuyaku.playback.energy > {AUDIBLE}")
        figures["click_to_first_speech_s"] = time.monotonic() - clicked
        evaluates(page, "tsuyaku.text().length > 120", 60)
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
        page.click("#voice")
        evaluates(page, "tsuyaku.playback.energy === 0 || tsuyaku.playback.context.state === 'suspended'")
