"""What travels between a page and the server as text, version 1; app/frames.py has the audio.

docs/protocol.md describes the same. Nothing here knows of sockets. Times are ms since the first sample of the channel;
positions are samples at 16 kHz since the same instant.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal, TypeAlias

import msgspec

VERSION = 1
MAX_TEXT_BYTES = 4096  # of a frame from a client
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
    GUESSES = 4423
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
    capture_ms: Annotated[float, msgspec.Meta(ge=0, le=60_000)] = 0
    """of who speaks: from a sound at the microphone to its arrival at the server, by the client's own measure"""


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
    cut: bool = False
    """the beginning of the room's log is no longer kept: there was too much"""


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
    """Where the time of a clause went, in ms, by stage: `capture`, `recognise`, `translate`, and `speak` where it was
    spoken. `end_to_end_ms` is what lies between the end of its last word and the whole of its translation, without the
    capture. `misses` names stages that exceeded their budget."""

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
    replaced: bool = False
    """another engine did the work instead"""


class Pong(Message, frozen=True, kw_only=True):
    id: int


class Refused(Message, frozen=True, kw_only=True):
    """A request was not granted and the connection goes on."""

    code: Literal["host-only", "too-many-channels", "busy", "unknown-language", "too-many-languages"]
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
