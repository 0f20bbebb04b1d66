"""Whisper, given only as much context as the live audio needs.

Whisper pads its input to 30 s (Radford et al. 2022, section 2.2). The encoder takes shorter spectrograms and costs
less for them, but a decoder that sees too little beyond the speech repeats itself: hence the least that a runtime
takes, the token limit that follows the seconds of audio, and one retry with more context and no prompt when a
hypothesis loops.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import (
    _LANGUAGE_CODES,  # pyright: ignore[reportPrivateUsage]
    Tokenizer,
)
from faster_whisper.transcribe import get_suppressed_tokens

from models import blas, whisper_onnx
from models.errors import InputError, TsuyakuError, UnavailableError
from models.protocols import SAMPLE_RATE, Hypothesis, IdentificationRequest, RecognitionRequest, Samples, Word
from models.whisper_runtime import (
    FRAMES_PER_SECOND,
    MAX_POSITIONS,
    Aligned,
    CTranslate2Runtime,
    Generated,
    Prompt,
    Runtime,
    Span,
    Spectrograms,
    Task,
)

FULL_CONTEXT_SECONDS = 30.0
RETRY_MORE_S = 2.0  # of silence, after a loop: enough to leave it
ECHO_TOKENS = 6  # of a passage that is written again
MAX_TOKENS_PER_SECOND = 14.0  # the fastest speech of a test set of 30 languages stays below 12
TOKEN_ALLOWANCE = 12
LANGUAGES: tuple[str, ...] = tuple(_LANGUAGE_CODES)
"""codes of all that a multilingual Whisper recognises"""
COMPRESSION_LIMIT = 2.4  # Radford et al. 2022, section 4.5
MAX_PROMPT_TOKENS = 100
MAX_HOTWORD_TOKENS = 100
CTRANSLATE2_BATCH = 4  # sessions that are heard at once; each waits for all of them


@dataclass(frozen=True, slots=True)
class Context:
    """How much the encoder sees: the audio and `padding_s` of silence, at least `floor_s`, or what a runtime needs."""

    floor_s: float = 3.0
    padding_s: float = 1.0

    def seconds(self, audio_seconds: float) -> float:
        return min(FULL_CONTEXT_SECONDS, max(self.floor_s, audio_seconds + self.padding_s))


class WhisperRecognizer:
    """Any Whisper size in CTranslate2's format. `path` is a verified folder with model.bin and its tokenizer.
    `beam_size` is the number of hypotheses that are followed at once: `None` as many as cost little, 1 for greedy
    decoding, more for CTranslate2's search, which follows all of them to their ends."""

    def __init__(
        self,
        path: Path,
        *,
        compute_type: str = "int8",
        threads: int = 1,
        device: str = "cpu",
        context: Context | None = None,
        beam_size: int | None = None,
        mark_bonus: float = whisper_onnx.MARK_BONUS,
    ) -> None:
        try:
            self._text: Any = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
        except Exception as error:  # the library raises Exception itself
            raise UnavailableError("engine-failed", f"Whisper's tokenizer could not be read: {error}") from error
        self._runtime = _runtime(path, self._text, compute_type, threads, device, beam_size, mark_bonus)
        self._features: Any = FeatureExtractor(feature_size=self._runtime.mels)
        self._context = context or Context()
        self.languages = frozenset(LANGUAGES if self._runtime.multilingual else ("en",))
        self._tokenizers: dict[str, Tokenizer] = {}
        self._hotword_tokens: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        blas.on_one_thread()

    def recognize(self, request: RecognitionRequest) -> Hypothesis:
        return self._recognize([request])[0]

    def identify(self, audio: Samples) -> Mapping[str, float]:
        return self._runtime.identify(self._encode([audio], self._seconds([audio])))

    def run(self, requests: Sequence[RecognitionRequest | IdentificationRequest]) -> list[Any]:
        """What `models.scheduler` calls: a `Hypothesis` or a probability of each language for each request. Those that
        the runtime takes together are one batch."""
        answers: dict[int, Any] = {}
        batches: dict[tuple[object, ...], dict[int, RecognitionRequest]] = {}
        try:
            for number, request in enumerate(requests):
                if isinstance(request, RecognitionRequest):
                    batches.setdefault(self._alike(request), {})[number] = request
                else:
                    answers[number] = self.identify(request.audio)
            for batch in batches.values():
                answers |= zip(batch, self._recognize(list(batch.values())), strict=True)
        except TsuyakuError:
            raise
        except Exception as error:  # runtimes raise classes of their own, derived from Exception alone
            raise UnavailableError("engine-failed", f"Whisper failed ({type(error).__name__}).") from error
        return [answers[number] for number in range(len(requests))]

    def _alike(self, request: RecognitionRequest) -> tuple[object, ...]:
        """What all prompts of a batch have in common (`Runtime.generate`)."""
        return request.language, len(self._prompt(request).before), bool(request.prefix)

    def _recognize(self, requests: Sequence[RecognitionRequest]) -> list[Hypothesis]:
        """Of requests that are alike."""
        context_s = self._seconds([request.audio for request in requests])
        decoded = self._decode(requests, context_s, echoes=True)
        found = self._hypotheses(decoded, [number for number, text in enumerate(decoded.texts) if not text.looped])
        more_s = min(FULL_CONTEXT_SECONDS, context_s + RETRY_MORE_S)
        for number, request in enumerate(requests):
            if number not in found:
                again = self._decode([replace(request, prompt=(), hotwords=())], more_s, echoes=False)
                found[number] = self._hypotheses(again, [0])[0]
        return [found[number] for number in range(len(requests))]

    def encode_text(self, text: str, language: str) -> tuple[int, ...]:
        """Tokens of `text`, to be used as a prompt."""
        return tuple(self._tokenizer(language).encode(text))

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self.languages:
            raise InputError("unknown-language", f"Whisper does not know the language '{language}'.")
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._text,
                self._runtime.multilingual,
                task="transcribe",
                language=language if self._runtime.multilingual else "en",
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

    def _prompt(self, request: RecognitionRequest) -> Prompt:
        tokenizer = self._tokenizer(request.language)
        hotwords, said = self._hotwords(tokenizer, request), request.prompt[-MAX_PROMPT_TOKENS:]
        before = (tokenizer.sot_prev, *hotwords, *said) if hotwords or said else ()
        return Prompt(before, tuple(tokenizer.sot_sequence), tokenizer.no_timestamps, request.prefix)

    def _seconds(self, pieces: Sequence[Samples]) -> float:
        """Of context, for pieces that are encoded together."""
        longest_s = max(len(audio) for audio in pieces) / SAMPLE_RATE
        return max(self._runtime.least_s, self._context.seconds(longest_s))

    def _encode(self, pieces: Sequence[Samples], context_s: float) -> Any:
        return self._runtime.encode(self._spectrograms(pieces, context_s))

    def _spectrograms(self, pieces: Sequence[Samples], context_s: float) -> Spectrograms:
        wanted = round(context_s * FRAMES_PER_SECOND)
        padded = np.empty((len(pieces), self._runtime.mels, wanted), np.float32)
        for row, audio in zip(padded, pieces, strict=True):
            features = self._features(audio, padding=0)[:, :wanted]
            row[:] = features.min()
            row[:, : features.shape[1]] = features
        return padded

    def _decode(self, requests: Sequence[RecognitionRequest], context_s: float, *, echoes: bool) -> _Decoded:
        tokenizer = self._tokenizer(requests[0].language)
        encoded = self._encode([request.audio for request in requests], context_s)
        tasks = [self._task(request, echoes=echoes) for request in requests]
        generated = self._runtime.generate(encoded, tasks, _suppressed(tokenizer))
        texts: list[_Text] = []
        for request, task, found in zip(requests, tasks, generated, strict=True):
            tokens = [token for token in found.tokens if token < tokenizer.eot]
            kept = tokens[: _loop_start(tokens)]
            looped = task.until(tokens) or _compression(tokenizer.decode(kept)) > COMPRESSION_LIMIT
            texts.append(_Text(request, task.prompt, found, kept, looped))
        return _Decoded(encoded, texts)

    def _task(self, request: RecognitionRequest, *, echoes: bool) -> Task:
        def until(tokens: Sequence[int]) -> bool:
            return _loops(tokens) or (echoes and _echoes(request.prefix, tokens))

        prompt = self._prompt(request)
        allowed = int(TOKEN_ALLOWANCE + MAX_TOKENS_PER_SECOND * len(request.audio) / SAMPLE_RATE) - len(request.prefix)
        longest = min(MAX_POSITIONS, len(prompt.tokens) + max(TOKEN_ALLOWANCE, allowed))
        return Task(prompt, longest, until, request.draft)

    def _hypotheses(self, decoded: _Decoded, numbers: Sequence[int]) -> dict[int, Hypothesis]:
        """Of the texts with these numbers."""
        texts = {number: decoded.texts[number] for number in numbers}
        spans = {number: Span(text.prompt, text.kept, text.seconds) for number, text in texts.items() if text.kept}
        aligned = self._runtime.align(decoded.encoded, spans) if spans else {}
        return {number: self._hypothesis(text, aligned.get(number, Aligned([], []))) for number, text in texts.items()}

    def _hypothesis(self, text: _Text, aligned: Aligned) -> Hypothesis:
        words = _words(self._tokenizer(text.request.language), text.kept, aligned, text.seconds)
        return Hypothesis(tuple(words), text.generated.no_speech, text.generated.mean_log_probability, text.looped)


@dataclass(frozen=True, slots=True)
class _Text:
    """What was written of a piece of audio."""

    request: RecognitionRequest
    prompt: Prompt
    generated: Generated
    kept: list[int]
    """its tokens, up to where they loop"""
    looped: bool

    @property
    def seconds(self) -> float:
        return len(self.request.audio) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A batch."""

    encoded: Any
    texts: list[_Text]


def max_batch(path: Path, *, compute_type: str, device: str, beam_size: int | None) -> int:
    """Requests that cost less together than one after the other, for a recogniser that is made with the same."""
    return 1 if _on_onnx(path, compute_type, device, beam_size) else CTRANSLATE2_BATCH


def _on_onnx(path: Path, compute_type: str, device: str, beam_size: int | None) -> bool:
    """Where it can do what is asked, which is what live recognition on a CPU asks by default."""
    return compute_type == "int8" and device == "cpu" and beam_size in (None, 1) and whisper_onnx.usable(path)


def _runtime(
    path: Path, tokenizer: Any, compute_type: str, threads: int, device: str, beam_size: int | None, mark_bonus: float
) -> Runtime:
    if _on_onnx(path, compute_type, device, beam_size):
        beams = beam_size or whisper_onnx.BEAM_SIZE
        return whisper_onnx.OnnxRuntime(path, tokenizer, threads=threads, beam_size=beams, mark_bonus=mark_bonus)
    return CTranslate2Runtime(path, compute_type=compute_type, threads=threads, device=device, beam_size=beam_size or 1)


def _words(tokenizer: Tokenizer, tokens: list[int], aligned: Aligned, seconds: float) -> list[Word]:
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    words: list[Word] = []
    at = 0
    for text, group in zip(texts[:-1], groups[:-1], strict=True):
        if "\N{REPLACEMENT CHARACTER}" in text:
            break  # a character whose last bytes have not been decoded yet
        following = at + len(group)
        start, end = min(aligned.begins[at], seconds), min(aligned.begins[following], seconds)
        words.append(Word(text, start, end, _mean(aligned.probabilities[at:following]), tuple(group)))
        at = following
    return words


def _suppressed(tokenizer: Any) -> tuple[int, ...]:
    """Symbols that are no speech, and special tokens; -1 is Whisper's name for the former."""
    suppressed: Any = get_suppressed_tokens
    return tuple(suppressed(tokenizer, [-1]))


def _loops(tokens: Sequence[int]) -> bool:
    return _loop_start(tokens) < len(tokens)


def _echoes(prefix: Sequence[int], tokens: Sequence[int]) -> bool:
    """Whether the tail is a passage that stands before it, which a person seldom says twice within one piece of audio,
    and a decoder that does not find the end often does."""
    if len(tokens) < ECHO_TOKENS:
        return False
    written, tail = [*prefix, *tokens], [*tokens[-ECHO_TOKENS:]]
    return any(written[at : at + ECHO_TOKENS] == tail for at in range(len(written) - 2 * ECHO_TOKENS + 1))


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
