"""Lines that are read while they grow, and what stands behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from app.frames import Voice
from tests.browser.conftest import Running, evaluates, watched
from tests.browser.scripted import SIZES, Script, caption, conversation, play, show

pytestmark = pytest.mark.browser

PHONE = SIZES["phone"]


def tail(text: str, segment: int) -> dict[str, Any]:
    return {"type": "tail", "channel": 1, "translated": True, "segment": segment, "language": "pt", "text": text}


def test_text_moves_up_by_whole_lines_and_never_down(server: Running, browser: Browser) -> None:
    """While what may still change grows, shrinks and is committed."""
    with watched(browser, server.url, viewport=PHONE) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        page.evaluate("""() => {
          window.places = [];
          const note = () => {
            const first = document.querySelector('.flow p');
            const line = parseFloat(getComputedStyle(document.querySelector('.flow')).lineHeight);
            places.push([first.textContent.slice(0, 8), tsuyaku.roll._offset, line]);
            requestAnimationFrame(note);
          };
          note();
        }""")
        for length in (4, 9, 3, 12, 5):
            script.say(tail(" palavra" * length, 5))
            page.wait_for_timeout(60)
        script.say(caption(500, 5, " palavra" * 12), tail("", 5))
        evaluates(page, "tsuyaku.text().includes('palavra')")
        page.wait_for_timeout(1500)
        places = page.evaluate("window.places")
        offsets = [offset for first, offset, _ in places if first == places[-1][0]]
        assert offsets == sorted(offsets)
        assert all(float(offset).is_integer() for offset in offsets)


def test_pair_that_is_llamas_alone_is_said_while_it_is_spoken(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        page.route("**/api/info", lambda route: route.fulfill(json={**route.fetch().json(), "alone": {"en": ["pt"]}}))
        script = show(page, server, "listen")
        page.get_by_text("Only Llama translates").wait_for()
        script.say({"type": "closed", "sequence": 900, "channel": 1, "code": "end", "message": ""})
        page.get_by_text("Only Llama translates").wait_for(state="detached")


def test_lines_hold_no_more_than_is_read_at_a_glance(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=SIZES["desktop"]) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        script.say(caption(500, 5, " O barco parte do cais às nove e meia e volta depois do almoço." * 3))
        evaluates(page, "tsuyaku.text().includes('almoço')")
        widths = page.evaluate("""() => {
          const rows = new Map();
          for (const node of document.querySelectorAll('.flow .committed')) {
            const text = node.firstChild;
            for (let i = 0; text && i < text.length; i += 1) {
              const range = document.createRange();
              range.setStart(text, i); range.setEnd(text, i + 1);
              const top = Math.round(range.getBoundingClientRect().top);
              rows.set(top, (rows.get(top) ?? 0) + 1);
            }
          }
          return [...rows.values()];
        }""")
        assert 30 <= max(widths) <= 46, widths


def test_hours_of_a_meeting_cost_no_more_than_its_beginning(server: Running, browser: Browser) -> None:
    """A caption is work for the newest paragraphs, not for all that was said before."""
    with watched(browser, server.url, viewport=PHONE) as pages:
        page = pages.page()
        show(page, server, "listen")
        calls = page.evaluate("""async () => {
          const { captions } = tsuyaku.room;
          const painted = () => new Promise(r => requestAnimationFrame(() => setTimeout(r)));
          let sequence = 1000;
          const say = segment => {
            const begin = segment * 3000;
            const at = { channel: 1, start_ms: begin, end_ms: begin + 2800, emitted_ms: begin + 4000, final: true };
            captions.add({ ...at, type: 'words', sequence: sequence++, language: 'en', text: ` Clause ${segment}.` });
            captions.add({ ...at, type: 'caption', sequence: sequence++, language: 'pt', segment, same: false,
              text: ` Oração ${segment}.` });
          };
          for (let segment = 10; segment < 2000; segment += 1) say(segment);
          await painted();
          await painted();
          let calls = 0;
          const source = captions.source.bind(captions);
          captions.source = segment => { calls += 1; return source(segment); };
          say(2000);
          await painted();
          await painted();
          return calls;
        }""")
        assert page.locator(".history li").count() > 1900
        assert 0 < calls < 100
        assert "Oração 2000." in page.locator(".flow").inner_text()


def test_where_the_time_went_is_shown_clause_by_clause(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        stages = {"capture": 60, "recognise": 700, "translate": 200, "speak": 240}
        lag = {"type": "lag", "channel": 1, "language": "pt", "end_to_end_ms": 900, "stages": stages}
        script.say({**lag, "segment": 2, "misses": []}, {**lag, "segment": 3, "misses": ["translate"]})
        page.click("#more")
        page.locator(".bars li").nth(1).wait_for()
        assert page.locator(".bars .missed").count() == 1
        assert "late: translate" in page.locator(".bars .missed").inner_text()
        shown = (
            page.locator(".bars li").first.locator("[data-stage]").evaluate_all("all => all.map(e => e.dataset.stage)")
        )
        assert [stage for stage in shown if stage != "network"] == ["capture", "recognise", "translate", "speak"]
        whole = float(page.locator(".bars .bar-total").first.inner_text().split()[0])
        assert 1.2 <= whole < 6, "the stages, and what the network of a busy machine adds"


def test_each_side_hears_again_what_was_said_to_it(server: Running, browser: Browser) -> None:
    """The speech of a language is kept by itself."""
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "talk")
        assert page.locator(".half.mine").get_by_text("Say it again").is_visible()
        page.evaluate("""async () => {
          const voice = language => ({ channel: 1, sequence: 1, segment: 1, rate: 24000, sourceEnd: 0, language,
            last: true, opus: false, data: new Uint8Array(2 * 24000).fill(language === 'pt' ? 20 : 90) });
          tsuyaku.playback.play(voice('pt'));
          tsuyaku.playback.play(voice('en'));
        }""")
        evaluates(page, "tsuyaku.playback._last.size === 2")
        evaluates(page, "tsuyaku.playback.waiting === 0", 60)
        loud = page.evaluate("tsuyaku.playback._last.get('en').parts[0][500]")
        quiet = page.evaluate("tsuyaku.playback._last.get('pt').parts[0][500]")
        assert loud > quiet > 0
        page.locator(".half.theirs .stacked").first.click()
        evaluates(page, "tsuyaku.playback.waiting > 0.1")


PLAYED = """document.querySelector('.bars li [data-stage="play"]')?.title ?? ''"""


@pytest.mark.parametrize("lag_first", [True, False])
def test_time_that_speech_waits_to_be_played_is_shown(server: Running, browser: Browser, lag_first: bool) -> None:
    """Of its first frame, whether the clause's bar is known before or after it sounds."""
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        page.click("#voice")
        evaluates(page, "tsuyaku.playback.context?.state === 'running' && !!tsuyaku.playback._node")
        stages = {"capture": 60, "recognise": 700, "translate": 200, "speak": 240}
        lag = {"type": "lag", "channel": 1, "language": "pt", "segment": 7, "end_to_end_ms": 900, "stages": stages}
        if lag_first:
            script.say(lag)
        speech = np.full(12_000, 3000, "<i2").tobytes()  # 0.5 s at 24 kHz
        before = Voice(1, 1, 6, 24_000, 0, "pt", True, speech * 2)
        frames = [Voice(1, 2 + n, 7, 24_000, 0, "pt", n == 4, speech[:4800]) for n in range(5)]
        script.speak(before, frames[0])
        page.wait_for_timeout(600)
        script.speak(*frames[1:])
        evaluates(page, "tsuyaku.playback.waiting === 0", 30)
        if not lag_first:
            script.say(lag)
        page.click("#more")
        evaluates(page, f"{PLAYED} !== ''")
        waited = float(page.evaluate(PLAYED).split()[1])
        assert 0.9 <= waited < 2.5, "the clause before it sounds for 1 s"


OPACITY = "getComputedStyle(document.querySelector('.roll')).opacity"


def overlay(page: Page, server: Running, options: str) -> Script:
    script = play(page, conversation()[:-2])
    page.goto(f"{server.url}overlay#{'t' * 32}&lang=pt&{options}")
    evaluates(page, "document.querySelector('.flow')?.innerText.includes('bordo')")
    return script


def test_last_words_of_an_overlay_go_and_the_next_ones_stand_alone(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = overlay(page, server, "fade=1&lines=3")
        evaluates(page, f"{OPACITY} === '0'", 10)
        page.wait_for_timeout(1000)
        script.say({"type": "talking", "channel": 1, "active": True})
        page.wait_for_timeout(300)
        assert page.evaluate(OPACITY) == "0", "nobody has said anything yet"
        script.say(tail(" O café", 9))
        evaluates(page, f"{OPACITY} === '1' && document.querySelector('.flow').innerText.trim() === 'O café'", 10)
        script.say(caption(950, 9, " O café está aberto."), tail("", 9))
        evaluates(page, "document.querySelector('.flow').innerText.trim() === 'O café está aberto.'", 10)
        evaluates(page, f"{OPACITY} === '0'", 10)


def test_last_words_of_an_overlay_stay_where_they_are_wanted(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        page.clock.install()
        overlay(page, server, "fade=0")
        page.clock.fast_forward(3_600_000)
        assert page.evaluate("document.documentElement.dataset.still") == "false"


@pytest.mark.parametrize("align", ["left", "center"])
def test_overlay_stands_where_it_is_wanted(server: Running, browser: Browser, align: str) -> None:
    with watched(browser, server.url, viewport=SIZES["desktop"]) as pages:
        page = pages.page()
        overlay(page, server, f"align={align}&size=30")
        box = page.locator(".roll").bounding_box()
        assert box is not None
        middle = box["x"] + box["width"] / 2
        assert abs(middle - 640) < 2 if align == "center" else box["x"] < 80
