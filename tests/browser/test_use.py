"""How the pages behave in the hands of people: keyboard, touch, calls that interrupt, meetings that last hours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.conftest import Running, evaluates, until, watched
from tests.browser.scripted import PAGES, SENTENCES, SIZES, address, caption, conversation, play, show

pytestmark = pytest.mark.browser

PHONE = SIZES["phone"]
TAP = 44  # px, the least that is pressed
SMALL = """Array.from(document.querySelectorAll('button, a.button, select, summary, input:not([type=radio])'), e => {
  const box = e.closest('.toggle, .choices label')?.getBoundingClientRect() ?? e.getBoundingClientRect();
  return [e.outerHTML.slice(0, 120), Math.round(box.width), Math.round(box.height)];
}).filter(([_, width, height]) => width && (width < TAP || height < TAP))""".replace("TAP", str(TAP))
INSTAGRAM = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 300.0"
COUNT_LOCKS = """window.locks = [];
if (navigator.wakeLock) {
  const request = navigator.wakeLock.request.bind(navigator.wakeLock);
  navigator.wakeLock.request = kind => { window.locks.push(kind); return request(kind); };
}"""


@pytest.mark.parametrize("name", PAGES[:-1])
def test_everything_is_large_enough_to_press(server: Running, browser: Browser, name: str) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, name)
        assert page.evaluate(SMALL) == []


@pytest.mark.parametrize("locale", ["en", "pt", "ja"])
@pytest.mark.parametrize("name", PAGES[:-1])
def test_nothing_sticks_out_on_the_narrowest_phone(server: Running, browser: Browser, name: str, locale: str) -> None:
    """320 px, which is also a wide page at 400 % (WCAG 2.2, 1.4.10)."""
    with watched(
        browser, server.url, viewport={"width": 320, "height": 568}, locale=locale, permissions=["microphone"]
    ) as pages:
        page = pages.page()
        show(page, server, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_start_page_is_worked_with_the_keyboard_alone(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        page.wait_for_selector("#speak")
        seen: list[str] = []
        while "demo-language" not in seen:
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
            assert len(seen) < 20, seen
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", seen[-1]
        assert [each for each in seen if each in ("speak", "talk", "demo")] == ["speak", "talk", "demo"]


def test_listener_is_worked_with_the_keyboard_alone(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        page.focus("#more")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open]")
        page.keyboard.press("Escape")
        assert page.locator("dialog").count() == 0
        assert page.evaluate("document.activeElement.id") == "more"
        page.locator(".chip", has_text="English").focus()
        page.keyboard.press("Space")
        evaluates(page, "tsuyaku.room.connection.wanted.captions[0] === 'en'")
        assert any(m["type"] == "want" and m["wanted"]["captions"] == ["en"] for m in script.sent)


def test_nothing_moves_where_motion_is_unwanted(server: Running, browser: Browser) -> None:
    moving: dict[str, str] = {}
    for motion in ("reduce", "no-preference"):
        with watched(browser, server.url, reduced_motion=motion) as pages:
            page = pages.page()
            show(page, server, "listen")
            moving[motion] = page.evaluate("getComputedStyle(document.querySelector('.flow')).transitionDuration")
    assert moving == {"reduce": "0s", "no-preference": "0.16s"}


def test_page_can_be_installed(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        page.wait_for_selector("#speak")
        cdp = pages.context.new_cdp_session(page)
        manifest = cdp.send("Page.getAppManifest")
        assert manifest["errors"] == []
        assert '"display": "standalone"' in manifest["data"]
        found = cdp.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert [each["errorId"] for each in found if each["errorId"] != "in-incognito"] == []


def test_app_without_microphone_says_which_browser_has_one(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, user_agent=INSTAGRAM) as pages:
        pages.context.add_init_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
        page = pages.page()
        play(page, [], "host")
        page.goto(address(server, "speak"))
        page.get_by_text("This app's built-in browser has no microphone").wait_for()


@pytest.mark.parametrize("name", ["listen", "speak", "talk"])
def test_screen_stays_on(server: Running, browser: Browser, name: str) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        pages.context.add_init_script(COUNT_LOCKS)
        page = pages.page()
        show(page, server, name)
        evaluates(page, "window.locks.includes('screen')")


def test_language_that_is_not_offered_is_told(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE) as pages:
        page = pages.page()
        show(page, server, "listen", languages=["en", "pt"])
        page.goto("about:blank")
        page.goto(f"{server.url}listen#{'t' * 32}&lang=sv")
        page.get_by_text("Svenska is not offered here. You are reading English.").wait_for()
        page.locator(".chip", has_text="Português").click()
        page.get_by_text("Svenska is not offered here").wait_for(state="detached")


@pytest.mark.parametrize(
    ("keep_s", "sentence"),
    [(0, "Nothing is kept"), (3600, "keeps the text for 1 hour after"), (86400, "keeps the text for 24 hours after")],
)
def test_what_is_kept_is_said_to_everybody(server: Running, browser: Browser, keep_s: int, sentence: str) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        for name in ("listen", "speak"):
            page = pages.page()
            show(page, server, name, keep_s=keep_s)
            if name == "listen":
                page.click("#more")
            evaluates(page, f"document.querySelector('#kept').textContent.includes({sentence!r})")


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
        assert page.locator(".bars .bar-total").first.inner_text().startswith("1.2 s")


def test_call_that_takes_the_microphone_is_told_and_time_goes_on(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        evaluates(page, "[...tsuyaku.speaking.channels.values()][0].uplink._end > 8000")
        page.evaluate("tsuyaku.speaking.capture._context.suspend()")
        page.get_by_text("The device has interrupted the microphone").wait_for()
        page.wait_for_timeout(2500)
        before = page.evaluate("[...tsuyaku.speaking.channels.values()][0].uplink._end")
        page.evaluate("tsuyaku.speaking.capture._context.resume()")
        page.get_by_text("The device has interrupted the microphone").wait_for(state="detached")
        evaluates(page, f"[...tsuyaku.speaking.channels.values()][0].uplink._end > {before} + 2 * 16000")


def test_microphone_that_is_unplugged_is_told(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        page.evaluate("tsuyaku.speaking.capture._stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
        page.get_by_text("The microphone was disconnected").wait_for()
        page.click("#start")
        page.wait_for_selector("#pause")
        page.get_by_text("The microphone was disconnected").wait_for(state="detached")


def test_pause_is_silence_and_goes_on(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        page.click("#pause")
        page.get_by_text("Paused. Nobody hears you.").wait_for()
        evaluates(page, "tsuyaku.speaking.active === ''")
        assert page.locator("#pause").get_attribute("aria-pressed") == "true"
        page.click("#pause")
        evaluates(page, "tsuyaku.speaking.active === 'voice'")


def test_speaker_saves_what_was_said(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        log = [m for m in conversation() if m["type"] in ("opened", "words")]
        play(page, log, "host")
        page.goto(address(server, "speak"))
        evaluates(page, "!!window.tsuyaku && tsuyaku.text().includes('ticket')")
        page.click("#save")
        with page.expect_download() as saved:
            page.get_by_role("button", name="TXT").click()
        text = Path(saved.value.path()).read_text("utf-8")
        assert text.splitlines() == [source for source, _ in SENTENCES]


def test_host_replaces_a_link_and_ends_only_when_sure(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        script = show(page, server, "speak")
        page.locator("#host summary").click()
        page.click("#new-link")
        page.get_by_text("The link was replaced").wait_for()
        page.click("#end-room")
        assert not [m for m in script.sent if m["type"] == "close"]
        page.click("#end-room-now")
        until(
            lambda: [m for m in script.sent if m["type"] == "close"] or page.evaluate("0"), 10, "the end is asked for"
        )
        script.say({"type": "ended", "sequence": 900, "code": "host"})
        page.get_by_text("The room is over. Its text stays here").wait_for()
        assert page.locator("#start").count() == 0


def test_overlay_link_is_put_together_and_shows_captions(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        page.locator("#host summary").click()
        page.click("#overlay")
        page.select_option("#overlay-language", "pt")
        for label in ("64", "3", "Top"):
            page.locator("dialog .choices label", has_text=label).last.click()
        link = page.input_value("#overlay-link")
        assert link.partition("#")[2] == f"{'l' * 32}&lang=pt&size=64&lines=3&position=top&shade=1"
        overlay = pages.page()
        play(overlay, conversation())
        overlay.goto(link)
        evaluates(overlay, "document.querySelector('.flow').innerText.includes('convés')")
        box = overlay.locator(".roll").bounding_box()
        assert box is not None
        assert box["y"] < 60
        assert 3 * 64 < box["height"] < 3 * 64 * 1.5


def test_overlay_that_can_have_no_captions_says_why(server: Running, browser: Browser) -> None:
    room = server.post("api/rooms", {"code": "harbour"})
    with watched(browser, server.url) as pages:
        page = pages.page(f"{server.url}overlay#{'x' * 32}")
        page.get_by_text("This link does not work any more").wait_for()
        page = pages.page(f"{server.url}overlay#{room['listener']}&lang=pt&code=harbour")
        evaluates(page, "document.documentElement.dataset.connection === 'open'")
        assert not page.locator(".notices").is_visible()


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
        evaluates(page, "tsuyaku.playback.waiting === 0", 20)
        loud = page.evaluate("tsuyaku.playback._last.get('en').parts[0][500]")
        quiet = page.evaluate("tsuyaku.playback._last.get('pt').parts[0][500]")
        assert loud > quiet > 0
        page.locator(".half.theirs .stacked").first.click()
        evaluates(page, "tsuyaku.playback.waiting > 0.1")


def test_link_for_phones_is_one_that_they_can_follow(server: Running, browser: Browser) -> None:
    """`localhost` is each phone's own."""
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        assert "works on this computer only" in page.locator("#local").inner_text()
        known = "https://192.0.2.7:8080"
        page = pages.page()

        def answer(route: Route) -> None:
            route.fulfill(json={**route.fetch().json(), "address": known})

        page.route("**/api/info", answer)
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.post_data or "") if r.url.endswith("/api/qr") else None)
        show(page, server, "speak")
        until(lambda: page.evaluate("1") and asked, 10, "a code is drawn")
        assert f"{known}/listen#{'l' * 32}" in asked[0]
        assert page.locator("#local").count() == 0


def test_speaker_whose_link_was_replaced_is_heard_no_more(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        script = show(page, server, "speak")
        script.end(4401)
        page.get_by_text("This link does not work any more").wait_for()
        evaluates(page, "!tsuyaku.speaking.running")


def test_room_that_is_over_is_not_asked_for_again(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        script.say({"type": "ended", "sequence": 900, "code": "shutdown"})
        page.get_by_text("The server was shut down").wait_for()
        script.end(1012)
        evaluates(page, "document.documentElement.dataset.connection === 'over'")
        assert page.locator(".notice.danger").count() == 0
        assert page.locator(".notice").get_by_role("button", name="Save the text").is_visible()


def test_looking_at_the_start_page_chooses_no_language(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        page.wait_for_selector("#demo-language")
        assert page.input_value("#demo-language") == "pt"
        page.click("#demo")
        page.wait_for_url("**/listen#*")
        listener = pages.page()
        play(listener, conversation())
        listener.goto(f"{server.url}listen#{'t' * 32}")
        evaluates(listener, "document.querySelector('.flow').lang === 'en'")
