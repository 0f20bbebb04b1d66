"""Opus both ways: what comes out is what went in, as long and as late as it was."""

from __future__ import annotations

import numpy as np
import pytest

from app import opus
from app.frames import OPUS_PACKET_SAMPLES, OpusUplink, unpack_packets
from app.protocol import ProtocolError
from models.protocols import SAMPLE_RATE, Samples
from tests.app.serving import serving


def tone(seconds: float, rate: int, hertz: float = 440.0) -> Samples:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pcm(samples: Samples) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
def test_phrase_is_packets_of_20_ms_and_sounds_the_same(rate: int) -> None:
    packets = unpack_packets(opus.encode(pcm(tone(1.0, rate)), rate))
    assert 50 <= len(packets) <= 51
    heard = opus.UplinkDecoder().decode(packets)
    assert len(heard) == len(packets) * OPUS_PACKET_SAMPLES
    middle = heard[SAMPLE_RATE // 4 : SAMPLE_RATE * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(middle) == pytest.approx(440, abs=4)
    assert np.abs(middle).max() == pytest.approx(0.3, abs=0.1)


def test_packets_decode_alike_however_they_are_split() -> None:
    packets = unpack_packets(opus.encode(pcm(tone(1.0, SAMPLE_RATE)), SAMPLE_RATE))
    whole = opus.UplinkDecoder().decode(packets)
    decoder = opus.UplinkDecoder()
    parts = np.concatenate([decoder.decode(packets[at : at + 3]) for at in range(0, len(packets), 3)])
    assert len(parts) == len(whole)
    assert np.abs(parts[: len(whole) - 1600] - whole[: len(whole) - 1600]).max() < 0.05


def test_sound_is_late_by_less_than_60_ms() -> None:
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[8000:8400] = tone(0.025, SAMPLE_RATE, 1000)
    heard = opus.UplinkDecoder().decode(unpack_packets(opus.encode(pcm(click), SAMPLE_RATE)))
    onset = int(np.argmax(np.abs(heard) > 0.05))
    assert 0 <= onset - 8000 < 0.06 * SAMPLE_RATE


def test_what_is_no_opus_is_refused() -> None:
    with pytest.raises(ProtocolError):
        opus.UplinkDecoder().decode([b"\xff\xff\xff" * 50])


async def test_speaker_with_opus_is_heard() -> None:
    quiet = np.zeros(3 * SAMPLE_RATE // 2, np.float32)
    loud = 0.95 * np.sign(tone(2.0, SAMPLE_RATE))  # as the detector of these tests wants it
    speech = np.concatenate([quiet, loud, quiet, loud, quiet])
    packets = unpack_packets(opus.encode(pcm(speech), SAMPLE_RATE))
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"]) as listener, served.connect(room["speaker"]) as speaker:
            started = await speaker.start()
            for at in range(0, len(packets), 10):
                frame = OpusUplink(started["channel"], at, at * OPUS_PACKET_SAMPLES, tuple(packets[at : at + 10]))
                await speaker.socket.send(frame.encode())
            await speaker.send("stop", channel=started["channel"])
            await speaker.until("confirmed", position=len(packets) * OPUS_PACKET_SAMPLES)
            await listener.until("closed")
        assert listener.text("words", "en").count(".") == 2
