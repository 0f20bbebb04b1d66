"""Audio frames between a page and the server, version 1, and how a channel's audio arrives. No sockets here."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np

from app.protocol import CloseCode, ProtocolError
from models.protocols import SAMPLE_RATE, Samples

MAX_BINARY_BYTES = 65_536  # about 2 s of uplink audio
OPUS_PACKET_SAMPLES = SAMPLE_RATE // 50  # 20 ms, in every packet
MAX_PACKETS = 100  # in an uplink frame: 2 s


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
        packets = unpack_packets(frame[cls.HEADER.size :])
        if len(packets) > MAX_PACKETS:
            raise ProtocolError(CloseCode.MALFORMED, "too many audio packets in a frame")
        return cls(channel, sequence, position, tuple(packets))

    def __len__(self) -> int:
        """Samples."""
        return len(self.packets) * OPUS_PACKET_SAMPLES


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

    def __len__(self) -> int:
        """Samples."""
        return len(self.samples)


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
