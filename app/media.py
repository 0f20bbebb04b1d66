"""Sound in and out of files: whatever PyAV decodes, raw PCM from a pipe, and the WAV file that speech is written to.

Sources yield blocks of mono float32 at `SAMPLE_RATE`, to a plain `for` or, decoded on another thread, to `async for`.
"""

from __future__ import annotations

import asyncio
import errno
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import av
import av.error
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from models.errors import NO_ROOM, InputError, UnavailableError
from models.protocols import SAMPLE_RATE, Samples

BLOCK = SAMPLE_RATE // 10  # samples
_SHORT_S = 0.5  # of the declared duration may be missing: containers round it
_SHORT_DAMAGED_S = 0.05  # the same where the decoder complained
NO_NAME = frozenset({errno.ENAMETOOLONG, errno.ELOOP})
_RIFF_SLACK = 16  # bytes; some writers count padding that they leave out


class Source(ABC):
    """Blocks of samples from the first to the last; an instance is read once."""

    @abstractmethod
    def __iter__(self) -> Iterator[Samples]: ...

    async def __aiter__(self) -> AsyncIterator[Samples]:
        """The same blocks, each read on a thread that never holds up the end of the process."""
        blocks = iter(self)
        while (block := await _on_daemon_thread(blocks)) is not None:
            yield block


class MediaFile(Source):
    """An audio or video file. The constructor raises `InputError` where it cannot be opened.

    `truncated` is a sentence once the last block was yielded and the file ended before it should; otherwise empty.
    Sound that begins later than the file (a video's) is preceded by silence, so that times are those of the file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.truncated = ""
        self._container = _open(self.path)
        if not self._container.streams.audio:
            self._container.close()
            raise InputError("not-audio", f"There is no sound in {self.path}; give an audio or video file.")
        self._stream = self._container.streams.audio[0]
        self.duration_s = _declared_duration(self._container, self._stream, self.path)
        """as the file declares it; None where it does not"""
        self._damaged = False

    def __iter__(self) -> Iterator[Samples]:
        """Raises `InputError` `file-empty` where nothing at all can be decoded."""
        produced = 0
        with self._container:
            for block in _blocks(self._resampled()):
                produced += len(block)
                yield block
        if not produced and self._damaged:
            raise InputError("not-audio", f"The sound in {self.path} cannot be decoded; the file is damaged.")
        if not produced:
            raise InputError("file-empty", f"There is no sound in {self.path}: it is zero seconds long.")
        self._judge_length(produced / SAMPLE_RATE)

    def close(self) -> None:
        self._container.close()

    def _resampled(self) -> Iterator[Samples]:
        resampler, first = _resampler(), True
        for frame in self._frames():
            if first:
                yield np.zeros(self._late_samples(frame), np.float32)
                first = False
            try:
                frames = resampler.resample(frame)
            except ValueError:  # the stream changed its rate or channels
                yield from map(_samples, resampler.resample(None))
                resampler = _resampler()
                frames = resampler.resample(frame)
            yield from map(_samples, frames)
        if not first:
            yield from map(_samples, resampler.resample(None))

    def _frames(self) -> Iterator[AudioFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                self._damaged = True
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except (av.error.InvalidDataError, av.error.EOFError):
                self._damaged = True
                continue
            yield from frames

    def _late_samples(self, frame: AudioFrame) -> int:
        begin = (self._container.start_time or 0) / av.time_base
        late = 0.0 if frame.time is None else frame.time - begin
        return round(late * SAMPLE_RATE) if 0.02 < late < 24 * 3600 else 0

    def _judge_length(self, decoded_s: float) -> None:
        missing = (self.duration_s or 0.0) - decoded_s
        if missing > (_SHORT_DAMAGED_S if self._damaged else _SHORT_S):
            self.truncated = (
                f"{self.path} is truncated: of {self.duration_s:.1f} s only the first {decoded_s:.1f} s could be read."
            )
        elif _riff_cut(self.path) or _ogg_page_cut(self.path):
            self.truncated = f"{self.path} is truncated: only its first {decoded_s:.1f} s could be read."


class RawPcm(Source):
    """Signed 16-bit little-endian mono PCM from a binary stream, as it arrives, however its bytes are split."""

    def __init__(self, stream: BinaryIO, sample_rate: int = SAMPLE_RATE) -> None:
        # The raw file: a thread that waits inside a buffered one makes the interpreter abort when it exits.
        self._stream = cast(BinaryIO, getattr(stream, "raw", stream))
        self._rate = sample_rate
        self.truncated = ""

    def __iter__(self) -> Iterator[Samples]:
        """Raises `InputError` `file-empty` where not one sample came."""
        produced = 0
        for block in _blocks(self._resampled(), keep_short=True):
            produced += len(block)
            yield block
        if not produced:
            raise InputError("file-empty", "No sound came on standard input; send 16-bit mono PCM.")

    def _resampled(self) -> Iterator[Samples]:
        if self._rate == SAMPLE_RATE:
            yield from self._read()
            return
        stream = soxr.ResampleStream(self._rate, SAMPLE_RATE, 1, dtype="float32")
        for samples in self._read():
            yield stream.resample_chunk(samples)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)

    def _read(self) -> Iterator[Samples]:
        odd = b""
        while data := self._stream.read(self._rate // 10 * 2):
            data = odd + data
            whole = len(data) & ~1
            odd = data[whole:]
            yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768)


class SpeechFile:
    """A WAV file that grows: stretches of PCM at their times, silence between them. It is valid after every write."""

    def __init__(self, path: Path | str, sample_rate: int) -> None:
        """Raises `UnavailableError` `disk-full`, `InputError` `output-unwritable`; so do the other methods."""
        self.path = Path(path)
        self.sample_rate = sample_rate
        self._bytes = 0
        with output_errors(self.path):
            self._file = self.path.open("wb", buffering=0)
        try:
            self._write_header()
        except BaseException:
            self._file.close()
            raise

    @property
    def duration_ms(self) -> float:
        return self._bytes / 2 * 1000 / self.sample_rate

    def write(self, pcm: bytes, start_ms: float, sample_rate: int | None = None) -> None:
        """Place 16-bit mono `pcm` at `start_ms`, or after what is there already where that reaches further."""
        samples = _converted(pcm, sample_rate or self.sample_rate, self.sample_rate)
        gap = round(start_ms * self.sample_rate / 1000) - self._bytes // 2
        try:
            while gap > 0:
                silence = min(gap, self.sample_rate)
                self._append(bytes(2 * silence))
                gap -= silence
            self._append(samples)
        finally:
            self._write_header()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> SpeechFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, data: bytes) -> None:
        with output_errors(self.path):
            self._file.seek(44 + self._bytes)
            rest = memoryview(data)
            while rest:
                written = self._file.write(rest)
                self._bytes += written
                rest = rest[written:]

    def _write_header(self) -> None:
        """RIFF sizes are 32 bits; a longer file declares the most they can say."""
        data = min(self._bytes & ~1, 0xFFFFFFFF - 36)
        form = struct.pack("<IHHIIHH", 16, 1, 1, self.sample_rate, 2 * self.sample_rate, 2, 16)
        header = b"RIFF" + struct.pack("<I", 36 + data) + b"WAVEfmt " + form + b"data" + struct.pack("<I", data)
        with output_errors(self.path):
            self._file.seek(0)
            self._file.write(header)


@contextmanager
def output_errors(path: Path | str) -> Generator[None]:
    """The one place where a failure to write becomes ours: `disk-full` or `output-unwritable`."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has had enough
    except OSError as error:
        if error.errno in NO_ROOM:
            raise UnavailableError("disk-full", f"There is no room left to write {path}; free some space.") from error
        reason = (error.strerror or "unknown reason").lower()
        raise InputError("output-unwritable", f"{path} cannot be written ({reason}); choose another place.") from error


def _open(path: Path) -> InputContainer:
    """Every failure of opening, as an `InputError`."""
    try:
        if path.is_dir():
            raise InputError("not-audio", f"{path} is a folder; give an audio or video file.")
        if path.is_file() and not path.stat().st_size:
            raise InputError("file-empty", f"{path} is empty; there is nothing to translate.")
        return av.open(str(path))
    except FileNotFoundError as error:
        raise InputError("file-missing", f"There is no file {path}; check its name.") from error
    except PermissionError as error:
        raise InputError("file-unreadable", f"{path} may not be read; change its permissions.") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in NO_NAME:
            raise InputError("file-missing", f"'{_shortened(path)}' can be no file's name; check it.") from error
        raise InputError("not-audio", f"{path} is not audio or video that can be decoded.") from error


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 80 else f"{text[:38]}…{text[-38:]}"


def _declared_duration(container: InputContainer, stream: AudioStream, path: Path) -> float | None:
    """s; None where FFmpeg would only estimate it from the bit rate."""
    if container.format.name in {"aac", "ac3", "eac3", "adts"}:
        return None
    if container.format.name == "mp3" and not _mp3_counts_frames(path):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _mp3_counts_frames(path: Path) -> bool:
    """A Xing, Info or VBRI header states the number of frames; without one the duration is a guess."""
    with path.open("rb") as file:
        head = file.read(256 * 1024)
    return any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))


def _riff_cut(path: Path) -> bool:
    """FFmpeg takes the size of a WAV file for its length. Writers to a pipe declare 0 or about the largest size."""
    with path.open("rb") as file:
        head = file.read(8)
        size = file.seek(0, 2)
    declared = int.from_bytes(head[4:8], "little")
    return head[:4] == b"RIFF" and declared < 0x7FFFF000 and declared + 8 > size + _RIFF_SLACK


def _ogg_page_cut(path: Path) -> bool:
    """RFC 3533, section 6: a page is its 27-byte header, the segment table, and as many bytes as that adds up to."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        size = file.seek(0, 2)
        file.seek(max(0, size - 2 * 65_307))  # the largest page, twice
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return 27 + page[26] + sum(page[27 : 27 + page[26]]) > len(page)


def _resampler() -> AudioResampler:
    """To 16 bits: mixing down to floats, FFmpeg does not keep the sum of the channels within [-1, 1]."""
    return AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)


def _samples(frame: AudioFrame) -> Samples:
    return frame.to_ndarray().reshape(-1).astype(np.float32) / np.float32(32768)


def _blocks(parts: Iterator[Samples], *, keep_short: bool = False) -> Iterator[Samples]:
    """Blocks of at most `BLOCK` samples; all but the last full, unless short ones are kept for the sake of delay."""
    waiting = np.zeros(0, np.float32)
    for part in parts:
        waiting = np.concatenate([waiting, part]) if len(waiting) else part
        while len(waiting) >= BLOCK:
            yield waiting[:BLOCK].copy()
            waiting = waiting[BLOCK:]
        if keep_short and len(waiting):
            yield waiting
            waiting = waiting[:0]
    if len(waiting):
        yield waiting


def _converted(pcm: bytes, given: int, wanted: int) -> bytes:
    if given == wanted or not pcm:
        return pcm
    return soxr.resample(np.frombuffer(pcm, "<i2"), given, wanted).astype("<i2").tobytes()


async def _on_daemon_thread(blocks: Iterator[Samples]) -> Samples | None:
    """The next block, None after the last. A pool's thread would be waited for at exit, even one stuck in a pipe."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Samples | None] = loop.create_future()

    def settle(block: Samples | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(block)
        else:
            future.set_exception(error)

    def work() -> None:
        block, failure = None, None
        try:
            block = next(blocks, None)
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, block, failure)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more

    threading.Thread(target=work, name="media", daemon=True).start()
    return await future
