"""What travels between a page and the server: JSON text frames and binary audio frames, version 1.

docs/protocol.md describes the same. Nothing here knows of sockets. Times are ms since the first sample of the channel;
positions are samples at `SAMPLE_RATE` since the same instant.
"""

from __future__ import annotations

import struct
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
    """Why the server closed a socket. A client retries after those from `SLOW` on and no others of ours."""

    MALFORMED = 4400
    UNAUTHORISED = 4401
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


class Hello(Message, frozen=True, kw_only=True):
    """The first frame, within 10 s."""

    version: int
    token: Token
    wanted: Wanted = Wanted()
    resume: Resume | None = None


class Want(Message, frozen=True, kw_only=True):
    """Follow other languages. What is kept of them comes again, in order."""

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


class Pong(Message, frozen=True, kw_only=True):
    id: int


class Refused(Message, frozen=True, kw_only=True):
    """A request was not granted and the connection goes on."""

    code: Literal["host-only", "too-many-channels", "unknown-channel", "unknown-language", "engine"]
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
    """Synthetic speech: kind 2, then 16-bit little-endian mono PCM at `sample_rate`; frames play in order."""

    HEADER: ClassVar = struct.Struct("<BBHIIII8s")
    KIND: ClassVar = 2

    channel: int
    sequence: int
    """counts what was spoken in this language; a gap was dropped"""
    segment: int
    sample_rate: int
    source_end_ms: int
    language: str
    last: bool
    """nothing more of this segment follows"""
    pcm: bytes

    def encode(self) -> bytes:
        header = self.HEADER.pack(
            self.KIND,
            int(self.last),
            self.channel,
            self.sequence & 0xFFFFFFFF,
            self.segment & 0xFFFFFFFF,
            self.sample_rate,
            self.source_end_ms & 0xFFFFFFFF,
            self.language.encode(),
        )
        return header + self.pcm

    @classmethod
    def decode(cls, frame: bytes) -> Voice:
        """Raises `ProtocolError`."""
        if len(frame) < cls.HEADER.size or frame[0] != cls.KIND or (len(frame) - cls.HEADER.size) % 2:
            raise ProtocolError(CloseCode.MALFORMED, "malformed audio frame")
        _, last, channel, sequence, segment, rate, end, language = cls.HEADER.unpack_from(frame)
        name = language.rstrip(b"\0").decode("ascii", "replace")
        return cls(channel, sequence, segment, rate, end, name, bool(last), frame[cls.HEADER.size :])


class Received:
    """Where a channel's audio has arrived, by sample position: what is resent twice counts once."""

    LONGEST_GAP = 5 * SAMPLE_RATE  # lost by the client itself; becomes silence

    def __init__(self) -> None:
        self.position = 0

    def accept(self, position: int, samples: Samples) -> Samples | None:
        """What is new of `samples`, after silence for a gap; None where all of it is known."""
        missing = position - self.position
        if missing <= 0:
            fresh = samples[-missing:]
        else:
            fresh = np.concatenate([np.zeros(min(missing, self.LONGEST_GAP), np.float32), samples])
        if not len(fresh):
            return None
        self.position = position + len(samples)
        return fresh
