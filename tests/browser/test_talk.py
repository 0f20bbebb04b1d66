"""Two people and two languages: one phone between them, or a phone each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright

from tests.browser.conftest import FAKE_MICROPHONE, OUT, Running, evaluates, launch, microphone_file, watched
from tests.browser.scripted import address, caption, conversation, play, show
from tests.conftest import Recording

pytestmark = pytest.mark.browser

AUDIBLE = 0.003
PHONE = {"width": 390, "height": 844}
TIMES = {"start_ms": 13_000, "end_ms": 13_500, "emitted_ms": 14_000}
LANGUAGES = ["en", "es", "ja", "pt"]


@pytest.fixture(scope="module")
def microphone(english: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One English sentence, time to press a button before it, and silence after it."""
    path = tmp_path_factory.mktemp("microphone") / "sentence.wav"
    return microphone_file(english.path, path, lead_s=4, silence_s=120)


@pytest.fixture
def table(playwright: Playwright, microphone: Path) -> Iterator[Browser]:
    """A browser whose microphone begins anew."""
    with launch(playwright, *FAKE_MICROPHONE, f"--use-file-for-fake-audio-capture={microphone}%noloop") as made:
        yield made


def test_one_phone_shows_and_speaks_the_other_language(server: Running, table: Browser) -> None:
    room = server.post("api/rooms")
    with watched(table, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page(f"{server.url}talk#{room['host']}")
        page.select_option("#mine", "en")
        page.select_option("#theirs", "pt")
        page.click("#start")
        page.click("#talk-mine")
        evaluates(page, "tsuyaku.text('pt').length > 20 && tsuyaku.text('en').length > 20", 120)
        assert page.locator(".half.theirs").get_attribute("lang") == "pt"
        evaluates(page, "document.querySelector('.half.theirs .flow').innerText.trim() !== ''")
        page.evaluate(
            "window.loudest = 0; setInterval(() => { if (tsuyaku.speaking.active)"
            " window.loudest = Math.max(window.loudest, tsuyaku.playback.energy); }, 20)"
        )
        page.wait_for_timeout(5000)
        assert page.evaluate("tsuyaku.speaking.active") == "mine"
        page.click("#talk-mine")
        evaluates(page, f"tsuyaku.playback.energy > {AUDIBLE}", 90)
        assert page.evaluate("window.loudest") == 0, "the microphone heard the loudspeaker"
        evaluates(page, "tsuyaku.playback.energy === 0", 120)
        page.screenshot(path=OUT / "talk-phone-conversation.png")
        page.locator(".half.theirs").get_by_role("button", name="Repetir").click()
        evaluates(page, f"tsuyaku.playback.energy > {AUDIBLE}", 60)
        page.locator(".half.mine").get_by_role("button", name="Show it large").click()
        assert page.locator(".poster").inner_text().strip() != "…"
        page.screenshot(path=OUT / "talk-phone-large.png")


def test_automatic_hears_nothing_while_the_phone_speaks(server: Running, table: Browser) -> None:
    room = server.post("api/rooms")
    with watched(table, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page(f"{server.url}talk#{room['host']}")
        page.select_option("#mine", "en")
        page.select_option("#theirs", "pt")
        page.click("#start")
        page.check("#automatic")
        evaluates(page, "tsuyaku.text('pt').length > 0", 120)
        evaluates(page, f"tsuyaku.playback.energy > {AUDIBLE} && tsuyaku.speaking.active === ''", 90)
        evaluates(page, "tsuyaku.playback.waiting === 0 && tsuyaku.speaking.active === 'auto'", 120)


def test_a_phone_each(server: Running, table: Browser, browser: Browser) -> None:
    room = server.post("api/rooms")
    with (
        watched(table, server.url, viewport=PHONE, permissions=["microphone"]) as mine,
        watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as theirs,
    ):
        guest = theirs.page(f"{server.url}talk#{room['speaker']}")
        guest.get_by_role("heading", name="Join the conversation").wait_for()
        guest.select_option("#mine", "pt")
        guest.click("#start")
        guest.wait_for_selector("#talk-mine")
        host = mine.page(f"{server.url}talk#{room['host']}")
        host.get_by_label("A phone each").check()
        host.select_option("#mine", "en")
        host.click("#start")
        host.click("#talk-mine")
        evaluates(guest, "tsuyaku.text('pt').length > 20", 120)
        evaluates(guest, f"tsuyaku.playback.energy > {AUDIBLE}", 90)
        assert host.evaluate("tsuyaku.playback.energy") == 0, "nobody hears their own words again"


def test_speaker_goes_on_after_a_reload(server: Running, table: Browser, browser: Browser) -> None:
    room = server.post("api/rooms")
    with (
        watched(table, server.url, viewport=PHONE, permissions=["microphone"]) as speaking,
        watched(browser, server.url, viewport=PHONE) as listening,
    ):
        listener = listening.page(f"{server.url}listen#{room['listener']}&lang=pt")
        speaker = speaking.page(f"{server.url}speak#{room['host']}&lang=en")
        for more in (20, 40):
            speaker.click("#start")
            evaluates(listener, f"tsuyaku.text().length > {more}", 120)
            before = listener.evaluate("tsuyaku.text()")
            speaker.reload()
        evaluates(speaker, "!!window.tsuyaku && tsuyaku.text().length > 10")
        assert listener.evaluate("tsuyaku.text()").startswith(before)
        assert listener.evaluate("tsuyaku.room.captions.channels.size") == 1


def test_room_code_is_asked_for(server: Running, browser: Browser) -> None:
    room = server.post("api/rooms", {"code": "harbour"})
    with watched(browser, server.url, viewport=PHONE) as pages:
        page = pages.page(f"{server.url}listen#{room['listener']}&lang=pt")
        page.fill("#code", "castle")
        page.keyboard.press("Enter")
        page.get_by_text("This room has a code").wait_for()
        page.fill("#code", "harbour")
        page.keyboard.press("Enter")
        evaluates(page, "document.documentElement.dataset.connection === 'open'")


def test_overlay_obeys_its_parameters(server: Running, browser: Browser) -> None:
    room = server.post("api/rooms")
    with watched(browser, server.url) as pages:
        page = pages.page(f"{server.url}overlay#{room['listener']}&lang=pt&size=60&lines=3&position=top")
        evaluates(page, "document.documentElement.dataset.connection === 'open'")
        box = page.locator(".roll").bounding_box()
        assert box is not None
        assert box["y"] < 60
        assert 3 * 60 < box["height"] < 3 * 60 * 1.5
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"


def knowing(page: Page, **facts: Any) -> None:
    """The server says of itself what a test needs."""
    page.route(
        "**/api/info", lambda route: route.fulfill(json={**route.fetch().json(), "languages": LANGUAGES, **facts})
    )


def test_two_people_know_before_they_begin_where_llama_is_alone(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        knowing(page, pairs={"en": ["pt", "es"], "pt": ["en"], "es": ["en"]}, alone={"pt": ["en"]})
        play(page, [], "host")
        page.goto(address(server, "talk"))
        page.select_option("#mine", "en")
        page.select_option("#theirs", "pt")
        page.get_by_text("Only Llama translates between these languages").wait_for()
        page.select_option("#theirs", "es")
        page.get_by_text("Only Llama translates").wait_for(state="detached")


def test_what_two_people_know_already_does_not_stay_before_what_they_read(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        knowing(page, pairs={"en": ["pt"], "pt": ["en"]}, alone={"pt": ["en"], "en": ["pt"]})
        script = show(page, server, "talk")
        page.get_by_text("Only Llama translates").wait_for()
        script.say(*conversation())
        page.get_by_text("Only Llama translates").wait_for(state="detached", timeout=15_000)
        script.say({"type": "words", "sequence": 800, "channel": 1, "language": "en", "text": " Well,", **TIMES})
        evaluates(page, "tsuyaku.room.captions.seen.has(800)")
        assert page.get_by_text("Only Llama translates").count() == 0


def test_two_people_know_before_they_begin_what_is_not_translated(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        knowing(page, pairs={"en": ["pt", "es"], "es": ["en"]})
        play(page, [], "host")
        page.goto(address(server, "talk"))
        page.select_option("#mine", "en")
        page.select_option("#theirs", "pt")
        page.get_by_text("Português is not translated into English here").wait_for()
        page.get_by_label("A phone each").check()
        page.get_by_text("is not translated into").wait_for(state="detached")
        page.get_by_label("One phone for both").check()
        page.get_by_text("Português is not translated into English here").wait_for()
        page.select_option("#theirs", "es")
        page.get_by_text("is not translated into").wait_for(state="detached")


@pytest.mark.parametrize("name", ["listen", "talk"])
def test_language_that_is_not_served_is_named_and_no_retry_is_promised(
    server: Running, browser: Browser, name: str
) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        knowing(page, pairs={})  # an older server says nothing of its pairs
        script = show(page, server, name)
        if name == "talk":
            script.say(*conversation())
        trouble = {"type": "trouble", "channel": 1, "stage": "translate", "language": "ja", "code": "language-unserved"}
        script.say(trouble)
        page.get_by_text("English is not translated into 日本語 here").wait_for()
        assert page.get_by_text("tried again").count() == 0


def test_what_was_said_goes_on_while_it_is_being_read(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        script = show(page, server, "talk")
        script.say(*conversation())
        page.click("#phrases")
        page.locator("dialog").get_by_text("Guarde a passagem").wait_for()
        for n in range(5, 25):
            script.say(
                caption(500 + 2 * n, n, f" Frase {n}."), caption(501 + 2 * n, n, f" Phrase {n}.", "en", same=True)
            )
        page.locator("dialog").get_by_text("Phrase 24.").wait_for()
        end = "(box => box.scrollHeight - box.scrollTop - box.clientHeight)(document.querySelector('.phrases'))"
        evaluates(page, f"{end} < 2")
        page.evaluate("document.querySelector('.phrases').scrollTop = 0")
        page.wait_for_timeout(200)
        script.say(caption(700, 30, " Outra.", "pt"), caption(701, 30, " Another.", "en", same=True))
        page.locator("dialog").get_by_text("Another.").wait_for(state="attached")
        assert page.evaluate("document.querySelector('.phrases').scrollTop") == 0, "it is being read"
