"""How the pages behave in the hands of people: keyboard, touch, small screens, the right language."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Running, evaluates, watched
from tests.browser.scripted import BEFORE, PAGES, SIZES, address, conversation, play, prepare, show

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


@pytest.mark.parametrize("name", BEFORE)
def test_everything_before_a_session_is_large_enough_to_press(server: Running, browser: Browser, name: str) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        prepare(page, server, name)
        assert page.evaluate(SMALL) == []
        page.set_viewport_size({"width": 320, "height": 568})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


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
        page.locator("dialog").wait_for(state="detached")
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
def test_screen_stays_on_again_when_the_page_comes_back(server: Running, browser: Browser, name: str) -> None:
    """A browser lets go of the lock whenever the page is hidden."""
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        pages.context.add_init_script(COUNT_LOCKS)
        page = pages.page()
        show(page, server, name)
        evaluates(page, "window.locks.length === 1")
        page.evaluate("Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.evaluate("Object.defineProperty(document, 'visibilityState', { value: 'visible', configurable: true })")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        evaluates(page, "window.locks.length === 2")


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


def test_nothing_is_called_live_before_somebody_speaks(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = play(page, [])
        page.goto(address(server, "listen"))
        evaluates(page, "document.querySelector('#state').textContent === 'Connected'")
        script.say({"type": "opened", "sequence": 1, "channel": 1, "language": "en", "name": "", "room_ms": 0})
        evaluates(page, "document.querySelector('#state').textContent === 'Live'")
