"""What runs Whisper's network: the protocol that `models.whisper` stands on, and CTranslate2 behind it.

CTranslate2 runs on every device, in every precision and with beams. `models.whisper_onnx` is the other runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

from models.errors import UnavailableError
from models.whisper_alignment import MEDIAN_WIDTH

FRAMES_PER_SECOND = 100  # of the spectrogram; the encoder halves it
MAX_POSITIONS = 448  # of the decoder: prompt, prefix and new tokens together

Spectrograms = NDArray[np.float32]
"""(pieces, mels, frames), logarithmic, as Whisper was trained on"""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the decoder goes on from, in tokens."""

    before: tuple[int, ...]
    """what was said before the audio, with the token that says so"""
    start: tuple[int, ...]
    """start of transcript, language, task"""
    no_timestamps: int
    prefix: tuple[int, ...]
    """certain of the audio"""

    @property
    def tokens(self) -> list[int]:
        return [*self.before, *self.start, self.no_timestamps, *self.prefix]


@dataclass(frozen=True, slots=True)
class Generated:
    tokens: list[int]
    """new ones only, the end of text left out"""
    mean_log_probability: float
    no_speech: float


@dataclass(frozen=True, slots=True)
class Aligned:
    """Of the tokens that were asked about."""

    begins: list[float]
    """s, of each token, and the end of the last"""
    probabilities: list[float]


Until = Callable[[Sequence[int]], bool]
"""of the new tokens so far: whether it is useless to go on"""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be written of one piece of audio."""

    prompt: Prompt
    length: int
    """of prompt and new tokens together, at most"""
    until: Until
    draft: tuple[int, ...] = ()
    """tokens that the text probably begins with, to be verified instead of written where the runtime can"""


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens that follow a prompt, to be found in audio that lasts `seconds`."""

    prompt: Prompt
    tokens: Sequence[int]
    seconds: float


class Runtime(Protocol):
    """`encoded` is whatever `encode` returned of some pieces of audio."""

    mels: int
    """of a spectrogram"""
    least_s: float
    """of a spectrogram, speech and silence, without which a decoder repeats itself"""
    multilingual: bool

    def encode(self, features: Spectrograms) -> Any: ...

    def generate(self, encoded: Any, tasks: Sequence[Task], suppressed: Sequence[int]) -> list[Generated]:
        """Of each piece, greedily or by beam, up to the length of its task, or its `until`, where the runtime can be
        stopped. All prompts have as many tokens before their audio and the same start, and all or none a prefix."""
        ...

    def align(self, encoded: Any, spans: Mapping[int, Span]) -> dict[int, Aligned]:
        """When the tokens of each span were said in the piece of that index. What was said before the audio is left
        out: it would make every word look likely."""
        ...

    def identify(self, encoded: Any) -> Mapping[str, float]:
        """Probability of each language, by its code, for the first piece."""
        ...


class CTranslate2Runtime:
    least_s = 6.0

    def __init__(self, path: Path, *, compute_type: str, threads: int, device: str, beam_size: int) -> None:
        try:
            whisper: Any = WhisperModel(
                str(path), device=device, compute_type=compute_type, cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, ValueError) as error:
            raise UnavailableError("engine-failed", f"Whisper could not be loaded: {error}") from error
        self._model = whisper.model
        self.mels = int(self._model.n_mels)
        self.multilingual = bool(self._model.is_multilingual)
        self._beam_size = beam_size

    def encode(self, features: Spectrograms) -> Any:
        return self._model.encode(cast("Any", ctranslate2.StorageView.from_array(features)))

    def generate(self, encoded: Any, tasks: Sequence[Task], suppressed: Sequence[int]) -> list[Generated]:
        results = self._model.generate(
            encoded,
            [task.prompt.tokens for task in tasks],
            beam_size=self._beam_size,
            max_length=max(task.length for task in tasks),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=not tasks[0].prompt.prefix,
            suppress_tokens=list(suppressed),
        )
        return [_generated(result, task) for result, task in zip(results, tasks, strict=True)]

    def align(self, encoded: Any, spans: Mapping[int, Span]) -> dict[int, Aligned]:
        pieces = range(encoded.shape[0])
        unasked = Span(next(iter(spans.values())).prompt, [0], encoded.shape[1] * 2 / FRAMES_PER_SECOND)
        asked = [spans.get(piece, unasked) for piece in pieces]
        results = self._model.align(
            encoded,
            list(unasked.prompt.start),
            [[*span.prompt.prefix, *span.tokens] for span in asked],
            [round(span.seconds * FRAMES_PER_SECOND) for span in asked],
            median_filter_width=MEDIAN_WIDTH,
        )
        return {piece: _aligned(results[piece], span) for piece, span in spans.items()}

    def identify(self, encoded: Any) -> Mapping[str, float]:
        found: list[tuple[str, float]] = self._model.detect_language(encoded)[0]
        return {token[2:-2]: probability for token, probability in found}


def _generated(result: Any, task: Task) -> Generated:
    prefix = task.prompt.prefix
    sequence: list[int] = result.sequences_ids[0]
    repeats_prefix = tuple(sequence[: len(prefix)]) == prefix
    tokens = sequence[len(prefix) :] if repeats_prefix else sequence
    room = task.length - len(task.prompt.tokens)  # in a batch another task may have more
    return Generated(tokens[:room], float(result.scores[0]), float(result.no_speech_prob))


def _aligned(result: Any, span: Span) -> Aligned:
    at, count = len(span.prompt.prefix), len(span.tokens)
    begins = _token_times(result.alignments, at + count)
    return Aligned(begins[at:], result.text_token_probs[at : at + count])


def _token_times(alignments: Sequence[tuple[int, int]], count: int) -> list[float]:
    """Begin of each of `count` tokens and the end of the last, in s, from (token, encoder frame) pairs."""
    seconds = 2 / FRAMES_PER_SECOND
    begins = [-1.0] * (count + 1)
    for token, frame in alignments:
        if token <= count and begins[token] < 0:
            begins[token] = frame * seconds
    last = alignments[-1][1] * seconds if alignments else 0.0
    for index in range(count, -1, -1):
        if begins[index] < 0:
            begins[index] = last if index == count else begins[index + 1]
    return begins
