"""What travels between a page and the server: JSON text frames and binary audio frames, version 1.

docs/protocol.md describes the same. Nothing here knows of sockets. Times are ms since the first sample of the channel;
positions are samples at `SAMPLE_RATE` since the same instant.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, ClassVar, Literal, TypeAlias

import msgspec
import numpy as np

from models.protocols import SAMPLE_RATE, Samples

VERSION = 1
MAX_TEXT_BYTES = 4096  # of a frame from a client
MAX_BINARY_BYTES = 65_536  # about 2 s of uplink audio
MAX_LANGUAGES = 4  # that one listener may follow at once

Role = Literal["host", "speaker", "listener"]
Language = Annotated[str, msgspec.Meta(pattern="^[a-z]{2,3}$")]
Languages = Annotated[tuple[Language, ...], msgspec.Meta(max_length=MAX_LANGUAGES)]
Key = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{8,64}$")]
Token = Annotated[str, msgspec.Meta(max_length=128)]
Position = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class CloseCode(IntEnum):
    """Why the server closed a socket. A client retries after `SLOW`, `BUSY` and `RESTARTING`, and no others of ours."""

    MALFORMED = 4400
    UNAUTHORISED = 4401
    CODE_REQUIRED = 4402
    FORBIDDEN = 4403
    ENDED = 4410
    UNSUPPORTED_VERSION = 4426
    FLOOD = 4429
    SLOW = 4508
    BUSY = 4503
    RESTARTING = 1012


class ProtocolError(Exception):
    """A peer broke the protocol; the connection ends with `code`. The reason never repeats what the peer sent."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, forbid_unknown_fields=False):
    """A text frame. A newer peer may add fields; unknown ones are ignored."""


# from the client


class Resume(msgspec.Struct, frozen=True):
    """The last message of the room that the client had."""

    epoch: str
    sequence: Annotated[int, msgspec.Meta(ge=0)]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a listener follows. Empty `captions` and `voices` cost the room nothing."""

    captions: Languages = ()
    voices: Languages = ()
    source: bool = True
    """also what was said, in the speaker's language"""
    tentative: bool = True
    """also text that may still change"""
    opus: bool = False
    """voices as Opus instead of PCM"""


class Hello(Message, frozen=True, kw_only=True):
    """The first frame, within 10 s."""

    version: int
    token: Token
    wanted: Wanted = Wanted()
    resume: Resume | None = None
    code: Annotated[str, msgspec.Meta(max_length=32)] = ""
    """of the room, where its host set one"""


class Want(Message, frozen=True, kw_only=True):
    """Follow other languages. What is kept of those that are new comes in order, before any later `pong`."""

    wanted: Wanted


class Start(Message, frozen=True, kw_only=True):
    """Open a speaking channel, or go on with it after an interruption: same `key`."""

    key: Key
    language: Annotated[str, msgspec.Meta(pattern="^(auto|[a-z]{2,3})$")] = "auto"
    candidates: Languages = ()
    """among which `auto` chooses"""
    name: Annotated[str, msgspec.Meta(max_length=40)] = ""


class Stop(Message, frozen=True, kw_only=True):
    """Nothing more will be said on the channel."""

    channel: int


class Ping(Message, frozen=True, kw_only=True):
    id: int


class Rotate(Message, frozen=True, kw_only=True):
    """Host only: replace a link; whoever came by the old one is disconnected."""

    role: Literal["speaker", "listener"]


class Close(Message, frozen=True, kw_only=True):
    """Host only: end the room for everybody."""


ClientMessage: TypeAlias = Hello | Want | Start | Stop | Ping | Rotate | Close


# from the server


class Welcome(Message, frozen=True, kw_only=True):
    """The answer to `hello`. The messages that the client lacks follow at once, in order and without a gap."""

    version: int
    role: Role
    epoch: str
    sequence: int
    """of the newest message of the room"""
    recovered: bool
    """False: forget what you have; some of what you missed is gone or belongs to another epoch"""
    languages: tuple[str, ...]
    """that can be asked for"""
    keep_s: int = 0
    """that the transcript can be downloaded after the end of the room; 0: nothing is kept"""
    demo: bool = False


class Links(Message, frozen=True, kw_only=True):
    """For the host: tokens that go behind `#` in a link."""

    speaker: str
    listener: str


class Started(Message, frozen=True, kw_only=True):
    """Send from `position` on; what lies before it has arrived."""

    key: str
    channel: int
    position: int


class Confirmed(Message, frozen=True, kw_only=True):
    """The audio before `position` has arrived and need not be kept."""

    channel: int
    position: int


class Words(Message, frozen=True, kw_only=True):
    """Committed text of a channel, as spoken. In the log."""

    sequence: int
    channel: int
    language: str
    text: str
    start_ms: float
    end_ms: float
    emitted_ms: float


class Caption(Message, frozen=True, kw_only=True):
    """Committed text of a segment in one language, to be appended to what the segment has. In the log."""

    sequence: int
    channel: int
    language: str
    segment: int
    text: str
    final: bool
    same: bool
    """the segment was spoken in this language"""
    start_ms: float
    end_ms: float
    emitted_ms: float


class Opened(Message, frozen=True, kw_only=True):
    """Somebody began to speak. In the log."""

    sequence: int
    channel: int
    language: str
    name: str
    room_ms: float = 0.0
    """since the room's first channel was opened"""


class Closed(Message, frozen=True, kw_only=True):
    """A channel ended; `code` is `end` or says what failed, with a sentence for people. In the log."""

    sequence: int
    channel: int
    code: str
    message: str


class Ended(Message, frozen=True, kw_only=True):
    """The room is over. In the log, last."""

    sequence: int
    code: Literal["host", "idle", "limit", "shutdown", "demo"]


class Tail(Message, frozen=True, kw_only=True):
    """Text that may still change; replaces the last tail of this channel, language and kind."""

    channel: int
    language: str
    translated: bool
    segment: int
    text: str


class Talking(Message, frozen=True, kw_only=True):
    channel: int
    active: bool


class State(Message, frozen=True, kw_only=True):
    """For who speaks: how many read and hear which language."""

    listeners: int
    captions: dict[str, int]
    voices: dict[str, int]


class Lag(Message, frozen=True, kw_only=True):
    """Where the time of a clause went, in ms, by stage; `misses` names stages that exceeded their budget."""

    channel: int
    language: str
    segment: int
    end_to_end_ms: float
    stages: dict[str, float]
    misses: tuple[str, ...] = ()


class Trouble(Message, frozen=True, kw_only=True):
    """A stage cannot do its work at present; `code` is one of docs/errors.md. What was committed stands."""

    channel: int
    stage: str
    language: str
    code: str


class Pong(Message, frozen=True, kw_only=True):
    id: int


class Refused(Message, frozen=True, kw_only=True):
    """A request was not granted and the connection goes on."""

    code: Literal["host-only", "too-many-channels", "busy", "unknown-channel", "unknown-language", "engine"]
    message: str


ServerMessage: TypeAlias = (
    Welcome
    | Links
    | Started
    | Confirmed
    | Words
    | Caption
    | Opened
    | Closed
    | Ended
    | Tail
    | Talking
    | State
    | Lag
    | Trouble
    | Pong
    | Refused
)

_from_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_from_server: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_encoder = msgspec.json.Encoder()


def encode(message: Message) -> str:
    return _encoder.encode(message).decode()


def decode_client(text: str) -> ClientMessage:
    """Raises `ProtocolError` where `text` is no message of a client."""
    if len(text) > MAX_TEXT_BYTES:
        raise ProtocolError(CloseCode.MALFORMED, "text frame too large")
    try:
        return _from_client.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ProtocolError(CloseCode.MALFORMED, "malformed message") from error


def decode_server(text: str) -> ServerMessage:
    """Raises `ProtocolError`."""
    try:
        return _from_server.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ProtocolError(CloseCode.MALFORMED, "malformed message") from error


# binary


OPUS_PACKET_SAMPLES = SAMPLE_RATE // 50  # 20 ms, in every packet


def pack_packets(packets: Iterable[bytes]) -> bytes:
    """Opus packets as a payload: each after its length (16 bits, little-endian)."""
    return b"".join(len(packet).to_bytes(2, "little") + packet for packet in packets)


def unpack_packets(payload: bytes) -> list[bytes]:
    """Raises `ProtocolError`."""
    packets: list[bytes] = []
    at = 0
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "little")
        packet = payload[at + 2 : at + 2 + size]
        if not size or len(packet) < size:
            raise ProtocolError(CloseCode.MALFORMED, "malformed audio packet")
        packets.append(packet)
        at += 2 + size
    return packets


class OpusUplink(msgspec.Struct, frozen=True):
    """Captured audio: kind 4, then mono Opus packets of 20 ms; `position` is of the first one's first sample."""

    HEADER: ClassVar = struct.Struct("<BBHIQ")
    KIND: ClassVar = 4

    channel: int
    sequence: int
    position: int
    packets: tuple[bytes, ...]

    def encode(self) -> bytes:
        header = self.HEADER.pack(self.KIND, 0, self.channel, self.sequence & 0xFFFFFFFF, self.position)
        return header + pack_packets(self.packets)

    @classmethod
    def decode(cls, frame: bytes) -> OpusUplink:
        """Raises `ProtocolError`."""
        if len(frame) > MAX_BINARY_BYTES:
            raise ProtocolError(CloseCode.MALFORMED, "audio frame too large")
        if len(frame) <= cls.HEADER.size or frame[0] != cls.KIND:
            raise ProtocolError(CloseCode.MALFORMED, "malformed audio frame")
        _, _, channel, sequence, position = cls.HEADER.unpack_from(frame)
        if position >= 1 << 53:
            raise ProtocolError(CloseCode.MALFORMED, "malformed audio position")
        return cls(channel, sequence, position, tuple(unpack_packets(frame[cls.HEADER.size :])))


class Uplink(msgspec.Struct, frozen=True):
    """Captured audio: kind 1, then 16-bit little-endian mono PCM at 16 kHz."""

    HEADER: ClassVar = struct.Struct("<BBHIQ")
    KIND: ClassVar = 1

    channel: int
    sequence: int
    position: int
    samples: Samples

    def encode(self) -> bytes:
        pcm = (np.clip(self.samples, -1, 1) * 32767).astype("<i2").tobytes()
        return self.HEADER.pack(self.KIND, 0, self.channel, self.sequence & 0xFFFFFFFF, self.position) + pcm

    @classmethod
    def decode(cls, frame: bytes) -> Uplink:
        """Raises `ProtocolError`."""
        if len(frame) > MAX_BINARY_BYTES:
            raise ProtocolError(CloseCode.MALFORMED, "audio frame too large")
        pcm = len(frame) - cls.HEADER.size
        if pcm < 2 or pcm % 2 or frame[0] != cls.KIND:
            raise ProtocolError(CloseCode.MALFORMED, "malformed audio frame")
        _, _, channel, sequence, position = cls.HEADER.unpack_from(frame)
        if position >= 1 << 53:
            raise ProtocolError(CloseCode.MALFORMED, "malformed audio position")
        samples = np.frombuffer(frame, "<i2", offset=cls.HEADER.size).astype(np.float32) / np.float32(32768)
        return cls(channel, sequence, position, samples)


class Voice(msgspec.Struct, frozen=True):
    """Synthetic speech; frames play in order, and each is decoded by itself.

    Kind 2: 16-bit little-endian mono PCM at `sample_rate`. Kind 3: mono Opus packets of 20 ms, as `pack_packets`.
    """

    HEADER: ClassVar = struct.Struct("<BBHIIII8s")
    PCM: ClassVar = 2
    OPUS: ClassVar = 3

    channel: int
    sequence: int
    """counts what was spoken in this language; a gap was dropped"""
    segment: int
    sample_rate: int
    source_end_ms: int
    language: str
    last: bool
    """nothing more of this segment follows"""
    payload: bytes
    opus: bool = False

    def encode(self) -> bytes:
        header = self.HEADER.pack(
            self.OPUS if self.opus else self.PCM,
            int(self.last),
            self.channel,
            self.sequence & 0xFFFFFFFF,
            self.segment & 0xFFFFFFFF,
            self.sample_rate,
            self.source_end_ms & 0xFFFFFFFF,
            self.language.encode(),
        )
        return header + self.payload

    @classmethod
    def decode(cls, frame: bytes) -> Voice:
        """Raises `ProtocolError`."""
        size = cls.HEADER.size
        if (
            len(frame) < size
            or frame[0] not in (cls.PCM, cls.OPUS)
            or (frame[0] == cls.PCM and (len(frame) - size) % 2)
        ):
            raise ProtocolError(CloseCode.MALFORMED, "malformed audio frame")
        kind, last, channel, sequence, segment, rate, end, language = cls.HEADER.unpack_from(frame)
        name = language.rstrip(b"\0").decode("ascii", "replace")
        opus = kind == cls.OPUS
        if opus:
            unpack_packets(frame[size:])
        return cls(channel, sequence, segment, rate, end, name, bool(last), frame[size:], opus)


@dataclass(frozen=True, slots=True)
class Fresh:
    """What is new of a frame, and how much silence of a pause before it was left out."""

    samples: Samples
    skipped: int


class Received:
    """Where a channel's audio has arrived, by sample position: what is resent twice counts once.

    A gap is a pause of the speaker's (a muted microphone) or lost by the client itself: it becomes silence, of which
    no more than `LONGEST_GAP` is worth recognising.
    """

    LONGEST_GAP = 2 * SAMPLE_RATE

    def __init__(self) -> None:
        self.position = 0

    def accept(self, position: int, samples: Samples) -> Fresh | None:
        """None where all of it is known."""
        missing = position - self.position
        if -missing >= len(samples):
            return None
        self.position = position + len(samples)
        if missing <= 0:
            return Fresh(samples[-missing:], 0)
        silence = min(missing, self.LONGEST_GAP)
        return Fresh(np.concatenate([np.zeros(silence, np.float32), samples]), missing - silence)
