"""Sound on its way through a page: rates, echo, speech that comes too late."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from playwright.sync_api import Browser

from app.frames import Voice
from tests.browser.conftest import Running, evaluates, watched
from tests.browser.scripted import show

pytestmark = pytest.mark.browser

RESAMPLED = """async ([from, hz]) => {
  const { Resampler } = await import('/js/resample.js');
  const resampler = new Resampler(from, 16000);
  const out = [];
  for (let at = 0; at < from; at += 128) {
    const block = Float32Array.from({ length: 128 }, (_, i) => Math.sin(2 * Math.PI * hz * (at + i) / from));
    out.push(...resampler.process(block));
  }
  const middle = out.slice(2000, 14000);
  let [re, im, all] = [0, 0, 0];
  middle.forEach((value, i) => {
    re += value * Math.cos(2 * Math.PI * hz * i / 16000);
    im += value * Math.sin(2 * Math.PI * hz * i / 16000);
    all += value * value;
  });
  const tone = 2 * (re * re + im * im) / middle.length;
  const rms = square => Math.sqrt(Math.max(0, square) / middle.length);
  return { level: rms(all), rest: rms(all - tone), count: out.length };
}"""


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000, 8_000])
def test_device_rate_becomes_16_khz_without_distortion(server: Running, browser: Browser, rate: int) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        found = page.evaluate(RESAMPLED, [rate, 1000])
        assert abs(found["count"] - 16_000) < 200
        assert abs(found["level"] - 0.7071) < 0.01
        assert found["rest"] < found["level"] / 1000, "60 dB below the tone"


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_what_16_khz_cannot_hold_is_left_out(server: Running, browser: Browser, rate: int) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        assert page.evaluate(RESAMPLED, [rate, 11_000])["level"] < 0.001


def test_echo_cancellation_is_asked_for_and_what_is_done_is_said(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        pages.context.add_init_script(
            "const ask = window.MediaDevices?.prototype.getUserMedia;"
            "if (ask) MediaDevices.prototype.getUserMedia = function (wanted) {"
            "  window.asked = wanted.audio; return ask.call(this, wanted); };"
        )
        page = pages.page()
        show(page, server, "speak")
        assert page.evaluate("window.asked.echoCancellation.ideal") is True
        done = page.evaluate("tsuyaku.speaking.capture.settings.echoCancellation")
        said = "Echo cancellation is on." if done else "This browser does not cancel echo"
        loud = "Too loud"  # the fake device beeps at full scale, and the newer advice stands
        evaluates(page, f"[{said!r}, {loud!r}].some(t => document.querySelector('.advice').textContent.startsWith(t))")


def test_speech_that_comes_too_late_is_left_out_by_whole_clauses(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        show(page, server, "listen")
        page.click("#voice")
        evaluates(page, "!!tsuyaku.playback._node && tsuyaku.playback.context.state === 'running'")
        page.evaluate("""() => {
          window.begun = [];
          window.done = [];
          const { begun, done } = tsuyaku.playback.handlers;
          tsuyaku.playback.handlers.begun = (key, end) => { window.begun.push(key); begun?.(key, end); };
          tsuyaku.playback.handlers.done = (key, end) => { window.done.push(key); done?.(key, end); };
          for (let segment = 0; segment < 10; segment += 1) {
            const data = new Uint8Array(2 * 36000).fill(40);
            tsuyaku.playback.play({ channel: 1, sequence: segment, segment, rate: 24000, sourceEnd: 0, language: 'pt',
              last: true, opus: false, data });
          }
        }""")
        evaluates(page, "/sentences were left unspoken/.test(document.querySelector('.catching').textContent)", 90)
        evaluates(page, "tsuyaku.playback.waiting === 0", 90)
        begun, done = page.evaluate("[window.begun, window.done]")
        assert begun == done, "what has begun is never cut"
        assert 1 < len(begun) < 10
        assert begun[-1] == "1/9/pt"


def tone(seconds: float) -> bytes:
    """A steady one at half of full scale, as a WAV file."""
    samples = 16384 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * 16_000)) / 16_000)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


ORIGINAL = "tsuyaku.original.energy"
ALONE = 0.5 * 0.5 / 2**0.5  # root mean square of the tone at its usual loudness


def test_original_is_quieter_while_its_translation_sounds(server: Running, browser: Browser) -> None:
    """Measured, on a device that leaves the volume of an element to its buttons."""
    with watched(browser, server.url) as pages:
        pages.context.add_init_script(
            "Object.defineProperty(HTMLMediaElement.prototype, 'volume', { get: () => 1, set: () => undefined })"
        )
        page = pages.page()
        page.route("**/api/sample.wav", lambda route: route.fulfill(body=tone(60), content_type="audio/wav"))
        script = show(page, server, "listen", demo=True)
        page.click("#voice")
        evaluates(page, "tsuyaku.playback.context?.state === 'running' && !!tsuyaku.playback._node")
        script.say({"type": "opened", "sequence": 900, "channel": 2, "language": "en", "name": "", "room_ms": 0})
        evaluates(page, f"Math.abs({ORIGINAL} - {ALONE}) < 0.05 * {ALONE}")
        script.speak(Voice(1, 1, 9, 24_000, 0, "pt", True, np.full(72_000, 3000, "<i2").tobytes()))
        evaluates(page, f"tsuyaku.playback.energy > 0.01 && {ORIGINAL} > 0 && {ORIGINAL} < 0.3 * {ALONE}", 30)
        evaluates(page, f"tsuyaku.playback.energy === 0 && Math.abs({ORIGINAL} - {ALONE}) < 0.05 * {ALONE}", 30)
        script.say({"type": "ended", "sequence": 901, "code": "demo"})
        evaluates(page, f"{ORIGINAL} === 0")
