"""Whisper on ONNX Runtime: the runtime of incremental recognition on a CPU.

A pass over live audio primes the decoder with what is committed and generates a few words more. CTranslate2 feeds such
a prefix token by token; here it goes through at once: the same network at two thirds of the cost (docs/performance.md).
The last committed word, and what the pass before left open, go through with it as a draft (speculative decoding:
Leviathan et al. 2023): what the decoder would have written itself is not written again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import whisper_weights
from models.beam_search import search
from models.errors import UnavailableError
from models.onnx_session import ONNX_ERRORS, kept_session
from models.whisper_alignment import first_frames
from models.whisper_runtime import FRAMES_PER_SECOND, Aligned, Generated, Prompt, Span, Spectrograms, Task
from models.whisper_weights import Floats

LARGEST = 600_000_000  # bytes of weights, as stored, that are worth a second copy: up to Whisper small
MULTILINGUAL_VOCABULARY = 51_865
MARKS = ",.?!:;、。，？！،؟।"
MARK_BONUS = 0.9  # in log odds, where what is gone on from has fewer marks than usual: a decoder goes on in the manner
# in which its text began
USUAL_MARKS = 0.07  # of the tokens: transcripts in five languages have 0.05 to 0.08
RECENT_TOKENS = 40  # of which the marks are counted: two or three clauses
BEAM_SIZE = 5  # as faster-whisper's; most of the time the decoder is sure, and one hypothesis is followed
DECODER_THREADS = 1  # a second one makes a pass a tenth dearer and hardly any shorter
GRAPH_VERSION = 6  # of what `models.whisper_graph` makes

Encoded = dict[str, Floats]
"""of one piece of audio"""


class OnnxRuntime:
    """Decoding in 8 bits. `path` is a folder with CTranslate2's model.bin; raises `UnavailableError`."""

    least_s = 0.0  # the encoder adds what stands for the silence up to 30 s

    def __init__(
        self, path: Path, tokenizer: Any, *, threads: int, beam_size: int = BEAM_SIZE, mark_bonus: float = MARK_BONUS
    ) -> None:
        weights = whisper_weights.read(path)
        self._blank = list(weights.config.suppress_ids_begin)
        self._eot = int(tokenizer.token_to_id("<|endoftext|>"))
        self._sot = int(tokenizer.token_to_id("<|startoftranscript|>"))
        self._no_speech = int(tokenizer.token_to_id("<|nospeech|>") or tokenizer.token_to_id("<|nocaptions|>"))
        self._languages = {token: tokenizer.id_to_token(token)[2:-2] for token in weights.config.lang_ids}
        self._beam_size = beam_size
        self._mark_bonus = mark_bonus
        self._marks = [
            ids[0] for ids in (tokenizer.encode(mark, add_special_tokens=False).ids for mark in MARKS) if len(ids) == 1
        ]
        self.mels = weights.arrays["encoder/conv1/weight"].shape[1]
        self.multilingual = weights.arrays["decoder/embeddings/weight"].shape[0] >= MULTILINGUAL_VOCABULARY
        self._encoder = _session(path, "encoder", weights, threads)
        self._decoder = _session(path, "decoder", weights, DECODER_THREADS)
        heads, width = weights.heads("decoder"), weights.arrays["decoder/layer_norm/gamma"].shape[0]
        nothing = np.zeros((1, heads, 0, width // heads), np.float32)
        names = [f"{kind}_{layer}" for layer in range(weights.layers("decoder")) for kind in ("keys", "values")]
        self._begin = {f"past_{name}": nothing for name in names}

    def encode(self, features: Spectrograms) -> list[Encoded]:
        names = [output.name for output in self._encoder.get_outputs()]
        return [dict(zip(names, self._encoder.run(names, {"features": piece}), strict=True)) for piece in features]

    def generate(self, encoded: list[Encoded], tasks: Sequence[Task], suppressed: Sequence[int]) -> list[Generated]:
        return [self._write(piece, task, suppressed) for piece, task in zip(encoded, tasks, strict=True)]

    def align(self, encoded: list[Encoded], spans: Mapping[int, Span]) -> dict[int, Aligned]:
        return {piece: self._find(encoded[piece], span) for piece, span in spans.items()}

    def identify(self, encoded: list[Encoded]) -> Mapping[str, float]:
        logits = _Step(self._decoder, encoded[0] | self._begin).feed([[self._sot]], [0])[0, 0]
        chances = _softmax(logits[list(self._languages)])
        return dict(zip(self._languages.values(), map(float, chances), strict=True))

    def _write(self, encoded: Encoded, task: Task, suppressed: Sequence[int]) -> Generated:
        prompt = task.prompt
        fed = prompt.tokens
        longest = task.length - len(fed)
        step = _Step(self._decoder, encoded | self._begin)
        first, last = step.begin(fed, [len(prompt.before), len(fed) - 1], task.draft[:longest])
        no_speech = float(_softmax(first)[self._no_speech])
        banned = np.array([*suppressed, *range(self._eot + 1, len(last))])
        if not prompt.prefix:
            last[self._blank] = -np.inf
        bonus = self._bonus(prompt)

        def scores(logits: Floats) -> Floats:
            logits[:, banned] = -np.inf
            logits[:, self._marks] += bonus
            return _log_softmax(logits)

        def go_on(parents: Sequence[int], tokens: Sequence[int]) -> Floats:
            return scores(step.go_on(parents, tokens))

        found = search(
            scores(last[np.newaxis]), go_on, end=self._eot, width=self._beam_size, longest=longest, until=task.until
        )
        return Generated(found.tokens, found.mean, no_speech)

    def _bonus(self, prompt: Prompt) -> float:
        """What is added to the log odds of marks: nothing where a text begins, or where it has as many as usual."""
        if not prompt.prefix:
            return 0.0
        recent = [*prompt.before, *prompt.prefix][-RECENT_TOKENS:]
        marks = sum(token in self._marks for token in recent)
        return self._mark_bonus if marks < USUAL_MARKS * len(recent) else 0.0

    def _find(self, encoded: Encoded, span: Span) -> Aligned:
        prompt, tokens = span.prompt, span.tokens
        frames = max(1, round(span.seconds * FRAMES_PER_SECOND / 2))
        before = len(prompt.start)
        fed = [*prompt.start, prompt.no_timestamps, *prompt.prefix, *tokens, self._eot]
        first = before + len(prompt.prefix)  # the row that predicts the first of `tokens`
        step = _Step(self._decoder, encoded | self._begin)
        logits = step.feed([fed], range(first, first + len(tokens)))[0, :, : self._eot]
        chances = np.exp(_log_softmax(logits)[range(len(tokens)), tokens]).tolist()
        begins = first_frames(step.attention[0, :, :, :frames], before, len(fed) - 1)[len(prompt.prefix) :]
        return Aligned([frame * 2 / FRAMES_PER_SECOND for frame in begins], chances)


class _Step:
    """The decoder on one piece of audio, of which it writes several texts at once: what it was fed stays with it."""

    def __init__(self, decoder: Any, inputs: dict[str, Any]) -> None:
        self._decoder = decoder
        self._inputs = inputs
        self._past = [name for name in inputs if name.startswith("past_")]
        self.attention: Floats = np.zeros((0, 0, 0, 0), np.float32)
        """(texts, heads, tokens, frames) of what was fed last, before its softmax"""
        self._texts = 1
        self._draft: deque[tuple[int, Floats]] = deque()
        """tokens that were fed, but not yet asked for, and what follows each"""

    def begin(self, tokens: Sequence[int], rows: Sequence[int], draft: Sequence[int]) -> Floats:
        """Logits (rows, vocabulary), as `feed` of one text gives them. `draft` is how it probably goes on."""
        logits = self.feed([[*tokens, *draft]], [*rows, *range(len(tokens), len(tokens) + len(draft))])[0]
        self._draft.extend(zip(draft, logits[len(rows) :], strict=True))
        return logits[: len(rows)]

    def go_on(self, texts: Sequence[int], tokens: Sequence[int]) -> Floats:
        """Logits (texts, vocabulary) after these texts, by their indices, were given a token each."""
        if self._draft and [self._draft[0][0]] == list(tokens):
            return self._draft.popleft()[1][np.newaxis]
        self._drop_draft()
        self.choose(texts)
        return self.feed([[token] for token in tokens], [0])[:, 0]

    def feed(self, tokens: Sequence[Sequence[int]], rows: Sequence[int]) -> Floats:
        """Logits (texts, rows, vocabulary) of what follows those of `tokens` at `rows`; so many for each text."""
        self._texts = len(tokens)
        self._inputs |= {"tokens": np.array(tokens, np.int64), "rows": np.array(rows, np.int64)}
        logits, self.attention, *state = self._decoder.run(None, self._inputs)
        self._inputs |= dict(zip(self._past, state, strict=True))
        return logits

    def _drop_draft(self) -> None:
        if self._draft:
            wrong = len(self._draft)
            self._inputs |= {name: np.ascontiguousarray(self._inputs[name][:, :, :-wrong]) for name in self._past}
            self._draft.clear()

    def choose(self, texts: Sequence[int]) -> None:
        """Go on with these texts, by their indices: some several times, others never again."""
        if list(texts) != list(range(self._texts)):
            self._inputs |= {name: self._inputs[name].take(texts, axis=0) for name in self._past}


def usable(path: Path) -> bool:
    """Whether the model is of a size for this runtime."""
    weights = path / "model.bin"
    return weights.is_file() and weights.stat().st_size <= LARGEST


def _session(path: Path, part: str, weights: whisper_weights.WhisperWeights, threads: int) -> Any:
    def make() -> bytes:
        from models import whisper_graph

        return {"encoder": whisper_graph.encoder, "decoder": whisper_graph.decoder}[part](weights)

    try:
        return kept_session(path / part, GRAPH_VERSION, make, threads)
    except ONNX_ERRORS as error:
        raise UnavailableError("engine-failed", f"Whisper could not be loaded: {error}") from error


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _log_softmax(logits: Floats) -> Floats:
    """Of each row."""
    most = logits.max(-1, keepdims=True)
    return logits - most - np.log(np.exp(logits - most).sum(-1, keepdims=True))
