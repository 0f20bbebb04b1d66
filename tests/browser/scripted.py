"""Pages whose socket the test itself answers, for what a voice cannot be made to say."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, WebSocketRoute

from app.frames import Voice
from tests.browser.conftest import Running, evaluates

PAGES = ("start", "speak", "listen", "talk", "overlay")
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}
SENTENCES = (
    ("Good morning, and welcome to the harbour.", "Bom dia e bem-vindos ao porto."),
    ("The ferry leaves at half past nine.", "A balsa sai às nove e meia."),
    ("If you miss it, the next one leaves an hour later.", "Se você a perder, a próxima sai uma hora depois."),
    ("Please keep your ticket until you are on board.", "Guarde a passagem até estar a bordo."),
)


def caption(sequence: int, segment: int, text: str, language: str = "pt", **changes: Any) -> dict[str, Any]:
    begin = 3000.0 * segment
    return {
        "type": "caption",
        "sequence": sequence,
        "channel": 1,
        "language": language,
        "segment": segment,
        "text": text,
        "final": True,
        "same": False,
        "start_ms": begin,
        "end_ms": begin + 2800,
        "emitted_ms": begin + 4000,
        **changes,
    }


def conversation() -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = [
        {"type": "opened", "sequence": 1, "channel": 1, "language": "en", "name": "", "room_ms": 0}
    ]
    for segment, (source, target) in enumerate(SENTENCES):
        begin = 3000.0 * segment
        words = {"type": "words", "sequence": 2 * segment + 2, "channel": 1, "language": "en", "text": f" {source}"}
        log.append({**words, "start_ms": begin, "end_ms": begin + 2800, "emitted_ms": begin + 3500})
        log.append(caption(2 * segment + 3, segment, f" {target}"))
        english = caption(2 * segment + 100, segment, f" {source}", "en", same=True)
        log.append(english)
    tail = {"type": "tail", "channel": 1, "translated": True, "segment": 4}
    log.append({**tail, "language": "pt", "text": " O café fica no convés de"})
    log.append(
        {
            "type": "tail",
            "channel": 1,
            "translated": False,
            "segment": -1,
            "language": "en",
            "text": " The café is on the upper",
        }
    )
    return log


class Script:
    """The server's side of one page's socket. `sent` is what the page has said; `refusals` meet its next `start`s."""

    def __init__(self, messages: list[dict[str, Any]], role: str, **welcome: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self.refusals: list[str] = []
        self.down = False
        """nobody is let in"""
        self._channels: list[str] = []
        self._messages = messages
        self._role = role
        self._welcome = welcome
        self._socket: WebSocketRoute | None = None

    def connected(self, socket: WebSocketRoute) -> None:
        if self.down:
            socket.close(code=1012)
            return
        self._socket = socket
        socket.on_message(self._answer)

    def asked(self, kind: str) -> list[dict[str, Any]]:
        """What the page has said of a kind."""
        return [message for message in self.sent if message["type"] == kind]

    def say(self, *messages: dict[str, Any]) -> None:
        assert self._socket is not None
        for message in messages:
            self._socket.send(json.dumps(message))

    def speak(self, *frames: Voice) -> None:
        assert self._socket is not None
        for frame in frames:
            self._socket.send(frame.encode())

    def welcome(self, **changes: Any) -> None:
        """Greet the page otherwise when it comes back."""
        self._welcome.update(changes)

    def end(self, code: int) -> None:
        assert self._socket is not None
        self._socket.close(code=code)

    def _answer(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            return
        message = json.loads(frame)
        self.sent.append(message)
        match message["type"]:
            case "hello":
                self.say(self._greeting())
                if self._role == "host":
                    state = {"listeners": 12, "captions": {"pt": 7, "ja": 5}, "voices": {"pt": 2}}
                    self.say({"type": "links", "speaker": "s" * 32, "listener": "l" * 32}, {"type": "state", **state})
                self.say(*self._messages)
            case "start" if self.refusals:
                self.say({"type": "refused", "code": self.refusals.pop(0), "message": "Not now."})
            case "start":
                self.say({"type": "started", "key": message["key"], "channel": self._channel(message), "position": 0})
            case "ping":
                self.say({"type": "pong", "id": message["id"]})
            case "rotate":
                tokens = {"speaker": "s" * 32, "listener": "l" * 32, message["role"]: "n" * 32}
                self.say({"type": "links", **tokens})
            case _:
                pass

    def _channel(self, start: dict[str, Any]) -> int:
        if start["key"] not in self._channels:
            self._channels.append(start["key"])
        return self._channels.index(start["key"]) + 1

    def _greeting(self) -> dict[str, Any]:
        return {
            "type": "welcome",
            "version": 1,
            "role": self._role,
            "epoch": "e",
            "sequence": len(self._messages),
            "recovered": False,
            "languages": ["en", "pt", "ja", "es", "fr", "de", "ar"],
            "keep_s": 0,
            "demo": False,
            **self._welcome,
        }


def play(page: Page, messages: list[dict[str, Any]], role: str = "listener", **welcome: Any) -> Script:
    """Answers the page's socket from now on."""
    script = Script(messages, role, **welcome)
    page.route_web_socket("**/ws", script.connected)
    return script


def address(server: Running, name: str) -> str:
    if name == "start":
        return server.url
    return f"{server.url}{name}#{'t' * 32}&lang={'en' if name == 'speak' else 'pt'}"


def bottom(selector: str) -> str:
    return f"document.querySelector('{selector}').getBoundingClientRect().bottom"


BEFORE = (
    "speak",
    "speak-file",
    "speak-unnamed",
    "talk",
    "talk-each",
    "talk-join",
    "listen",
    "listen-code",
    "start-full",
)


def prepare(page: Page, server: Running, name: str) -> None:
    """A page before the session begins: `name` is the page and, behind a hyphen, what is chosen or met there."""
    path, _, what = name.partition("-")
    if what == "full":
        page.route("**/api/rooms", lambda route: route.fulfill(status=503, json={}, headers={"retry-after": "60"}))
    if what == "unnamed":
        page.add_init_script(
            "if (window.MediaDevices) MediaDevices.prototype.enumerateDevices = async () =>"
            " [{ kind: 'audioinput', deviceId: '', label: '' }]"
        )
    if what == "code":
        page.route_web_socket("**/ws", lambda socket: socket.on_message(lambda _: socket.close(code=4402)))
    else:
        play(page, [], {"join": "speaker"}.get(what, "listener" if path == "listen" else "host"))
    page.goto(address(server, path))
    page.wait_for_selector("#app[data-ready]", state="attached")
    match what:
        case "file":
            page.get_by_label("File", exact=True).check()
        case "each":
            page.get_by_label("A phone each").check()
        case "join":
            page.get_by_role("heading", name="Join the conversation").wait_for()
        case "code":
            page.wait_for_selector("#code")
        case "full":
            page.click("#speak")
            page.wait_for_selector("#give-up")
        case _:
            pass
    if path in ("speak", "talk") and what != "join":
        evaluates(page, "document.querySelector('.qr')?.naturalWidth > 0")


def show(page: Page, server: Running, name: str, **welcome: Any) -> Script:
    """A page in the middle of a conversation."""
    role = "host" if name in ("speak", "talk") else "listener"
    script = play(page, [] if name == "talk" else conversation(), role, **welcome)
    page.goto(address(server, name))
    page.wait_for_selector("#app[data-ready]", state="attached")
    if name in ("speak", "talk"):
        page.click("#start")
        page.wait_for_selector("#pause, #talk-mine")
    if name in ("listen", "overlay"):
        evaluates(page, "document.querySelector('.flow').innerText.includes('convés')")
        evaluates(page, f"{bottom('.flow')} <= {bottom('.roll')} + 1")
    return script
