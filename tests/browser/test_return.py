"""What a page says when it comes back, or comes late: what is gone, what is not, and what is not shown."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Running, evaluates, until, watched
from tests.browser.scripted import Script, show

pytestmark = pytest.mark.browser

CUT = "its beginning is no longer kept"
GONE = "The server no longer has what was said before"
BACK = "Connected again, nothing was lost"


def come_back(page: Page, script: Script, **welcome: Any) -> None:
    """The link breaks, and the page is greeted so."""
    hellos = len(script.asked("hello"))
    script.welcome(**welcome)
    script.end(1012)
    evaluates(page, "document.documentElement.dataset.connection !== 'open'")
    evaluates(page, "document.documentElement.dataset.connection === 'open'")
    assert len(script.asked("hello")) == hellos + 1


@pytest.mark.parametrize("name", ["listen", "speak"])
def test_who_comes_late_to_a_long_room_is_told_that_its_beginning_is_gone(
    server: Running, browser: Browser, name: str
) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, name, cut=True)
        page.get_by_text(CUT).wait_for()
        page.click("#save")
        assert page.get_by_text("The file starts later").is_visible()


def test_who_has_the_beginning_is_not_told_that_it_is_gone(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        come_back(page, script, recovered=True, cut=True)
        page.get_by_text(BACK).wait_for()
        assert page.get_by_text(CUT).count() == 0


def test_who_gets_everything_again_is_not_told_that_it_is_gone(server: Running, browser: Browser) -> None:
    """A page that asked for another language just before the link broke asks for all of it anew."""
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        come_back(page, script, recovered=False)
        page.get_by_text(BACK).wait_for()
        assert page.get_by_text(GONE).count() == 0


def test_who_was_away_while_the_log_was_cut_is_told_so_and_no_more(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        come_back(page, script, recovered=False, cut=True)
        page.get_by_text(CUT).wait_for()
        assert page.get_by_text(GONE).count() == page.get_by_text(BACK).count() == 0


def test_another_log_is_told(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        script = show(page, server, "listen")
        come_back(page, script, recovered=False, epoch="another")
        page.get_by_text(GONE).wait_for()


@pytest.mark.parametrize("cut", [True, False])
def test_file_of_a_long_room_says_that_it_starts_later(server: Running, browser: Browser, cut: bool) -> None:
    """Of a language that only the server has."""
    headers = {"transcript-cut": "1"} if cut else {}
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        page.route("**/api/transcript?*", lambda route: route.fulfill(body="今日は", headers=headers))
        show(page, server, "speak")
        page.click("#save")
        page.get_by_label("日本語").check()
        with page.expect_download():
            page.get_by_role("button", name="TXT").click()
        page.wait_for_timeout(200)
        assert page.get_by_text("The file starts later").is_visible() is cut


def test_last_words_of_who_stopped_without_a_network_are_sent_when_it_is_back(
    server: Running, browser: Browser
) -> None:
    """Also where somebody has begun to speak again meanwhile."""
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        script = show(page, server, "speak")
        script.down = True
        script.end(1012)
        page.get_by_text("Go on speaking: your words are kept here").wait_for()
        page.wait_for_timeout(1000)
        page.click("#stop")
        page.click("#start")
        page.wait_for_selector("#pause")
        script.down = False
        evaluates(page, "document.documentElement.dataset.connection === 'open'")
        until(lambda: page.evaluate("1") and script.asked("stop"), 20, "the first channel is ended")
        first, *others = [message["key"] for message in script.asked("start")]
        assert others[-2:] == [next(key for key in others if key != first), first]
        assert [message["channel"] for message in script.asked("stop")] == [1]
        assert page.evaluate("tsuyaku.speaking.channels.size") == 1


def test_who_speaks_again_before_the_last_channel_is_closed_gets_a_new_one(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        script = show(page, server, "talk")
        page.click("#talk-mine")
        evaluates(page, "tsuyaku.speaking.channels.get('mine')?.uplink.channel === 1")
        page.evaluate("tsuyaku.speaking.capture.ear.stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
        page.click("#start")
        page.click("#talk-mine")
        evaluates(page, "tsuyaku.speaking.channels.get('mine')?.uplink.channel === 2")
        script.say({"type": "closed", "sequence": 899, "channel": 1, "code": "end", "message": ""})
        page.wait_for_timeout(300)
        assert page.evaluate("tsuyaku.speaking.running && tsuyaku.speaking.active") == "mine"
