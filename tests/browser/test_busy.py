"""A server that is full: who is told that it is tried again is tried again, until they leave."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser.conftest import Running, evaluates, until, watched
from tests.browser.scripted import SIZES, address, play

pytestmark = pytest.mark.browser

FULL = {"code": "too-many-rooms", "message": "Full."}
PHONE = SIZES["phone"]


def refusing(page: Page, path: str, times: int, retry_after: str = "1") -> list[float]:
    """The server refuses the first `times` requests; returns when it was asked, in s, which grows."""
    asked: list[float] = []

    def answer(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) > times:
            route.continue_()
        else:
            route.fulfill(status=503, json=FULL, headers={"retry-after": retry_after})

    page.route(path, answer)
    return asked


def passing(page: Page, said: Callable[[], object]) -> Callable[[], object]:
    """`said`, while what the page does goes on."""
    return lambda: page.evaluate("1") and said()


def test_room_is_asked_for_until_there_is_one(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        asked = refusing(page, "**/api/rooms", 2)
        page.click("#speak")
        page.get_by_text("The server is full at the moment. It is tried again by itself.").wait_for()
        page.wait_for_url("**/speak#*")
        assert len(asked) == 3


def test_room_is_not_asked_for_sooner_than_the_server_says(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        asked = refusing(page, "**/api/rooms", 2, retry_after="2")
        page.click("#talk")
        page.wait_for_url("**/talk#*")
        first, second, third = asked
        assert second - first > 2
        assert third - second > 4, "and each time later"


def test_who_will_not_wait_asks_no_more(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        asked = refusing(page, "**/api/rooms", 99)
        page.click("#speak")
        until(passing(page, lambda: len(asked) > 1), 20, "another try")
        page.click("#give-up")
        count = len(asked)
        page.wait_for_timeout(4000)
        assert len(asked) == count
        assert page.get_by_text("It is tried again by itself").count() == 0


def test_speaker_gets_a_channel_as_soon_as_one_is_free_and_no_word_is_lost(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        script = play(page, [], "host")
        script.refusals = ["busy"]
        page.goto(address(server, "speak"))
        page.click("#start")
        page.get_by_text("The server cannot take another speaker at the moment").wait_for()
        evaluates(page, "tsuyaku.speaking.pendingSeconds > 0.5")
        evaluates(page, "[...tsuyaku.speaking.channels.values()][0].uplink.channel === 1")
        page.get_by_text("The server cannot take another speaker").wait_for(state="detached")
        first, second = script.asked("start")
        assert first == second


def test_speaker_who_stops_waits_for_no_channel(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        script = play(page, [], "host")
        script.refusals = ["busy"] * 9
        page.goto(address(server, "speak"))
        page.click("#start")
        page.get_by_text("The server cannot take another speaker").wait_for()
        page.click("#stop")
        page.wait_for_selector("#start")
        count = len(script.asked("start"))
        page.wait_for_timeout(4000)
        assert len(script.asked("start")) == count
        assert page.get_by_text("The server cannot take another speaker").count() == 0


def test_speaker_in_a_room_of_many_speakers_is_not_left_before_a_microphone(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        script = play(page, [], "host")
        script.refusals = ["too-many-channels"]
        page.goto(address(server, "speak"))
        page.click("#start")
        page.get_by_text("Too many people are speaking in this room already").wait_for()
        page.wait_for_selector("#start")
        assert page.evaluate("tsuyaku.speaking.running") is False
        page.click("#start")
        page.wait_for_selector("#pause")
        page.get_by_text("Too many people are speaking").wait_for(state="detached")
