"""Opus for speech, through FFmpeg's libopus: a phrase at a time downstream, packet after packet upstream."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, cast

import av
import av.error
import numpy as np
import soxr

from app.frames import OPUS_PACKET_SAMPLES, pack_packets
from app.protocol import CloseCode, ProtocolError
from models.protocols import SAMPLE_RATE, Samples

RATE = 48_000  # Hz, at which FFmpeg's decoder answers
_PACKET_SAMPLES = RATE // 50
BIT_RATE = 24_000  # speech is transparent to most at 24 kbit/s mono


def encode(pcm: bytes, sample_rate: int) -> bytes:
    """16-bit mono PCM as packets of 20 ms, decodable without anything before; the last one is filled with silence."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
    wide = soxr.resample(samples, sample_rate, RATE) if sample_rate != RATE else samples
    frame_samples = RATE // 50
    wide = np.pad(wide, (0, -len(wide) % frame_samples))
    encoder = _encoder()
    packets: list[bytes] = []
    for at in range(0, len(wide), frame_samples):
        frame = av.AudioFrame.from_ndarray(
            (np.clip(wide[at : at + frame_samples], -1, 1) * 32767).astype("<i2").reshape(1, -1), "s16", "mono"
        )
        frame.sample_rate = RATE
        frame.pts = at
        packets.extend(bytes(packet) for packet in encoder.encode(frame))
    packets.extend(bytes(packet) for packet in encoder.encode(None))
    return pack_packets(packets)


def _encoder() -> Any:
    encoder = cast("Any", av.CodecContext.create("libopus", "w"))
    encoder.sample_rate = RATE
    encoder.layout = "mono"
    encoder.format = "s16"
    encoder.bit_rate = BIT_RATE
    encoder.time_base = Fraction(1, RATE)
    encoder.options = {"application": "voip", "frame_duration": "20"}
    return encoder


class UplinkDecoder:
    """One channel's packets to samples at `SAMPLE_RATE`, as many as the packets last: the resampler's delay is made
    up with silence at the begin, so that positions hold."""

    def __init__(self) -> None:
        self._decoder = cast("Any", av.CodecContext.create("libopus", "r"))
        self._decoder.sample_rate = RATE
        self._decoder.layout = "mono"
        self._resampler = soxr.ResampleStream(RATE, SAMPLE_RATE, 1, dtype="float32")
        self._ready = np.zeros(SAMPLE_RATE // 25, np.float32)

    def decode(self, packets: Iterable[bytes]) -> Samples:
        """Raises `ProtocolError` where a packet is no Opus, or does not last 20 ms."""
        count = 0
        parts = [self._ready]
        for packet in packets:
            count += OPUS_PACKET_SAMPLES
            parts += self._decode(packet)
        self._ready = np.concatenate(parts)
        self._ready = np.pad(self._ready, (0, max(0, count - len(self._ready))))
        samples, self._ready = self._ready[:count], self._ready[count:]
        return samples

    def _decode(self, packet: bytes) -> list[Samples]:
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except (av.error.FFmpegError, ValueError) as error:
            raise ProtocolError(CloseCode.MALFORMED, "not an Opus packet") from error
        if sum(frame.samples for frame in frames) != _PACKET_SAMPLES:
            raise ProtocolError(CloseCode.MALFORMED, "an Opus packet that does not last 20 ms")
        return [self._resampler.resample_chunk(_mono(frame)) for frame in frames]


def _mono(frame: Any) -> Samples:
    planes = frame.to_ndarray()
    samples = planes.reshape(-1, len(frame.layout.channels)).mean(axis=1) if planes.shape[0] == 1 else planes.mean(0)
    scale = 32768 if planes.dtype == np.int16 else 1
    return (samples / scale).astype(np.float32)
