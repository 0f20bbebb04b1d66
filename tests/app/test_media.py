"""Sound from files of every kind and state, and into WAV files."""

from __future__ import annotations

import io
import os
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.media import BLOCK, MediaFile, RawPcm, SpeechFile
from models.errors import InputError, TsuyakuError, UnavailableError
from models.protocols import SAMPLE_RATE


def tone(seconds: float, rate: int) -> bytes:
    times = np.arange(round(seconds * rate)) / rate
    return (np.sin(2 * np.pi * 440 * times) * 16_000).astype("<i2").tobytes()


def wav(path: Path, seconds: float = 2.0, rate: int = 44_100, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(np.frombuffer(tone(seconds, rate), "<i2"), channels).tobytes())
    return path


def encoded(path: Path, codec: str, seconds: float = 3.0, rate: int = 48_000) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.frombuffer(tone(seconds, rate), "<i2")[None], "s16", "mono")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


def code_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(MediaFile(path))
    assert caught.value.message.count("\n") == 0
    return caught.value.code


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 1), (44_100, 2), (96_000, 6)])
def test_file_becomes_mono_at_the_rate_of_engines(tmp_path: Path, rate: int, channels: int) -> None:
    media = MediaFile(wav(tmp_path / "a.wav", 2.0, rate, channels))
    blocks = list(media)
    samples = np.concatenate(blocks)
    assert samples.dtype == np.float32
    assert {len(block) for block in blocks[:-1]} == {BLOCK}
    assert abs(len(samples) - 2 * SAMPLE_RATE) <= 32
    assert 0.1 < np.abs(samples).max() <= 1
    assert media.truncated == ""


async def test_file_yields_the_same_blocks_to_async_for(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav")
    blocks = [block async for block in MediaFile(path)]
    assert np.array_equal(np.concatenate(blocks), np.concatenate(list(MediaFile(path))))


@pytest.mark.parametrize(
    ("name", "codec"), [("a.flac", "flac"), ("a.mp3", "mp3"), ("a.ogg", "libopus"), ("a.m4a", "aac")]
)
def test_whole_file_is_not_called_truncated(tmp_path: Path, name: str, codec: str) -> None:
    media = MediaFile(encoded(tmp_path / name, codec))
    assert abs(sum(map(len, media)) / SAMPLE_RATE - 3) < 0.1
    assert media.truncated == ""


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "mp3"), ("a.ogg", "libopus")]
)
def test_truncated_file_yields_what_is_there_and_says_so(tmp_path: Path, name: str, codec: str) -> None:
    path = encoded(tmp_path / name, codec, seconds=6)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    media = MediaFile(path)
    assert sum(map(len, media)) > 2 * SAMPLE_RATE
    assert "is truncated" in media.truncated


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert code_of(tmp_path / "none.wav") == "file-missing"


def test_name_that_no_file_can_have_is_missing(tmp_path: Path) -> None:
    assert code_of(tmp_path / ("x" * 300)) == "file-missing"


def test_file_of_text_is_not_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("Bom dia. " * 500)
    assert code_of(path) == "not-audio"


def test_folder_is_not_audio(tmp_path: Path) -> None:
    assert code_of(tmp_path) == "not-audio"


def test_picture_has_no_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.png"), "w") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "rgb24"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    assert code_of(tmp_path / "a.png") == "not-audio"


def test_file_without_a_byte_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.touch()
    assert code_of(path) == "file-empty"


def test_file_without_a_sample_is_empty(tmp_path: Path) -> None:
    assert code_of(wav(tmp_path / "a.wav", 0)) == "file-empty"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_file_that_may_not_be_read_is_unreadable(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav")
    path.chmod(0)
    assert code_of(path) == "file-unreadable"


class Dribble(io.RawIOBase):
    """A pipe that gives `sizes` bytes at a time."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = sizes

    def read(self, size: int = -1) -> bytes:
        size = self._sizes.pop(0) if self._sizes else size
        given, self._data = self._data[:size], self._data[size:]
        return given


@given(st.lists(st.integers(1, 999), max_size=20))
def test_pcm_survives_odd_splits(sizes: list[int]) -> None:
    pcm = tone(0.3, SAMPLE_RATE)
    samples = np.concatenate(list(RawPcm(Dribble(pcm, sizes))))
    assert np.array_equal(samples * 32768, np.frombuffer(pcm, "<i2"))


def test_pcm_of_another_rate_is_resampled() -> None:
    samples = np.concatenate(list(RawPcm(io.BytesIO(tone(1.0, 48_000)), 48_000)))
    assert abs(len(samples) - SAMPLE_RATE) < 10


def test_pcm_without_a_sample_is_empty() -> None:
    with pytest.raises(InputError) as caught:
        list(RawPcm(io.BytesIO(b"\x01")))
    assert caught.value.code == "file-empty"


def read_wav(path: Path) -> tuple[int, np.ndarray]:
    with wave.open(str(path)) as file:
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_speech_lies_at_its_time_with_silence_before(tmp_path: Path) -> None:
    with SpeechFile(tmp_path / "a.wav", 22_050) as file:
        file.write(b"\x01\x00" * 100, 1000)
        file.write(b"\x02\x00" * 100, 500)
    rate, samples = read_wav(tmp_path / "a.wav")
    assert rate == 22_050
    assert not samples[:22_050].any()
    assert samples[22_050:].tolist() == [1] * 100 + [2] * 100


def test_speech_of_another_rate_is_resampled(tmp_path: Path) -> None:
    with SpeechFile(tmp_path / "a.wav", 24_000) as file:
        file.write(tone(1.0, 16_000), 0, 16_000)
        assert abs(file.duration_ms - 1000) < 1


def test_speech_file_is_valid_while_it_is_still_open(tmp_path: Path) -> None:
    file = SpeechFile(tmp_path / "a.wav", 16_000)
    file.write(b"\x01\x00" * 160, 0)
    assert len(read_wav(tmp_path / "a.wav")[1]) == 160
    file.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_speech_file_on_a_full_disk_says_so() -> None:
    with pytest.raises(UnavailableError) as caught:
        SpeechFile("/dev/full", 16_000)
    assert caught.value.code == "disk-full"


def test_speech_file_in_a_folder_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(TsuyakuError) as caught:
        SpeechFile(tmp_path / "none" / "a.wav", 16_000)
    assert caught.value.code == "output-unwritable"
