"""Who may do what over real sockets, and that whoever breaks the rules harms nobody but themselves."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
import websockets

from app.access import Limits
from app.frames import MAX_BINARY_BYTES, OpusUplink, Uplink, unpack_packets
from app.opus import encode
from app.pages import HEADERS, Pages
from app.server import ServerOptions
from models.protocols import SAMPLE_RATE
from tests.app.serving import SPEECH, Served, hello, serving


async def refused(served: Served, *frames: str | bytes) -> int:
    """The close code after these frames."""
    async with served.open() as client:
        with contextlib.suppress(websockets.ConnectionClosed):
            for frame in frames:
                await client.socket.send(frame)
        return await client.closed()


def greeting(token: str, **more: object) -> str:
    return json.dumps({"type": "hello", **hello(token), **more})


async def test_page_of_another_origin_gets_no_socket() -> None:
    async with serving() as served:
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with served.open(Origin="https://evil.example"):
                pass
        assert caught.value.response.status_code == 403
        async with served.open(Origin=f"http://127.0.0.1:{served.port}") as client:
            await client.send("hello", **hello((await served.room())["host"]))
            await client.until("welcome")


async def test_page_of_another_origin_makes_no_room() -> None:
    async with serving() as served:
        answer = await served.http.post("/api/rooms", json={}, headers={"origin": "https://evil.example"})
        assert answer.status_code == 403


async def test_name_that_is_not_ours_is_refused() -> None:
    async with serving() as served:
        assert (await served.http.get("/api/info", headers={"host": "rebound.example"})).status_code == 421
        with pytest.raises(websockets.InvalidStatus):
            async with served.open(Host="rebound.example"):
                pass
    async with serving(options=ServerOptions(hosts=("talks.example",))) as served:
        assert (await served.http.get("/api/info", headers={"host": "talks.example"})).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "x" * 32])
async def test_wrong_token_opens_nothing(token: str) -> None:
    async with serving() as served:
        await served.room()
        assert await refused(served, greeting(token)) == 4401


async def test_room_that_is_over_opens_to_nobody() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["host"]) as host:
            await host.send("close")
            assert await host.closed() == 4410
        assert await refused(served, greeting(room["speaker"])) == 4410


@pytest.mark.parametrize(
    "frame",
    [
        json.dumps({"type": "start", "key": "a-key-of-mine", "language": "en"}),
        json.dumps({"type": "stop", "channel": 1}),
        Uplink(1, 0, 0, SPEECH[:1600]).encode(),
    ],
)
async def test_listener_cannot_speak(frame: str | bytes) -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["speaker"]) as speaker:
            await speaker.start()
            assert await refused(served, greeting(room["listener"]), frame) == 4403
            entry, _ = served.server.rooms.find(room["host"]) or (None, None)
            assert entry
            assert [channel.position for channel in entry.room.open_channels] == [0]


async def test_speaker_cannot_do_what_the_host_may() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["speaker"]) as speaker:
            for kind, fields in (("rotate", {"role": "listener"}), ("close", {})):
                await speaker.send(kind, **fields)
                await speaker.until("refused", code="host-only")
        assert not [m for m in speaker.texts if m["type"] == "links"]


async def test_replaced_link_lets_nobody_in_and_throws_out_who_came_by_it() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["host"]) as host, served.connect(room["listener"]) as listener:
            first = await host.until("links")
            assert first["listener"] == room["listener"]
            await host.send("rotate", role="listener")
            second = await host.until("links")
            assert await listener.closed() == 4401
            assert second["speaker"] == first["speaker"]
        assert await refused(served, greeting(first["listener"])) == 4401
        async with served.connect(second["listener"]) as again:
            assert again.texts[0]["role"] == "listener"


async def test_replaced_speaker_link_ends_its_hold_of_the_channel() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["host"]) as host, served.connect(room["speaker"]) as speaker:
            await speaker.start()
            await host.send("rotate", role="speaker")
            assert await speaker.closed() == 4401
            await served.gone_to(1)
            entry, _ = served.server.rooms.find(room["host"]) or (None, None)
            assert entry
            assert entry.room.open_channels[0].holder is None


async def test_room_code_is_asked_for_and_guessing_is_slow() -> None:
    async with serving(Limits(code_attempts_per_minute=3)) as served:
        room = await served.room(code="1234")
        assert await refused(served, greeting(room["listener"])) == 4402
        assert await refused(served, greeting(room["listener"], code="1235")) == 4402
        assert await refused(served, greeting(room["speaker"], code="12345")) == 4402
        assert await refused(served, greeting(room["speaker"], code="0000")) == 4423
        async with served.open() as client:
            await client.socket.send(greeting(room["listener"], code="1234"))
            await client.until("welcome")
        async with served.connect(room["host"]) as host:
            assert host.texts[0]["role"] == "host"


MALFORMED = [
    ["not json"],
    [b"\x01"],
    [json.dumps({"type": "ping", "id": 1})],
    ["{TOKEN}", "nonsense"],
    ["{TOKEN}", json.dumps({"type": "welcome"})],
    ["{TOKEN}", "{TOKEN}"],
    ["{TOKEN}", json.dumps({"type": "want", "wanted": {"captions": ["<script>"]}})],
    ["{TOKEN}", "x" * 5000],
    ["{TOKEN}", b"\x09" + bytes(100)],
    ["{TOKEN}", b"\x01" + bytes(16)],
    ["{TOKEN}", b"\x01" + bytes(MAX_BINARY_BYTES)],
    ["{TOKEN}", b"\x04" + bytes(30)],
]


@pytest.mark.parametrize("frames", MALFORMED)
async def test_malformed_client_is_cut_off_and_others_go_on(frames: list[str | bytes]) -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"]) as other:
            sent = [greeting(room["speaker"]) if frame == "{TOKEN}" else frame for frame in frames]
            assert await refused(served, *sent) == 4400
            await other.send("ping", id=1)
            await other.until("pong")


async def test_enormous_frame_is_not_even_read() -> None:
    """Its header alone (RFC 6455, 5.2: binary, masked, 64 bits of length) ends the connection, with a code."""
    async with serving() as served:
        room = await served.room()
        async with served.open() as client:
            await client.socket.send(greeting(room["speaker"]))
            await client.until("welcome")
            client.socket.transport.write(bytes([0x82, 0xFF]) + (10_000_000).to_bytes(8, "big") + bytes(4))
            assert await client.closed() == 1009


async def test_frame_beyond_what_is_read_at_once_is_cut_off_and_others_go_on() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"]) as other:
            assert await refused(served, greeting(room["speaker"]), bytes(2 * MAX_BINARY_BYTES + 1)) == 1009
            await other.send("ping", id=1)
            await other.until("pong")


async def test_unknown_version_is_told_apart() -> None:
    async with serving() as served:
        assert await refused(served, greeting("x", version=2)) == 4426


async def test_client_without_hello_is_cut_off() -> None:
    async with serving(Limits(hello_s=0.01)) as served:
        assert await refused(served) == 4400


async def test_client_that_fell_silent_is_cut_off() -> None:
    async with serving(Limits(silent_s=0.01, check_s=0.01)) as served:
        room = await served.room()
        assert await refused(served, greeting(room["listener"])) == 4508


@pytest.mark.parametrize(
    ("limits", "frame"),
    [
        (Limits(messages_burst=50, messages_per_s=1), json.dumps({"type": "ping", "id": 1})),
        (Limits(uplink_burst_bytes=100_000, uplink_bytes_per_s=1), Uplink(1, 0, 0, SPEECH[:4000]).encode()),
    ],
)
async def test_flooding_client_is_cut_off_and_others_go_on(limits: Limits, frame: str | bytes) -> None:
    async with serving(limits) as served:
        room = await served.room()
        async with served.connect(room["listener"]) as other:
            assert await refused(served, greeting(room["speaker"]), *[frame] * 60) == 4429
            await other.send("ping", id=1)
            await other.until("pong")


@pytest.mark.parametrize("packet", [b"\x08", b"\x18"], ids=["20 ms", "60 ms"])
async def test_frame_of_many_packets_harms_nobody(packet: bytes) -> None:
    """A byte that decodes to silence: 21,800 of them would be minutes of it."""
    frame = OpusUplink(1, 0, 0, (packet,) * 21_800).encode()
    assert len(frame) <= MAX_BINARY_BYTES
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"]) as other, served.connect(room["speaker"]) as speaker:
            await speaker.start()
            await speaker.socket.send(frame)
            await other.send("ping", id=1)
            await other.until("pong")
            assert await speaker.closed() == 4400


async def test_more_audio_than_anybody_says_is_a_flood_however_few_its_bytes() -> None:
    packet = unpack_packets(encode(bytes(640), SAMPLE_RATE))[0]
    async with serving(Limits(uplink_burst_s=10, uplink_s_per_s=1)) as served:
        room = await served.room()
        async with served.connect(room["speaker"]) as speaker:
            channel = (await speaker.start())["channel"]
            with contextlib.suppress(websockets.ConnectionClosed):
                for number in range(20):
                    await speaker.socket.send(OpusUplink(channel, number, number * 32_000, (packet,) * 100).encode())
            assert await speaker.closed() == 4429


async def test_gaps_without_end_are_a_flood() -> None:
    async with serving(Limits(uplink_burst_s=10, uplink_s_per_s=1)) as served:
        room = await served.room()
        async with served.connect(room["speaker"]) as speaker:
            channel = (await speaker.start())["channel"]
            with contextlib.suppress(websockets.ConnectionClosed):
                for number in range(10):
                    await speaker.socket.send(Uplink(channel, number, number * 10**6, SPEECH[:320]).encode())
            assert await speaker.closed() == 4429


async def test_who_catches_up_lets_others_in_between() -> None:
    packet = unpack_packets(encode(bytes(640), SAMPLE_RATE))[0]
    frames = [OpusUplink(1, number, number * 32_000, (packet,) * 100).encode() for number in range(100)]
    async with serving() as served:
        room = await served.room()
        entry, _ = served.server.rooms.find(room["host"]) or (None, None)
        assert entry
        async with served.connect(room["listener"]) as other, served.connect(room["speaker"]) as speaker:
            await speaker.start()
            for frame in frames:
                await speaker.socket.send(frame)
            await other.send("ping", id=1)
            await other.until("pong")
            assert entry.room.open_channels[0].position < 100 * 32_000
            await speaker.until("confirmed", position=100 * 32_000)


async def test_language_that_nobody_offers_is_refused_and_costs_nothing() -> None:
    async with serving() as served:
        room = await served.room()
        entry, _ = served.server.rooms.find(room["host"]) or (None, None)
        assert entry
        async with served.connect(room["listener"], ["pt", "xq"], ["xr"]) as listener:
            assert (await listener.until("refused"))["code"] == "unknown-language"
            await listener.send("want", wanted={"captions": ["xs", "es"], "voices": []})
            assert "xs" in (await listener.until("refused"))["message"]
            await listener.send("ping", id=1)
            await listener.until("pong")
            (member,) = entry.room.members
            assert member.outbox.wanted.captions == ("es",)


async def test_room_has_so_many_languages_and_no_more() -> None:
    async with serving(Limits(languages_per_room=2)) as served:
        room = await served.room()
        async with (
            served.connect(room["listener"], ["pt", "es"]) as first,
            served.connect(room["listener"], ["pt", "en"]) as second,
        ):
            assert (await second.until("refused"))["code"] == "too-many-languages"
            await first.send("want", wanted={"captions": ["pt", "en"]})
            await second.send("want", wanted={"captions": ["en", "es"]})
            assert "es" in (await second.until("refused"))["message"]
            assert not [m for m in first.texts if m["type"] == "refused"]


@pytest.mark.parametrize("asked", [{"language": "xq"}, {"language": "auto", "candidates": ["en", "xq"]}])
async def test_nobody_speaks_a_language_that_cannot_be_recognised(asked: dict[str, object]) -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["speaker"]) as speaker:
            await speaker.send("start", key="key-of-the-channel", **asked)
            assert (await speaker.until("refused"))["code"] == "unknown-language"
            await speaker.start()


async def test_who_asks_for_something_else_all_the_time_is_cut_off() -> None:
    wants = [json.dumps({"type": "want", "wanted": {"captions": [code]}}) for code in ("pt", "es") * 20]
    async with serving() as served:
        room = await served.room()
        assert await refused(served, greeting(room["listener"]), *wants) == 4429


async def test_reader_that_takes_nothing_slows_nobody_and_is_cut_off() -> None:
    limits = Limits(send_s=0.05, check_s=0.02)
    async with serving(limits) as served:
        room = await served.room()
        entry, _ = served.server.rooms.find(room["host"]) or (None, None)
        assert entry
        async with served.open() as stalled, served.connect(room["listener"], ["pt"]) as other:
            await stalled.send("hello", **hello(room["listener"]))
            await stalled.until("welcome")
            stalled.socket.transport.pause_reading()
            stalled.socket.recv_messages.paused = True
            members = list(entry.room.members)
            for _ in range(40):  # more than any socket holds
                for member in members:
                    member.outbox.tell(json.dumps({"type": "later", "text": "x" * 500_000}))
            for _ in range(40):
                await other.until("later")
            async with asyncio.timeout(10):
                while len(list(entry.room.members)) == 2:
                    await asyncio.sleep(0.01)
            await other.send("ping", id=1)
            await other.until("pong")
            stalled.socket.transport.abort()
        closed = served.server.metrics.exposition().decode()
        assert 'tsuyaku_connections_closed_total{code="4508"} 1.0' in closed


async def test_connections_per_address_are_limited() -> None:
    async with serving(Limits(connections_per_address=2)) as served:
        room = await served.room()
        async with served.connect(room["listener"]), served.connect(room["listener"]):
            assert await refused(served) == 4503
        await served.gone_to(0)
        async with served.connect(room["listener"]):
            pass


async def test_rooms_are_limited() -> None:
    async with serving(Limits(rooms=1)) as served:
        await served.room()
        answer = await served.http.post("/api/rooms", json={})
        assert (answer.status_code, answer.json()["code"]) == (429, "too-many-rooms")
        assert int(answer.headers["retry-after"]) > 0


async def test_speaking_channels_are_limited() -> None:
    async with serving(Limits(channels_per_room=1, channels=2)) as served:
        rooms = [await served.room() for _ in range(3)]
        async with (
            served.connect(rooms[0]["speaker"]) as first,
            served.connect(rooms[1]["speaker"]) as second,
            served.connect(rooms[2]["speaker"]) as third,
        ):
            await first.start()
            await first.send("start", key="another-key")
            await first.until("refused", code="too-many-channels")
            await second.start()
            await third.send("start", key="a-third-key")
            await third.until("refused", code="busy")


TRAVERSALS = [
    "/../pyproject.toml",
    "/..%2fpyproject.toml",
    "/%2e%2e/pyproject.toml",
    "/%2e%2e%2fpyproject.toml",
    "/..\\pyproject.toml",
    "/js/../../pyproject.toml",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "/.git/config",
    "/js/.hidden.js",
    "/%00.html",
    "/\xff",
]


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_nothing_outside_the_pages_is_served(path: str) -> None:
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
        answer = await reader.read()
        writer.close()
        status = int(answer.split(b" ")[1])
        assert status in (400, 404), answer[:200]
        assert b"[project]" not in answer
        assert b"root:" not in answer


async def test_every_answer_has_the_headers() -> None:
    async with serving() as served:
        for path in ("/", "/nowhere", "/api/info", "/healthz", "/metrics", "/api/transcript"):
            answer = await served.http.get(path)
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (path, name)
            assert "server" not in answer.headers
        policy = HEADERS["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "http" not in policy


async def test_only_files_of_known_types_are_served(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "index.html").write_text("start")
    (tmp_path / "listen.html").write_text("listen")
    (tmp_path / "notes.txt").write_text("secret")
    (tmp_path / "types.d.ts").write_text("secret")
    (tmp_path.parent / "outside.html").write_text("secret")
    (tmp_path / "link.html").symlink_to(tmp_path.parent / "outside.html")
    pages = Pages(tmp_path)
    scope = {"type": "http", "method": "GET", "headers": [], "path": "/", "root_path": ""}
    assert (await pages.get_response(".", dict(scope))).status_code == 200
    assert (await pages.get_response("listen", dict(scope))).status_code == 200
    for path in ("notes.txt", "types.d.ts", "link.html", "../outside.html"):
        with pytest.raises(Exception, match="404"):
            await pages.get_response(path, dict(scope))


async def test_requests_are_checked() -> None:
    async with serving() as served:
        post = served.http.post
        assert (await post("/api/rooms", content=b"{")).status_code == 400
        assert (await post("/api/rooms", json={"keep_s": 10**9})).status_code == 400
        assert (await post("/api/rooms", json={"else": 1})).status_code == 400
        assert (await post("/api/rooms", content=b" " * 300_000)).status_code == 413
        assert (await post("/api/qr", json={"text": "x" * 5000})).status_code in (400, 413)
        assert (await served.http.get("/api/rooms")).status_code == 404


async def test_metrics_are_not_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as served:
        assert (await served.http.get("/metrics")).status_code == 200
        monkeypatch.setattr("app.server.LOCAL", ())
        assert (await served.http.get("/metrics")).status_code == 403


async def test_request_that_trickles_in_is_cut_off() -> None:
    async with serving(Limits(body_s=0.2)) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = "POST /api/rooms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        writer.write(head.encode())
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 408")
        writer.close()
