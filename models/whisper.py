"""Whisper through CTranslate2 (faster-whisper), given only as much context as the live audio needs.

Whisper pads its input to 30 s (Radford et al. 2022, section 2.2). The encoder takes shorter spectrograms and costs
less for them, but a decoder that sees too little beyond the speech repeats itself: hence the floor below, the token
limit that follows the seconds of audio, and one retry with more context and no prompt when a hypothesis loops.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from models.errors import InputError, UnavailableError
from models.protocols import SAMPLE_RATE, Hypothesis, RecognitionRequest, Samples, Word

FULL_CONTEXT_SECONDS = 30.0
RETRY_FACTOR = 2.0  # of the context, after a loop: enough to leave it, a third of the cost of the full context
MAX_POSITIONS = 448  # of the decoder: prompt, prefix and new tokens together
FRAMES_PER_SECOND = 100  # of the spectrogram; the encoder halves it
MAX_TOKENS_PER_SECOND = 14.0  # the fastest speech of a test set of 30 languages stays below 12
TOKEN_ALLOWANCE = 12
COMPRESSION_LIMIT = 2.4  # Radford et al. 2022, section 4.5
MAX_PROMPT_TOKENS = 100
MAX_HOTWORD_TOKENS = 100


@dataclass(frozen=True, slots=True)
class Context:
    """How much the encoder sees: the audio and `padding_s` of silence, at least `floor_s`."""

    floor_s: float = 6.0
    padding_s: float = 1.0

    def seconds(self, audio_seconds: float) -> float:
        return min(FULL_CONTEXT_SECONDS, max(self.floor_s, audio_seconds + self.padding_s))


class WhisperRecognizer:
    """Any Whisper size in CTranslate2's format. `path` is a verified folder with model.bin and its tokenizer."""

    def __init__(
        self,
        path: Path,
        *,
        compute_type: str = "int8",
        threads: int = 1,
        device: str = "cpu",
        context: Context | None = None,
        beam_size: int = 1,
    ) -> None:
        try:
            self._whisper: Any = WhisperModel(
                str(path), device=device, compute_type=compute_type, cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, ValueError) as error:
            raise UnavailableError("engine-failed", f"Whisper could not be loaded: {error}") from error
        self._context = context or Context()
        self._beam_size = beam_size
        self.languages = frozenset(self._whisper.supported_languages)
        self._tokenizers: dict[str, Tokenizer] = {}
        self._hotword_tokens: dict[tuple[str, tuple[str, ...]], list[int]] = {}

    def recognize(self, request: RecognitionRequest) -> Hypothesis:
        seconds = len(request.audio) / SAMPLE_RATE
        first = self._decode(request, self._context.seconds(seconds))
        if not first.looped:
            return first
        more_s = min(FULL_CONTEXT_SECONDS, RETRY_FACTOR * self._context.seconds(seconds))
        return self._decode(replace(request, prompt=(), hotwords=()), more_s)

    def run(self, requests: Sequence[RecognitionRequest]) -> list[Hypothesis]:
        """What `models.scheduler` calls."""
        return [self.recognize(request) for request in requests]

    def identify(self, audio: Samples) -> Mapping[str, float]:
        encoded = self._encode(audio, self._context.seconds(len(audio) / SAMPLE_RATE))
        found: list[tuple[str, float]] = self._whisper.model.detect_language(encoded)[0]
        return {token[2:-2]: probability for token, probability in found}

    def encode_text(self, text: str, language: str) -> tuple[int, ...]:
        """Tokens of `text`, to be used as a prompt."""
        return tuple(self._tokenizer(language).encode(text))

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self.languages:
            raise InputError("unknown-language", f"Whisper does not know the language '{language}'.")
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._whisper.hf_tokenizer,
                self._whisper.model.is_multilingual,
                task="transcribe",
                language=language if self._whisper.model.is_multilingual else "en",
            )
        return self._tokenizers[language]

    def _hotwords(self, tokenizer: Tokenizer, request: RecognitionRequest) -> list[int]:
        """Tokens of as many of the terms as a prompt has room for beside what was said before."""
        key = request.language, request.hotwords
        if key not in self._hotword_tokens:
            tokens: list[int] = []
            for number, term in enumerate(request.hotwords):
                term_tokens = tokenizer.encode((", " if number else " ") + term)
                if len(tokens) + len(term_tokens) > MAX_HOTWORD_TOKENS:
                    break
                tokens += term_tokens
            self._hotword_tokens = {key: tokens}
        return self._hotword_tokens[key]

    def _encode(self, audio: Samples, context_s: float) -> Any:
        wanted = round(context_s * FRAMES_PER_SECOND)
        features = self._whisper.feature_extractor(audio, padding=0)[:, :wanted]
        padded = np.full((features.shape[0], wanted), features.min(), np.float32)
        padded[:, : features.shape[1]] = features
        storage = cast("Any", ctranslate2.StorageView.from_array(np.ascontiguousarray(padded[np.newaxis])))
        return self._whisper.model.encode(storage)

    def _decode(self, request: RecognitionRequest, context_s: float) -> Hypothesis:
        tokenizer = self._tokenizer(request.language)
        seconds = len(request.audio) / SAMPLE_RATE
        encoded = self._encode(request.audio, context_s)
        prompt = _prompt(tokenizer, request, self._hotwords(tokenizer, request))
        allowed = int(TOKEN_ALLOWANCE + MAX_TOKENS_PER_SECOND * seconds) - len(request.prefix)
        result = self._whisper.model.generate(
            encoded,
            [prompt],
            beam_size=self._beam_size,
            max_length=min(MAX_POSITIONS, len(prompt) + max(TOKEN_ALLOWANCE, allowed)),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=not request.prefix,
            suppress_tokens=list(_suppressed(tokenizer)),
        )[0]
        tokens = _continuation(result.sequences_ids[0], request.prefix, tokenizer.eot)
        kept = tokens[: _loop_start(tokens)]
        text = tokenizer.decode(kept)
        looped = len(kept) < len(tokens) or _compression(text) > COMPRESSION_LIMIT
        words = self._words(tokenizer, encoded, request, kept, seconds)
        return Hypothesis(tuple(words), float(result.no_speech_prob), float(result.scores[0]), looped)

    def _words(
        self, tokenizer: Tokenizer, encoded: Any, request: RecognitionRequest, tokens: list[int], seconds: float
    ) -> list[Word]:
        if not tokens:
            return []
        everything = [*request.prefix, *tokens]
        alignment = self._whisper.model.align(
            encoded, tokenizer.sot_sequence, [everything], round(seconds * FRAMES_PER_SECOND), median_filter_width=7
        )[0]
        times = _token_times(alignment.alignments, len(everything))
        texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
        words: list[Word] = []
        at = len(request.prefix)
        for text, group in zip(texts[:-1], groups[:-1], strict=True):
            if "\N{REPLACEMENT CHARACTER}" in text:
                break  # a character whose last bytes have not been decoded yet
            probability = _mean(alignment.text_token_probs[at : at + len(group)])
            words.append(
                Word(text, min(times[at], seconds), min(times[at + len(group)], seconds), probability, tuple(group))
            )
            at += len(group)
        return words


def _prompt(tokenizer: Tokenizer, request: RecognitionRequest, hotwords: list[int]) -> list[int]:
    said = request.prompt[-MAX_PROMPT_TOKENS:]
    before = [tokenizer.sot_prev, *hotwords, *said] if hotwords or said else []
    return [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps, *request.prefix]


def _suppressed(tokenizer: Any) -> tuple[int, ...]:
    """Symbols that are no speech, and special tokens; -1 is Whisper's name for the former."""
    suppressed: Any = get_suppressed_tokens
    return tuple(suppressed(tokenizer, [-1]))


def _continuation(sequence: list[int], prefix: Sequence[int], end: int) -> list[int]:
    """What was generated, without the prefix that CTranslate2 repeats and without special tokens."""
    body = sequence[len(prefix) :] if tuple(sequence[: len(prefix)]) == tuple(prefix) else sequence
    return [token for token in body if token < end]


def _loop_start(tokens: Sequence[int]) -> int:
    """Where the tail begins to repeat itself, after its first occurrence; the length where it does not."""
    count = len(tokens)
    for size in range(1, count // 3 + 1):
        repeats = 1
        while (
            count - (repeats + 1) * size >= 0
            and tokens[count - (repeats + 1) * size : count - repeats * size] == tokens[count - size :]
        ):
            repeats += 1
        if repeats >= 3 and repeats * size >= 6:
            return count - (repeats - 1) * size
    return count


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _compression(text: str) -> float:
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


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
