"""Firefox Translations' network, decoded so that it goes on from text which is already shown.

What is committed of a translation stands. A decoder that is given it as the beginning of its own text writes what fits:
nothing twice, nothing left out, in the gender and number that were begun. `fxtranslate` cannot be given a beginning,
hence this decoder; without one both write the same (tests/real/test_marian.py). The model was trained with guided
alignment (Chen et al. 2016): the first head of its last layer says which source word a target word renders.

The network is Marian's "tiny" one: a transformer as encoder, SSRUs as decoder (Kim et al. 2019), in 32 bits here and on
one thread, since its matrices are small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from models import blas
from models.marian_weights import Floats, MarianWeights, Shortlist, read
from models.protocols import TargetPiece, TargetText
from models.scripts import UNSPACED

_REQUIRED = {
    "type": "transformer",
    "dec-cell": "ssru",
    "transformer-decoder-autoreg": "rnn",
    "tied-embeddings-all": "true",
    "transformer-preprocess": "",
    "transformer-postprocess": "dan",
    "transformer-postprocess-top": "",
    "transformer-ffn-depth": "2",
    "transformer-ffn-activation": "relu",
}
_EPSILON = 1e-6
_LONGEST = 3  # target pieces for each source piece, and some more: beyond it the decoder has lost its way
_MORE = 20


class MarianTranslator:
    """One direct pair, whose languages share a vocabulary. For one thread only."""

    def __init__(self, model: bytes, vocabulary: bytes, shortlist: bytes) -> None:
        """Raises `ValueError` where the model is of another architecture or damaged."""
        weights = read(model)
        for name, wanted in _REQUIRED.items():
            if (found := weights.settings.get(name)) != wanted:
                raise ValueError(f"{name} is {found!r} instead of {wanted!r}")
        processor: Any = sentencepiece
        self._pieces = processor.SentencePieceProcessor(model_proto=vocabulary)
        self._shortlist = Shortlist.read(shortlist)
        self._network = _Network(weights)
        self._end = int(self._pieces.eos_id())
        words = [self._pieces.id_to_piece(index) for index in range(self._pieces.get_piece_size())]
        self._within = np.array([piece[:1].isalnum() and not UNSPACED.match(piece) for piece in words])
        """pieces that would go on within a word"""
        blas.on_one_thread()

    def translate(self, source: str, committed: str = "") -> TargetText:
        """The whole target, which begins with `committed`, and where each piece of what follows it comes from."""
        encoded = self._pieces.encode(source, return_type="offset_mapping")
        begins = [begin for begin, _ in encoded["offsets"]] + [len(source)]
        fed = [*encoded["ids"], self._end]
        candidates = self._shortlist.candidates(fed)
        prefix: list[int] = self._pieces.encode(committed)
        decoding = _Decoding(self._network, fed, candidates)
        scores, aligned = decoding.begin(prefix)
        if prefix:
            scores[self._within[candidates]] = -np.inf  # a word that was committed is whole
        target = list(prefix)
        shown = len(self._pieces.decode(prefix))
        found: list[TargetPiece] = []
        text = ""
        while len(target) < _LONGEST * len(fed) + _MORE:
            best = int(scores.argmax())
            if candidates[best] == self._end:
                break
            target.append(int(candidates[best]))
            text = self._pieces.decode(target)[shown:]
            found.append(TargetPiece(len(committed) + len(text), begins[aligned], _chance(scores, best)))
            scores, aligned = decoding.go_on(target[-1])
        return TargetText(committed + text, tuple(found))


def _chance(scores: Floats, best: int) -> float:
    return float(1 / np.exp(scores - scores[best]).sum())


class _Decoding:
    """One source being rendered."""

    def __init__(self, network: _Network, source: Sequence[int], candidates: NDArray[np.int64]) -> None:
        self._network = network
        self._heard = network.encode(source)
        self._state = network.silence()
        self._vectors, self._biases = network.output(candidates)
        self._length = 0

    def begin(self, prefix: Sequence[int]) -> tuple[Floats, int]:
        """Scores of the candidates for what follows `prefix`, and the source position that it renders."""
        nothing = np.zeros((1, self._network.width), np.float32)
        return self._feed(np.concatenate([nothing, self._network.embed(prefix)]))

    def go_on(self, piece: int) -> tuple[Floats, int]:
        return self._feed(self._network.embed([piece]))

    def _feed(self, embedded: Floats) -> tuple[Floats, int]:
        placed = embedded + self._network.positions(self._length, len(embedded))
        self._length += len(embedded)
        last, aligned = self._network.decode(placed, self._heard, self._state)
        return last @ self._vectors + self._biases, aligned


_Heard = list[tuple[Floats, Floats]]
"""keys and values of the source, (heads, positions, width of a head), for each layer of the decoder"""


class _Network:
    def __init__(self, weights: MarianWeights) -> None:
        self._arrays = weights.arrays
        self._heads = int(weights.settings["transformer-heads"])
        self._encoder = [f"encoder_l{layer + 1}" for layer in range(int(weights.settings["enc-depth"]))]
        self._decoder = [f"decoder_l{layer + 1}" for layer in range(int(weights.settings["dec-depth"]))]
        self.width = int(weights.settings["dim-emb"])
        self._frequencies = np.exp(np.arange(self.width // 2) * -np.log(10_000) / (self.width // 2 - 1))

    def embed(self, pieces: Sequence[int]) -> Floats:
        return self._arrays["Wemb"][list(pieces)] * np.float32(np.sqrt(self.width))

    def positions(self, first: int, count: int) -> Floats:
        angles = np.arange(first, first + count)[:, None] * self._frequencies
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

    def output(self, candidates: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Vectors (width, candidates) and biases."""
        vectors = np.ascontiguousarray(self._arrays["Wemb"][candidates].T)
        return vectors, self._arrays["decoder_ff_logit_out_b"][0, candidates]

    def silence(self) -> list[Floats]:
        """The decoder's state before its first word."""
        return [np.zeros(self.width, np.float32) for _ in self._decoder]

    def encode(self, source: Sequence[int]) -> _Heard:
        x = self.embed(source) + self.positions(0, len(source))
        for layer in self._encoder:
            attended, _ = self._attend(f"{layer}_self", x, self._memory(f"{layer}_self", x))
            x = self._feed_forward(layer, self._normal(f"{layer}_self_Wo_ln", x + attended))
        return [self._memory(f"{layer}_context", x) for layer in self._decoder]

    def decode(self, x: Floats, heard: _Heard, state: list[Floats]) -> tuple[Floats, int]:
        """The last row's output, and the source position that it attends to most. Advances `state`."""
        attention: Floats = np.zeros((self._heads, len(x), 1), np.float32)
        for number, layer in enumerate(self._decoder):
            recurrent = self._recur(layer, x, state, number)
            x = self._normal(f"{layer}_rnn_ffn_ln", x + recurrent)
            attended, attention = self._attend(f"{layer}_context", x, heard[number])
            x = self._feed_forward(layer, self._normal(f"{layer}_context_Wo_ln", x + attended))
        return x[-1], int(attention[0, -1].argmax())

    def _recur(self, layer: str, x: Floats, state: list[Floats], number: int) -> Floats:
        """The SSRU: a forget gate and no other product with the state."""
        arrays = self._arrays
        kept = 1 / (1 + np.exp(-(x @ arrays[f"{layer}_rnn_Wf"] + arrays[f"{layer}_rnn_bf"])))
        added = (1 - kept) * (x @ arrays[f"{layer}_rnn_W"])
        states = np.empty_like(x)
        for row in range(len(x)):
            states[row] = state[number] = kept[row] * state[number] + added[row]
        return np.maximum(states, np.float32(0))

    def _memory(self, name: str, x: Floats) -> tuple[Floats, Floats]:
        return self._split(self._linear(name, "k", x)), self._split(self._linear(name, "v", x))

    def _attend(self, name: str, x: Floats, memory: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """What is attended to, and how much each head attends to what: (heads, rows, positions)."""
        keys, values = memory
        scores = self._split(self._linear(name, "q", x)) @ keys.transpose(0, 2, 1)
        scores *= np.float32(np.sqrt(self._heads / self.width))
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        joined = (weights @ values).transpose(1, 0, 2).reshape(x.shape)
        return self._linear(name, "o", joined), weights

    def _feed_forward(self, layer: str, x: Floats) -> Floats:
        arrays = self._arrays
        inner = np.maximum(x @ arrays[f"{layer}_ffn_W1"] + arrays[f"{layer}_ffn_b1"], np.float32(0))
        outer: Floats = inner @ arrays[f"{layer}_ffn_W2"] + arrays[f"{layer}_ffn_b2"]
        return self._normal(f"{layer}_ffn_ffn_ln", x + outer)

    def _linear(self, name: str, which: str, x: Floats) -> Floats:
        return x @ self._arrays[f"{name}_W{which}"] + self._arrays[f"{name}_b{which}"]

    def _normal(self, name: str, x: Floats) -> Floats:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        deviation = np.sqrt(variance + _EPSILON).astype(np.float32)
        return centred / deviation * self._arrays[f"{name}_scale"] + self._arrays[f"{name}_bias"]

    def _split(self, x: Floats) -> Floats:
        """(rows, width) into (heads, rows, width of a head)."""
        return x.reshape(len(x), self._heads, -1).transpose(1, 0, 2)
