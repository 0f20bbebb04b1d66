"""What holds for every page: nothing serious for axe, light enough, nobody else asked, text only ever text."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, WebSocketRoute

from tests.browser.conftest import OUT, ROOT, Running, evaluates, launch, until, watched
from tests.browser.scripted import BEFORE, PAGES, SENTENCES, SIZES, address, caption, conversation, play, prepare, show

pytestmark = pytest.mark.browser

CHECKS = Path(__file__).parent / "node_modules"
BUDGET = 150_000  # bytes as they travel, before audio
SAID = '<img src=x onerror="document.title=\'broken\'"><script>document.title="broken"</script>'


@pytest.fixture(scope="session")
def axe() -> str:
    path = CHECKS / "axe-core" / "axe.min.js"
    assert path.exists(), "axe-core is not installed: make test-browser does that"
    return path.read_text("utf-8")


def serious(page: Page, axe: str) -> list[tuple[str, list[str]]]:
    """What axe finds, by rule, with the elements."""
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [
        (rule["id"], [node["html"][:160] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(server: Running, browser: Browser, axe: str, name: str, size: str, scheme: str) -> None:
    with watched(browser, server.url, viewport=SIZES[size], color_scheme=scheme, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, name)
        page.evaluate("Promise.all(document.getAnimations().map(a => a.finished))")
        OUT.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=OUT / f"{name}-{size}-{scheme}.png", full_page=name == "start", omit_background=True)
        assert serious(page, axe) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out sideways"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", BEFORE)
def test_page_before_its_session_is_accessible(
    server: Running, browser: Browser, axe: str, name: str, size: str, scheme: str
) -> None:
    with watched(browser, server.url, viewport=SIZES[size], color_scheme=scheme, permissions=["microphone"]) as pages:
        page = pages.page()
        prepare(page, server, name)
        page.screenshot(path=OUT / f"before-{name}-{size}-{scheme}.png", full_page=True)
        assert serious(page, axe) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out sideways"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "opener"),
    [
        ("listen", "#more"),
        ("listen", "#save"),
        ("listen", "#display"),
        ("listen", "#more-languages"),
        ("speak", "#overlay"),
        ("speak", "#end-room"),
        ("speak", "#co-speaker"),
        ("talk", "#phrases"),
    ],
)
def test_sheet_is_accessible(server: Running, browser: Browser, axe: str, name: str, opener: str, scheme: str) -> None:
    with watched(
        browser, server.url, viewport=SIZES["phone"], color_scheme=scheme, permissions=["microphone"]
    ) as pages:
        page = pages.page()
        script = show(page, server, name)
        if name == "speak":
            page.locator("#host summary").click()
        if name == "talk":
            script.say(*conversation())
        page.click(opener)
        page.wait_for_selector("dialog[open]")
        if name == "talk":
            evaluates(page, "/on board\\.\\s*Guarde a passagem/.test(document.querySelector('dialog').innerText)")
        page.screenshot(path=OUT / f"sheet-{name}-{opener[1:]}-{scheme}.png")
        assert serious(page, axe) == []


@pytest.mark.parametrize("language", ["pt", "ja"])
def test_interface_speaks_the_language(server: Running, browser: Browser, language: str) -> None:
    with watched(browser, server.url, viewport=SIZES["phone"], locale=language) as pages:
        page = pages.page(server.url)
        page.wait_for_selector("#speak")
        assert page.locator("html").get_attribute("lang") == language
        assert {"pt": "gravação", "ja": "録音"}[language] in page.locator("#demo").inner_text()
        page.screenshot(path=OUT / f"start-phone-{language}.png", full_page=True)


TITLES = {
    "pt": ["Tsuyaku", "Falar · Tsuyaku", "Legendas ao vivo · Tsuyaku", "Conversa a dois · Tsuyaku"],
    "ja": ["Tsuyaku", "話す · Tsuyaku", "ライブ字幕 · Tsuyaku", "ふたりで会話 · Tsuyaku"],
}


@pytest.mark.parametrize("language", TITLES)
def test_title_of_a_page_is_in_the_language_of_its_interface(server: Running, browser: Browser, language: str) -> None:
    with watched(browser, server.url, locale=language, permissions=["microphone"]) as pages:
        titles: list[str] = []
        for name in ("start", "speak", "listen", "talk"):
            page = pages.page()
            play(page, [], "host")
            page.goto(address(server, name))
            page.wait_for_selector("#app[data-ready]", state="attached")
            titles.append(page.title())
        assert titles == TITLES[language]


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("pt", "precisa de JavaScript"), ("ja", "JavaScriptが必要です"), ("en", "needs JavaScript")],
)
def test_page_without_scripts_says_so(server: Running, browser: Browser, language: str, sentence: str) -> None:
    with watched(browser, server.url, locale=language, java_script_enabled=False) as pages:
        for name in PAGES:
            page = pages.page(address(server, name))
            assert sentence in page.locator(f"noscript [lang={language}]").inner_text()


@pytest.mark.parametrize(("language", "sentence"), [("pt", "não conseguiu iniciar"), ("ja", "開始できませんでした")])
def test_page_that_cannot_start_says_so_in_its_language(
    server: Running, browser: Browser, language: str, sentence: str
) -> None:
    context = browser.new_context(locale=language)
    page = context.new_page()
    page.route("**/js/room.js", lambda route: route.abort())
    page.goto(address(server, "listen"))
    page.get_by_text(sentence).wait_for(timeout=20_000)
    context.close()


def test_what_an_engine_says_of_its_end_is_not_shown_in_a_language_of_its_own(
    server: Running, browser: Browser
) -> None:
    with watched(browser, server.url, locale="pt") as pages:
        page = pages.page()
        script = show(page, server, "listen")
        closed = {"type": "closed", "sequence": 899, "channel": 1, "code": "engine-failed"}
        script.say({**closed, "message": "The recogniser broke off."})
        page.get_by_text("Uma parte do tradutor falhou").wait_for()
        assert page.get_by_text("engine-failed").is_visible()
        assert page.get_by_text("broke off").count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_page_weighs_little(server: Running, browser: Browser, figures: dict[str, float], name: str) -> None:
    with watched(browser, server.url, locale="ja", permissions=["microphone"]) as pages:
        page = pages.page()
        weight: list[int] = []
        page.on("requestfinished", lambda request: weight.append(request.sizes()["responseBodySize"]))
        show(page, server, name)
        page.wait_for_load_state("networkidle")
        figures[f"weight_{name}_bytes"] = sum(weight)
        assert 0 < sum(weight) <= BUDGET


def test_what_is_said_is_shown_as_text(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        talk = conversation()
        words = {"type": "words", "sequence": 90, "channel": 1, "language": "en", "text": f" {SAID}"}
        talk[-2:-2] = [{**words, "start_ms": 12000, "end_ms": 14000, "emitted_ms": 14500}, caption(91, 4, f" {SAID}")]
        talk[0]["name"] = SAID
        talk[-2]["text"] = f" {SAID}"
        play(page, talk)
        page.goto(address(server, "listen"))
        evaluates(page, "!!window.tsuyaku && document.querySelector('.flow').innerText.includes('<script>')")
        assert SAID in page.locator("[role=log]").inner_text()
        assert page.locator(".flow img, .flow script, .history img, .history script, [role=log] img").count() == 0
        assert page.title() != "broken"


def test_screen_readers_hear_committed_text_only(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        play(page, conversation())
        page.goto(address(server, "listen"))
        evaluates(page, "!!window.tsuyaku && document.querySelector('.flow').innerText.includes('convés')")
        assert "bordo" in page.locator("[role=log]").inner_text()
        assert "convés" not in page.locator("[role=log]").inner_text()
        assert page.locator(".roll").get_attribute("aria-hidden") == "true"


def test_log_of_the_speaker_has_committed_words_only(server: Running, browser: Browser) -> None:
    """What is tentative is seen in the same line, and is no part of the log."""
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        show(page, server, "speak")
        evaluates(page, "document.querySelector('.transcript').textContent.includes('on the upper')")
        assert "until you are on board." in page.locator("[role=log]").inner_text()
        assert page.evaluate("document.querySelector('[role=log] .tentative, [role=log] [aria-hidden]')") is None
        assert "on the upper" not in page.locator("[role=log]").text_content()
        places = page.evaluate(
            """['.heard:last-child', '.transcript .tentative'].map(s => {
              const boxes = document.querySelector(s).getClientRects();
              return [boxes[0].top, boxes[boxes.length - 1].bottom];
            })"""
        )
        (_, said), (tentative, _) = places
        assert tentative < said, "on one line"


def test_screen_readers_hear_both_sides_of_a_table(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, permissions=["microphone"]) as pages:
        page = pages.page()
        script = show(page, server, "talk")
        script.say(*conversation())
        for half, said in (("mine", "until you are on board"), ("theirs", "até estar a bordo")):
            evaluates(page, f"document.querySelector('.{half} [role=log]').textContent.includes('{said}')")
        assert "convés" not in page.locator(".theirs [role=log]").inner_text()


def test_language_is_switched_in_one_tap(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, viewport=SIZES["phone"]) as pages:
        page = pages.page()
        script = play(page, conversation())
        page.goto(address(server, "listen"))
        page.get_by_role("button", name="English").click()
        evaluates(page, "document.querySelector('.flow').innerText.includes('ticket')")
        until(lambda: script.sent[-2:-1] and "wanted" in script.sent[-2], 10, "another language is asked for")
        assert script.sent[-2]["wanted"]["captions"] == ["en"]
        page.click("#more-languages")
        page.get_by_role("button", name="العربية").click()
        evaluates(page, "document.querySelector('.flow').dir === 'rtl'")


@pytest.mark.parametrize("kind", ["txt", "srt", "vtt", "json"])
def test_text_is_saved(server: Running, browser: Browser, kind: str) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        play(page, conversation())
        page.goto(address(server, "listen"))
        evaluates(page, "!!window.tsuyaku && document.querySelector('.flow').innerText.includes('convés')")
        page.click("#save")
        page.get_by_label("Both", exact=True).check()
        with page.expect_download() as download:
            page.get_by_role("button", name=kind.upper()).click()
        text = Path(download.value.path()).read_text("utf-8")
        for source, target in SENTENCES:  # a subtitle may break a long one, each language for itself
            assert set(f"{source} {target}".split()) <= set(text.replace(chr(34), " ").split())
        assert " ".join(SENTENCES[0]) in text.replace("\n", " ") or kind in ("txt", "json")
        if kind == "srt":
            assert "00:00:03,000 --> 00:00:0" in text


def test_saved_times_are_those_of_the_room(server: Running, browser: Browser) -> None:
    """A channel that was opened a minute after the first one, whose own clock begins anew."""
    later = {"channel": 2, "language": "en"}
    log = [
        *conversation(),
        {"type": "opened", "sequence": 901, **later, "name": "", "room_ms": 60_000},
        {
            "type": "words",
            "sequence": 902,
            **later,
            "text": " Goodbye.",
            "start_ms": 500,
            "end_ms": 900,
            "emitted_ms": 1500,
        },
        caption(903, 0, " Adeus.", channel=2, start_ms=500, end_ms=900),
    ]
    with watched(browser, server.url) as pages:
        page = pages.page()
        play(page, log)
        page.goto(address(server, "listen"))
        evaluates(page, "!!window.tsuyaku && document.querySelector('.flow').innerText.includes('Adeus')")
        page.click("#save")
        page.get_by_label("Both", exact=True).check()
        with page.expect_download() as download:
            page.get_by_role("button", name="SRT").click()
        cues = Path(download.value.path()).read_text("utf-8").strip().split("\n\n")
        assert "Adeus." in cues[-1]
        assert "00:01:00,500 --> " in cues[-1]


def test_who_makes_a_room_chooses_how_long_its_text_is_kept_in_words(server: Running, browser: Browser) -> None:
    with watched(browser, server.url, locale="en-GB") as pages:
        page = pages.page(server.url)
        page.wait_for_selector("#speak")
        options = page.locator("option").all_text_contents()
        assert {"1 hour", "24 hours"} <= set(options)


def test_tokens_stay_in_the_page(server: Running, browser: Browser) -> None:
    room = server.post("api/rooms")
    with watched(browser, server.url) as pages:
        page = pages.page(f"{server.url}listen#{room['listener']}&lang=pt")
        evaluates(page, "document.documentElement.dataset.connection === 'open'")
        page.goto(server.url)
        page.wait_for_selector("#speak")
        assert len(pages.urls) > 10
        assert not [url for url in pages.urls if room["listener"] in url.partition("#")[0]]
        assert set(pages.referers) == {""}


@pytest.fixture(scope="module")
def refusing(playwright: Playwright) -> Iterator[Browser]:
    """Nobody allows the microphone."""
    with launch(playwright, "--use-fake-device-for-media-stream", "--deny-permission-prompts") as made:
        yield made


def test_refused_microphone_says_what_to_do(server: Running, refusing: Browser) -> None:
    room = server.post("api/rooms")
    with watched(refusing, server.url) as pages:
        page = pages.page(f"{server.url}speak#{room['host']}")
        page.click("#start")
        page.get_by_text("The microphone is not allowed").wait_for()
        assert page.locator("#start").is_enabled()


def test_insecure_page_says_what_to_do(server: Running, browser: Browser) -> None:
    """Loopback is always secure, so the page is told that it is not."""
    with watched(browser, server.url) as pages:
        pages.context.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
        page = pages.page(f"{server.url}speak#{'t' * 32}")
        page.get_by_text("Browsers give the microphone only to secure pages").wait_for()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (1009, "The server did not understand this page"),
        (4400, "The server did not understand this page"),
        (4401, "This link does not work any more"),
        (4403, "This link may read and listen, not speak"),
        (4410, "This room has ended"),
        (4423, "Too many wrong codes"),
        (4426, "The page is older than the server"),
        (4429, "because it sent too much"),
        (4503, "The server is full at the moment"),
        (1006, "The server does not answer"),
    ],
)
def test_refused_connection_says_what_to_do(server: Running, browser: Browser, code: int, sentence: str) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        tries: list[WebSocketRoute] = []

        def refuse(socket: WebSocketRoute) -> None:
            tries.append(socket)
            socket.on_message(lambda _: socket.close(code=code if code != 1006 else None))

        page.route_web_socket("**/ws", refuse)
        page.goto(address(server, "listen"))
        page.get_by_text(sentence).wait_for()
        if code in (4503, 1006):
            until(lambda: page.evaluate("1") and len(tries) > 1, 15, "another try")
        else:
            assert page.get_by_role("link", name="To the start page").count() == 1


def test_end_and_gap_are_told(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        play(page, [*conversation(), {"type": "ended", "sequence": 900, "code": "shutdown"}])
        page.goto(address(server, "listen"))
        page.get_by_text("The server was shut down").wait_for()
        assert "bordo" in page.locator(".flow").inner_text()


def test_trouble_of_an_engine_is_told_and_captions_go_on(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page()
        trouble = {"type": "trouble", "channel": 1, "stage": "speak", "language": "pt", "code": "voice-missing"}
        play(page, [*conversation(), trouble])
        page.goto(address(server, "listen"))
        page.get_by_text("The voice does not work at the moment").wait_for()
        assert "bordo" in page.locator(".flow").inner_text()


def test_another_link_in_the_same_tab_is_followed(server: Running, browser: Browser) -> None:
    room = server.post("api/rooms")
    with watched(browser, server.url) as pages:
        page = pages.page(f"{server.url}listen#{room['listener']}&lang=pt")
        evaluates(page, "document.documentElement.dataset.connection === 'open'")
        page.goto(f"{server.url}listen#{'x' * 32}")
        page.get_by_text("This link does not work any more").wait_for()


def test_dead_link_says_what_to_do(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(f"{server.url}listen#{'x' * 32}")
        page.get_by_text("This link does not work any more").wait_for()
        assert page.get_by_role("link", name="To the start page").count() == 1


def test_types_are_sound() -> None:
    compiler = CHECKS / ".bin" / "tsc"
    assert compiler.exists(), "TypeScript is not installed: make test-browser does that"
    run = subprocess.run([compiler, "-p", str(Path(__file__).parent)], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout == ""
    assert run.returncode == 0


def test_host_gives_a_room_its_terms_and_hears_of_a_file_that_cannot_be_read(server: Running, browser: Browser) -> None:
    with watched(browser, server.url) as pages:
        page = pages.page(server.url)
        page.get_by_text("Room options").click()
        page.locator("#occasion").fill("cardiology conference")
        page.locator("#terms").set_input_files({"name": "terms.toml", "mimeType": "text/plain", "buffer": b"term ="})
        page.locator("#speak").click()
        page.get_by_text("The file of terms cannot be read").wait_for()
        terms = b'[[term]]\nen = "stent"\npt = "stent"\n'
        page.locator("#terms").set_input_files({"name": "terms.toml", "mimeType": "text/plain", "buffer": terms})
        with page.expect_request("**/api/rooms") as asked:
            page.locator("#speak").click()
        assert asked.value.post_data_json["briefing"] == {
            "glossary": terms.decode(),
            "format": "toml",
            "context": "cardiology conference",
        }
        page.wait_for_url("**/speak**")
