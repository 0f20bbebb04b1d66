"""Who speaks and who hosts: microphones that go away, links, the overlay, the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.conftest import Running, evaluates, until, watched
from tests.browser.scripted import SENTENCES, SIZES, address, conversation, play, show

pytestmark = pytest.mark.browser

PHONE = SIZES["phone"]


def test_call_that_takes_the_microphone_is_told_and_time_goes_on(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        evaluates(page, "[...tsuyaku.speaking.channels.values()][0].uplink._end > 8000")
        page.evaluate("tsuyaku.speaking.capture.ear.context.suspend()")
        page.get_by_text("The device has interrupted the microphone").wait_for()
        page.wait_for_timeout(2500)
        before = page.evaluate("[...tsuyaku.speaking.channels.values()][0].uplink._end")
        page.evaluate("tsuyaku.speaking.capture.ear.context.resume()")
        page.get_by_text("The device has interrupted the microphone").wait_for(state="detached")
        evaluates(page, f"[...tsuyaku.speaking.channels.values()][0].uplink._end > {before} + 2 * 16000")


def test_microphone_that_is_unplugged_is_told(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        page.evaluate("tsuyaku.speaking.capture.ear.stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
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
        page.get_by_text("The listeners' link was replaced").wait_for()
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
        for label in ("64", "3", "Top", "Centre", "20 s"):
            page.locator("dialog .choices label", has_text=label).last.click()
        link = page.input_value("#overlay-link")
        assert link.partition("#")[2] == f"{'l' * 32}&lang=pt&size=64&lines=3&position=top&align=center&fade=20&shade=1"
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


def test_language_is_detected_among_all_not_only_those_of_the_browser(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, locale="en-GB", permissions=["microphone"]) as pages:
        page = pages.page()
        script = play(page, [], "host")
        page.goto(f"{server.url}speak#{'t' * 32}&lang=auto")
        page.wait_for_selector("#app[data-ready]", state="attached")
        page.click("#start")
        until(
            lambda: page.evaluate("1") and [m for m in script.sent if m["type"] == "start"], 10, "a channel is opened"
        )
        start = next(message for message in script.sent if message["type"] == "start")
        assert (start["language"], start.get("candidates", [])) == ("auto", [])


def test_speaker_whose_link_was_replaced_is_heard_no_more(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        script = show(page, server, "speak")
        script.end(4401)
        page.get_by_text("This link does not work any more").wait_for()
        evaluates(page, "!tsuyaku.speaking.running")


def test_replaced_links_shut_out_who_came_by_the_old_ones_and_open_for_the_new(
    server: Running, browser: Browser
) -> None:
    room = server.post("api/rooms")
    gone, fine = "This link does not work any more", "document.documentElement.dataset.connection === 'open'"
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        host = pages.page(f"{server.url}speak#{room['host']}&lang=en")
        listener = pages.page(f"{server.url}listen#{room['listener']}&lang=pt")
        speaker = pages.page(f"{server.url}speak#{room['speaker']}&lang=en")
        for page in (host, listener, speaker):
            evaluates(page, fine)
        host.locator("#host summary").click()
        host.click("#new-link")
        host.get_by_text("The listeners' link was replaced").wait_for()
        listener.get_by_text(gone).wait_for()
        assert speaker.evaluate(fine)
        host.click("#co-speaker")
        host.click("#new-speaker-link")
        host.locator("dialog").get_by_text("The speakers' link was replaced").wait_for()
        speaker.get_by_text(gone).wait_for()
        links = host.evaluate("[tsuyaku.host.links.listener, tsuyaku.host.links.speaker]")
        assert not set(links) & set(room.values())
        for name, token in zip(("listen", "speak"), links, strict=True):
            evaluates(pages.page(f"{server.url}{name}#{token}&lang=en"), fine)


LIVE_TRACKS = """(() => {
  if (!window.MediaDevices) return;
  const made = MediaDevices.prototype.getUserMedia;
  window.tracks = [];
  MediaDevices.prototype.getUserMedia = async function (wanted) {
    const stream = await made.call(this, wanted);
    window.tracks.push(...stream.getTracks());
    return stream;
  };
})()"""
SILENT = "window.tracks.length > 0 && window.tracks.every(track => track.readyState === 'ended')"


def closed(code: str = "end") -> dict[str, Any]:
    return {"type": "closed", "sequence": 899, "channel": 1, "code": code, "message": "An engine failed."}


@pytest.mark.parametrize("code", ["end", "engine-failed"])
def test_speaker_whose_channel_is_closed_has_no_open_microphone(server: Running, browser: Browser, code: str) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        pages.context.add_init_script(LIVE_TRACKS)
        page = pages.page()
        script = show(page, server, "speak")
        script.say(closed(code))
        page.get_by_text("The server has closed your channel").wait_for()
        assert page.get_by_text("engine-failed").count() == (code != "end")
        assert page.locator(".notices .notice").count() == 1
        evaluates(page, SILENT)
        page.click("#start")
        page.wait_for_selector("#pause")
        page.get_by_text("The server has closed your channel").wait_for(state="detached")
        assert len({message["key"] for message in script.asked("start")}) == 2


def test_speaker_of_a_room_that_is_over_cannot_start_again(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        pages.context.add_init_script(LIVE_TRACKS)
        page = pages.page()
        script = show(page, server, "speak")
        script.say(closed(), {"type": "ended", "sequence": 900, "code": "host"})
        page.get_by_text("The room is over. Its text stays here").wait_for()
        evaluates(page, SILENT)
        assert page.get_by_text("The server has closed your channel").count() == 0
        assert page.locator("#start").count() == 0


@pytest.mark.parametrize("automatic", [True, False])
def test_conversation_whose_room_ends_has_no_open_microphone(
    server: Running, browser: Browser, automatic: bool
) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        pages.context.add_init_script(LIVE_TRACKS)
        page = pages.page()
        script = show(page, server, "talk")
        if automatic:
            page.check("#automatic")
        else:
            page.click("#talk-mine")
        evaluates(page, "[...tsuyaku.speaking.channels.values()][0]?.uplink.channel === 1")
        script.say(closed())
        page.get_by_text("The server has closed your channel").wait_for()
        evaluates(page, SILENT)
        assert page.locator("#start").is_enabled()
        script.say({"type": "ended", "sequence": 900, "code": "host"})
        script.end(4410)
        page.get_by_text("The host has ended the room").wait_for()
        evaluates(page, "document.querySelector('#start').disabled")
        assert page.get_by_text("The server has closed your channel").count() == 0


COUNT_SOUND = """(() => {
  const { uplink } = [...tsuyaku.speaking.channels.values()][0];
  const push = uplink.push.bind(uplink);
  window.heard = { samples: 0, longest: 0, begun: performance.now(), last: performance.now() };
  uplink.push = (samples) => {
    const now = performance.now();
    heard.samples += samples.length;
    heard.longest = Math.max(heard.longest, now - heard.last);
    heard.last = now;
    push(samples);
  };
})()"""
DEVICE = "tsuyaku.speaking.capture.settings.deviceId"


def test_microphone_is_changed_while_speaking_without_a_gap(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        pages.context.add_init_script(LIVE_TRACKS)
        page = pages.page()
        show(page, server, "speak")
        page.wait_for_selector("#device-box #device")
        page.evaluate(COUNT_SOUND)
        page.wait_for_timeout(1000)
        chosen = page.locator("#device option").last.get_attribute("value")
        assert page.evaluate(DEVICE) != chosen
        page.select_option("#device", chosen)
        evaluates(page, f"{DEVICE} === {chosen!r}")
        page.wait_for_timeout(2000)
        missing = page.evaluate("(heard.last - heard.begun) / 1000 - heard.samples / 16000")
        assert abs(missing) < 0.15, "what was said meanwhile is there, once"
        assert page.evaluate("window.tracks.map(track => track.readyState)") == ["ended", "live"]
        assert page.evaluate("tsuyaku.speaking.channels.size") == 1
        page.click("#stop")
        evaluates(page, SILENT)


def test_microphone_that_cannot_be_had_leaves_the_old_one_on(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        page.wait_for_selector("#device-box #device")
        before = page.evaluate(DEVICE)
        page.evaluate(
            "MediaDevices.prototype.getUserMedia = async () => { throw new DOMException('', 'NotReadableError'); }; 0"
        )
        page.select_option("#device", index=2)
        page.get_by_text("Another program is using the microphone").wait_for()
        evaluates(page, "document.querySelector('#device').value === ''")
        assert page.evaluate(DEVICE) == before
        page.evaluate(COUNT_SOUND)
        evaluates(page, "heard.samples > 8000")


def test_microphones_can_be_chosen_before_one_was_ever_granted(server: Running, browser: Browser) -> None:
    """Until then a browser names none of them."""
    with watched(browser, server.url, viewport=PHONE, permissions=["microphone"]) as pages:
        pages.context.add_init_script(
            """if (window.MediaDevices) {
              const { getUserMedia, enumerateDevices } = MediaDevices.prototype;
              let granted = false;
              MediaDevices.prototype.getUserMedia = async function (wanted) {
                granted = true;
                return getUserMedia.call(this, wanted);
              };
              MediaDevices.prototype.enumerateDevices = async function () {
                return granted ? enumerateDevices.call(this) : [{ kind: "audioinput", deviceId: "", label: "" }];
              };
            }"""
        )
        page = pages.page()
        play(page, [], "host")
        page.goto(address(server, "speak"))
        page.click("#find-devices")
        page.wait_for_selector("#device")
        chosen = page.locator("#device option").last.get_attribute("value")
        page.select_option("#device", chosen)
        page.click("#start")
        page.wait_for_selector("#pause")
        assert page.evaluate(DEVICE) == chosen
        assert page.locator("#device").input_value() == chosen
