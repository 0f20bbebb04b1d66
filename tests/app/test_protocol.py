"""Wire messages: each makes the round trip, and what is malformed is refused with a code."""

from __future__ import annotations

import contextlib
import typing
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import protocol
from app.frames import Fresh, OpusUplink, Received, Uplink, Voice, pack_packets
from app.protocol import CloseCode, Message, ProtocolError, decode_client, decode_server, encode

TEXTS = {"language": "pt", "key": "abcdefgh", "role": "speaker", "text": " a", "token": "t" * 32}
CHOICES = {"Ended": {"code": "host"}, "Refused": {"code": "busy"}, "Start": {"language": "auto"}}


def sample(kind: type[Message]) -> Message:
    """A message with every field set to something."""
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        values[field.name] = CHOICES.get(kind.__name__, {}).get(field.name, _value(field.name, field.type))
    return msgspec.convert(values, kind)


def _value(name: str, kind: object) -> object:
    if name in TEXTS:
        return TEXTS[name]
    text = str(kind)
    if "dict" in text:
        return {"pt": 2}
    if "tuple" in text:
        return ("pt", "ja")
    if "Wanted" in text:
        return {"captions": ["pt"], "voices": ["ja"], "source": False}
    if "Resume" in text:
        return {"epoch": "e", "sequence": 3}
    if "bool" in text:
        return True
    if "int" in text or "float" in text:
        return 7
    return "text"


@pytest.mark.parametrize("kind", typing.get_args(protocol.ClientMessage))
def test_client_message_makes_the_round_trip(kind: type[Message]) -> None:
    message = sample(kind)
    assert decode_client(encode(message)) == message


@pytest.mark.parametrize("kind", typing.get_args(protocol.ServerMessage))
def test_server_message_makes_the_round_trip(kind: type[Message]) -> None:
    message = sample(kind)
    assert decode_server(encode(message)) == message


def test_every_message_belongs_to_one_side() -> None:
    sides = {*typing.get_args(protocol.ClientMessage), *typing.get_args(protocol.ServerMessage)}
    assert set(Message.__subclasses__()) == sides


def test_field_of_a_newer_peer_is_ignored() -> None:
    assert decode_client('{"type":"ping","id":3,"later":true}') == protocol.Ping(id=3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"type":"welcome"}',
        '{"type":"ping"}',
        '{"type":"ping","id":"x"}',
        '{"type":"start","key":"short"}',
        '{"type":"want","wanted":{"captions":["../x"]}}',
        '{"type":"want","wanted":{"captions":["aa","bb","cc","dd","ee"]}}',
        '{"type":"ping","id":1,"x":"' + "y" * 5000 + '"}',
    ],
)
def test_malformed_text_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_client(text)
    assert caught.value.code is CloseCode.MALFORMED
    assert caught.value.reason in ("malformed message", "text frame too large")


@given(st.text(max_size=300))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    with contextlib.suppress(ProtocolError):
        assert isinstance(decode_client(text), Message)


@given(st.binary(max_size=300))
def test_any_frame_is_decoded_or_refused(frame: bytes) -> None:
    for kind in (Uplink, OpusUplink, Voice):
        with contextlib.suppress(ProtocolError):
            assert kind.decode(frame).encode()


def test_uplink_frame_makes_the_round_trip() -> None:
    frame = Uplink(3, 9, 4711, np.array([0, 0.5, -1], np.float32)).encode()
    decoded = Uplink.decode(frame)
    assert (decoded.channel, decoded.sequence, decoded.position) == (3, 9, 4711)
    assert np.allclose(decoded.samples, [0, 0.5, -1], atol=1e-4)


def test_opus_uplink_frame_makes_the_round_trip() -> None:
    frame = OpusUplink(3, 9, 4711, (b"ab", b"c" * 300))
    assert OpusUplink.decode(frame.encode()) == frame


@pytest.mark.parametrize("opus", [False, True])
def test_voice_frame_makes_the_round_trip(opus: bool) -> None:
    payload = pack_packets([b"abc"]) if opus else b"\1\0\2\0"
    voice = Voice(1, 2, 3, 22_050, 900, "pt", True, payload, opus)
    assert Voice.decode(voice.encode()) == voice


@dataclass
class Portion:
    position: int
    samples: np.ndarray


def ramp(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.float32)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.data())
def test_what_is_resent_arrives_once(sizes: list[int], data: st.DataObject) -> None:
    """Portions, some of them sent again from any confirmed position: the samples arrive once, in order."""
    received, heard = Received(), []
    total = sum(sizes)
    at = 0
    for size in sizes:
        begin = data.draw(st.integers(0, at))
        fresh = received.accept(begin, ramp(begin, at + size - begin))
        assert fresh is not None
        heard.append(fresh.samples)
        at += size
    assert received.position == total
    assert np.array_equal(np.concatenate(heard), ramp(0, total))


def test_known_audio_is_nothing_new() -> None:
    received = Received()
    received.accept(0, ramp(0, 100))
    assert received.accept(20, ramp(20, 80)) is None


def test_pause_becomes_a_little_silence_and_the_rest_is_told() -> None:
    received = Received()
    received.accept(0, ramp(0, 100))
    fresh = received.accept(100 + 60 * 16_000, ramp(1, 10))
    assert isinstance(fresh, Fresh)
    assert len(fresh.samples) == Received.LONGEST_GAP + 10
    assert fresh.skipped == 58 * 16_000
    assert not fresh.samples[: Received.LONGEST_GAP].any()
