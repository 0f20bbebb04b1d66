"""A listener without a browser: through interruptions, and with a link that is none."""

from __future__ import annotations

import asyncio
import io

import pytest
import websockets

from app import listen, protocol
from app.access import Limits
from app.cli.listen import _follow, _Reader
from app.listen import Link, Listener, Lost
from app.protocol import Wanted
from models.errors import InputError, UnavailableError
from models.protocols import SAMPLE_RATE
from tests.app.serving import SPEECH, Served, serving


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(listen, "LONGEST_RETRY_S", 0.01)


def link(served: Served, token: str) -> Link:
    return Link.parse(f"http://127.0.0.1:{served.port}/listen.html#{token}")


def test_link_names_the_socket_and_the_token() -> None:
    parsed = Link.parse("https://talks.example/t/listen#token-of-mine&code=3")
    assert parsed == Link("wss://talks.example/t/ws", "token-of-mine")


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:8080/listen", "ftp://x/#abc", "listen#abc", "http:///#abc"])
def test_what_is_no_link_is_said(url: str) -> None:
    with pytest.raises(InputError, match="no listener's link"):
        Link.parse(url)


async def test_listener_that_loses_its_connection_again_and_again_misses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as served:
        room = await served.room()
        entry, _ = served.server.rooms.find(room["host"]) or (None, None)
        assert entry
        stream = io.StringIO()
        reader = _Reader(["pt"], "live", stream)
        listener = Listener(link(served, room["listener"]), Wanted(captions=("pt",)))
        got: list[object] = []
        sockets: list[websockets.ClientConnection] = []

        async def beat(socket: websockets.ClientConnection) -> None:
            sockets.append(socket)

        monkeypatch.setattr(listener, "_beat", beat)

        async def follow() -> None:
            async for message in listener.messages():
                got.append(message)
                if isinstance(message, Lost):
                    continue
                reader.add(message)
                if isinstance(message, protocol.Words | protocol.Caption):
                    sockets[-1].transport.abort()

        async with served.connect(room["host"], ["pt"]) as host:
            following = asyncio.create_task(follow())
            started = await host.start()
            await host.speak(started["channel"], SPEECH)
            await host.send("stop", channel=started["channel"])
            await host.until("closed")
            await host.send("close")
            await host.closed()
            await asyncio.wait_for(following, 10)
        committed = [m.sequence for m in got if hasattr(m, "sequence")]
        assert committed == [sequence for sequence, _ in host.log()]
        assert len(sockets) > 1
        assert "pt: WORD0 WORD1 WORD2." in stream.getvalue()


async def test_refused_link_is_said_and_not_retried() -> None:
    async with serving() as served:
        listener = Listener(link(served, "wrong-token"), Wanted(captions=("pt",)))
        with pytest.raises(InputError, match="opens no room"):
            await _follow(listener, _Reader(["pt"], "live"), [])


async def test_server_that_is_not_there_is_said_after_a_while() -> None:
    listener = Listener(Link("ws://127.0.0.1:1/ws", "token"), Wanted(captions=("pt",)), patience_s=0.0)
    with pytest.raises(UnavailableError, match="does not answer"):
        await _follow(listener, _Reader(["pt"], "live"), [])


@pytest.mark.parametrize("kept", [4, 4000])
async def test_who_comes_after_the_beginning_was_forgotten_is_told(
    kept: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(Limits(log_entries=kept)) as served:
        room = await served.room()
        text = io.StringIO()
        async with served.connect(room["host"], ["pt"]) as host:
            started = await host.start()
            await host.speak(started["channel"], SPEECH)
            await host.send("stop", channel=started["channel"])
            await host.until("closed")
            listener = Listener(link(served, room["listener"]), Wanted(captions=("pt",), tentative=False))
            following = asyncio.create_task(_follow(listener, _Reader(["pt"], "live", text), []))
            while "WORD" not in text.getvalue():
                await asyncio.sleep(0.01)
            await host.send("close")
            await host.closed()
        assert await asyncio.wait_for(following, 10) == "host"
        assert ("the beginning of what was said is gone" in capsys.readouterr().err) == (kept < 100)


async def test_room_is_written_as_lines_on_one_clock() -> None:
    async with serving() as served:
        room = await served.room()
        text = io.StringIO()
        listener = Listener(link(served, room["listener"]), Wanted(captions=("pt",), tentative=False))
        following = asyncio.create_task(_follow(listener, _Reader(["pt"], "live", text), []))
        async with served.connect(room["host"], ["pt"]) as host:
            started = await host.start()
            await host.speak(started["channel"], SPEECH)
            await host.send("stop", channel=started["channel"])
            await host.until("closed")
            await host.send("close")
            await host.closed()
        assert await asyncio.wait_for(following, 10) == "host"
        assert [line[:7] for line in text.getvalue().splitlines()] == ["[00:00]", "[00:05]"]
        assert len(SPEECH) / SAMPLE_RATE == 9
