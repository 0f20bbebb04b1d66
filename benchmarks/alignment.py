"""When each word of a transcript was said: forced alignment with Whisper's cross-attention (`model.align`), cached.

A first pass transcribes and tells roughly where the transcript's words lie; it is cut there at the longest pauses into
windows that fit the encoder's 30 s, and each window's own text is aligned to its own audio. Attention gives pauses to
the words around them, which would flatter every lag: words are cut back to speech as Silero VAD finds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from platformdirs import user_cache_path

from app.media import MediaFile
from benchmarks.extra import require
from benchmarks.manifest import Recording
from benchmarks.metrics import Spoken
from benchmarks.text import UNSPACED, matches, plain, tokens
from models.errors import InputError
from models.protocols import SAMPLE_RATE, Samples
from models.whisper import LANGUAGES

WINDOW_S = 24.0  # below the encoder's 30, with room for rough times
MARGIN_S = 0.3
_VERSION = 2


@dataclass(frozen=True, slots=True)
class _Window:
    """Words `first` to `last` (exclusive) of the transcript and the seconds in which they lie."""

    first: int
    last: int
    start_s: float
    end_s: float


def align(recording: Recording, model: Path, cache: Path | None = None) -> list[Spoken]:
    """The transcript's words in order; empty where there is no transcript."""
    if recording.parts:
        return [_later(word, part.start_s) for part in recording.parts for word in align(part.recording, model, cache)]
    if not recording.transcript:
        return []
    MediaFile(recording.path).close()  # says what is wrong with it
    folder = cache or user_cache_path("tsuyaku") / "alignments"
    path = folder / f"{recording.id}-{_key(recording, model)}.json"
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(path.read_bytes(), type=list[Spoken])
    spoken = _Aligner(model).align(decode(recording.path), recording)
    with contextlib.suppress(OSError):  # it is made again next time
        folder.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(f".{os.getpid()}")
        whole.write_bytes(msgspec.json.encode(spoken))
        whole.replace(path)
    return spoken


def _later(word: Spoken, seconds: float) -> Spoken:
    return Spoken(word.text, word.start_ms + 1000 * seconds, word.end_ms + 1000 * seconds)


def decode(path: Path) -> Samples:
    """All of a recording, mono at 16 kHz."""
    return np.concatenate([*MediaFile(path), np.zeros(0, np.float32)])


def _key(recording: Recording, model: Path) -> str:
    digest = hashlib.sha256(f"{_VERSION} {model.name} {recording.language} {recording.text}".encode())
    digest.update(recording.path.read_bytes())
    return digest.hexdigest()[:16]


class _Aligner:
    def __init__(self, model: Path) -> None:
        from faster_whisper import WhisperModel

        threads = min(4, os.cpu_count() or 1)
        self._whisper: Any = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=threads)

    def align(self, audio: Samples, recording: Recording) -> list[Spoken]:
        language = recording.language.split("-")[0].lower()
        if language not in LANGUAGES:
            raise InputError("unknown-language", f"Whisper does not know the language of {recording.id}, '{language}'.")
        words = [token.text for token in tokens(recording.text, language)]
        seconds = len(audio) / SAMPLE_RATE
        rough = [(0.0, seconds)] * len(words) if seconds <= WINDOW_S else self._rough(audio, words, language)
        spoken: list[Spoken] = []
        for window in windows(rough, seconds):
            spoken.extend(self._window(audio, words[window.first : window.last], window, language))
        return within_speech(spoken, _speech(audio))

    def _rough(self, audio: Samples, words: Sequence[str], language: str) -> list[tuple[float, float]]:
        segments, _ = self._whisper.transcribe(audio, language=language, beam_size=1, word_timestamps=True)
        heard: list[Any] = [word for segment in segments for word in segment.words or ()]
        pairs = matches([plain(word) for word in words], [plain(word.word) for word in heard])
        known = {a: (float(heard[b].start), float(heard[b].end)) for a, b in pairs}
        return interpolate(known, len(words), len(audio) / SAMPLE_RATE)

    def _window(self, audio: Samples, words: Sequence[str], window: _Window, language: str) -> list[Spoken]:
        from faster_whisper.tokenizer import Tokenizer

        clip = audio[round(window.start_s * SAMPLE_RATE) : round(window.end_s * SAMPLE_RATE)]
        tokenizer: Any = Tokenizer(self._whisper.hf_tokenizer, True, task="transcribe", language=language)
        space = "" if language in UNSPACED else " "
        encoded = [tokenizer.encode(space + word) for word in words]
        features: Any = self._whisper.feature_extractor(clip, padding=480_000)[:, :3000]
        output = self._whisper.encode(np.ascontiguousarray(features))
        flat = [token for word in encoded for token in word]
        frames = min(3000, round(len(clip) / SAMPLE_RATE * 100))
        result = self._whisper.model.align(output, tokenizer.sot_sequence, [flat], frames, median_filter_width=7)[0]
        begins = _begins(result.alignments, len(flat), len(clip) / SAMPLE_RATE)
        found: list[Spoken] = []
        at = 0
        for word, own in zip(words, encoded, strict=True):
            start, end = begins[at], begins[at + len(own)]
            at += len(own)
            found.append(Spoken(word, 1000 * (window.start_s + start), 1000 * (window.start_s + end)))
        return found


def _speech(audio: Samples) -> list[tuple[float, float]]:
    """Stretches of speech in ms; pauses from 100 ms on are cut out."""
    vad = require("faster_whisper.vad")
    options = vad.VadOptions(min_silence_duration_ms=100, speech_pad_ms=30)
    found: list[dict[str, int]] = vad.get_speech_timestamps(audio, options)
    return [(s["start"] * 1000 / SAMPLE_RATE, s["end"] * 1000 / SAMPLE_RATE) for s in found]


def within_speech(spoken: Sequence[Spoken], speech: Sequence[tuple[float, float]]) -> list[Spoken]:
    """Each word cut to the longest stretch of `speech` (ms) in it; one that lies in none stays as it is."""
    found: list[Spoken] = []
    for word in spoken:
        parts = [(max(word.start_ms, start), min(word.end_ms, end)) for start, end in speech]
        start, end = max(parts, key=lambda part: part[1] - part[0], default=(0.0, 0.0))
        found.append(Spoken(word.text, start, end) if end > start else word)
    return found


def _begins(alignments: Sequence[tuple[int, int]], count: int, seconds: float) -> list[float]:
    """s of the begin of each token, and of the end of the last; a frame of the alignment is 20 ms."""
    begins: dict[int, float] = {}
    for token, frame in alignments:
        begins.setdefault(token, frame * 0.02)
    found = [seconds] * (count + 1)
    for token in range(count, -1, -1):
        following = found[token + 1] if token < count else seconds
        found[token] = min(begins.get(token, following), following)
    return found


def interpolate(known: dict[int, tuple[float, float]], count: int, seconds: float) -> list[tuple[float, float]]:
    """(start, end) in s of each of `count` words; those that are not known share the time between known ones."""
    times: list[tuple[float, float]] = []
    marks = sorted(known)
    for index in range(count):
        if index in known:
            times.append(known[index])
            continue
        before = max((mark for mark in marks if mark < index), default=-1)
        after = min((mark for mark in marks if mark > index), default=count)
        begin = known[before][1] if before >= 0 else 0.0
        end = max(begin, known[after][0] if after < count else seconds)
        width = (end - begin) / (after - before - 1)
        start = begin + width * (index - before - 1)
        times.append((start, start + width))
    return times


def windows(rough: Sequence[tuple[float, float]], seconds: float) -> list[_Window]:
    """Stretches of at most WINDOW_S, cut where the longest pause of their second half is."""
    found: list[_Window] = []
    first, start = 0, 0.0
    while first < len(rough):
        last = _cut(rough, first, start, seconds)
        whole = last == len(rough)
        pause_end = seconds if whole else rough[last][0]
        cut = seconds if whole else (rough[last - 1][1] + pause_end) / 2
        found.append(_Window(first, last, max(0.0, start - MARGIN_S), min(seconds, cut + MARGIN_S)))
        first, start = last, cut
    return found


def _cut(rough: Sequence[tuple[float, float]], first: int, start: float, seconds: float) -> int:
    if seconds - start <= WINDOW_S:
        return len(rough)
    fitting = [at for at in range(first + 1, len(rough)) if rough[at - 1][1] <= start + WINDOW_S]
    late = [at for at in fitting if rough[at - 1][1] >= start + WINDOW_S / 2] or fitting or [first + 1]
    return max(late, key=lambda at: rough[at][0] - rough[at - 1][1] if at < len(rough) else 0.0)
