"""Whisper as two ONNX graphs made of its weights (architecture: Radford et al. 2022), for incremental recognition.

    encoder   spectrogram ─▶ keys and values of every decoder layer's cross-attention
    decoder   tokens, keys and values of the tokens before ─▶ logits, attention to the audio, keys and values

The decoder takes any number of tokens at once: a prompt of thirty costs little more than one token.

Whisper was trained on 30 s, filled with silence, and its encoder keeps something of the speech in the silent frames:
without them it encodes the rest otherwise (docs/performance.md). Here every tenth of them stands for ten, so that they
cost a tenth. A frame that stands for n weighs as much in attention as n that are alike: the logarithm of n is added to
its score.

Linear layers multiply in 8 bits. Each row of activations is scaled by itself, since a few frames are far louder than
the rest, and weights use seven bits, scaled per output: x86 without VNNI adds two products in 16 bits and would
saturate. Between layers activations are (rows, width), the frames or tokens of all texts one below the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.whisper_weights import Floats, WhisperWeights

OPSET = 17
IR_VERSION = 9
EPSILON = 1e-5  # of layer normalisation
MIDDLE = np.array(128, np.uint8)  # what stands for zero
SMALLEST = 1e-12  # scale, of weights that are all zero
SILENT_STEP = 10  # frames that one of the silent ones stands for
SETTLED = 3  # frames of silence until the convolutions hear nothing else, and one that they hear beyond its end


@dataclass(frozen=True, slots=True)
class _Layer:
    """A linear one: weights (out, in) and biases (out,)."""

    weight: Floats
    bias: Floats

    def times(self, *factors: float) -> _Layer:
        """Equal parts of what it gives, times these."""
        each = np.repeat(np.array(factors, np.float32), len(self.bias) // len(factors))
        return _Layer(self.weight * each[:, np.newaxis], self.bias * each)

    def cut(self, count: int) -> list[_Layer]:
        weights, biases = np.split(self.weight, count), np.split(self.bias, count)
        return [_Layer(*both) for both in zip(weights, biases, strict=True)]


@dataclass(frozen=True, slots=True)
class _Rows:
    """(rows, width) in 8 bits: each row is its levels, less what stands for zero, times its step."""

    levels: str
    steps: str


@dataclass(slots=True)
class _Graph:
    weights: WhisperWeights
    heads: int = 1
    by_head: str = ""
    """(b, n, heads, width of a head), a shape: that of b texts of n rows"""
    nodes: list[Any] = field(default_factory=list[Any])
    constants: dict[str, NDArray[Any]] = field(default_factory=dict[str, "NDArray[Any]"])

    @property
    def width(self) -> int:
        return len(self.weights.arrays["decoder/layer_norm/gamma"])

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        return self.split(op, *inputs, outputs=1, **attributes)[0]

    def split(self, op: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> list[str]:
        names = [f"{op}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, domain=domain, **attributes))
        return names

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = value
        return name

    def numbers(self, *values: int) -> str:
        return self.constant(f"ints_{'_'.join(map(str, values))}", np.array(values, np.int64))

    def between(self, first: int, end: int) -> tuple[str, str, str]:
        """What `Slice` takes them by."""
        return self.numbers(first), self.numbers(end), self.numbers(0)

    def repeated(self, value: float, count: str) -> str:
        filled = numpy_helper.from_array(np.full(1, value, np.float32))
        return self.node("ConstantOfShape", count, value=filled)

    def scalar(self, value: float) -> str:
        return self.constant(f"float_{value}", np.array(value, np.float32))

    def attend(self, heads: int, texts: str) -> None:
        """From now on by so many heads; `texts` is the shape (b, n)."""
        self.heads = heads
        self.by_head = self.node("Concat", texts, self.numbers(heads, self.width // heads), axis=0)

    def normalized(self, x: str, name: str) -> str:
        gamma = self.constant(f"{name}/gamma", self.weights.floats(f"{name}/gamma"))
        beta = self.constant(f"{name}/beta", self.weights.floats(f"{name}/beta"))
        return self.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=EPSILON)

    def layer(self, name: str) -> _Layer:
        return _Layer(self.weights.floats(f"{name}/weight"), self.weights.floats(f"{name}/bias"))

    def linear(self, x: _Rows, name: str, layer: _Layer | None = None) -> str:
        """What the layer of this name makes of x, or another in its place."""
        layer = layer or self.layer(name)
        return self.node("Add", self.product(x, name, layer.weight), self.constant(f"{name}/bias", layer.bias))

    def parts(self, x: _Rows, name: str, *factors: float) -> list[str]:
        """Equal parts of what the layer makes of x, times these, each by a product of its own: where there are many
        rows, cutting them costs more."""
        layers = self.layer(name).times(*factors).cut(len(factors))
        return [self.linear(x, f"{name}/{number}", layer) for number, layer in enumerate(layers)]

    def rows(self, x: str) -> _Rows:
        """x in 8 bits."""
        most, least = (self.node(op, x, axes=[-1], keepdims=0) for op in ("ReduceMax", "ReduceMin"))
        loudest = self.node("Max", most, self.node("Neg", least))
        steps = self.node("Div", loudest, self.scalar(127.0))
        middle = self.node("Expand", self.constant("middle", MIDDLE), self.node("Shape", steps))
        levels = self.node("QuantizeLinear", x, steps, middle, axis=0)
        # That of a row of zeros is 0, by which its product is multiplied again.
        return _Rows(levels, self.node("Unsqueeze", steps, self.numbers(1)))

    def product(self, x: _Rows, name: str, weight: Floats) -> str:
        """x · weightᵀ, kept by this name."""
        scales = np.maximum(np.abs(weight).max(axis=1) / 63, SMALLEST).astype(np.float32)
        levels = np.rint(weight / scales[:, np.newaxis]).astype(np.int8)
        product = self.node(
            "MatMulIntegerToFloat",
            x.levels,
            self.constant(f"{name}/int8", np.ascontiguousarray(levels.T)),
            self.scalar(1.0),
            self.constant(f"{name}/scale", scales),
            "middle",
            domain="com.microsoft",
        )
        return self.node("Mul", product, x.steps)

    def gelu(self, x: str) -> str:
        return self.node("Gelu", x, domain="com.microsoft")

    def feed_forward(self, x: str, name: str) -> str:
        inner = self.gelu(self.linear(self.rows(self.normalized(x, f"{name}/layer_norm")), f"{name}/linear_0"))
        return self.node("Add", x, self.linear(self.rows(inner), f"{name}/linear_1"))

    def apart(self, x: str, *, transposed: bool = False) -> str:
        """(b · n, width) to (b, heads, n, width of a head), or with the last two swapped."""
        split = self.node("Reshape", x, self.by_head)
        return self.node("Transpose", split, perm=[0, 2, 3, 1] if transposed else [0, 2, 1, 3])

    def attended(self, scores: str, added: str, values: str) -> str:
        """(b, heads, n, m), what is added to it, and (b, heads, m, width of a head) to (b · n, width)."""
        shares = self.node("Softmax", self.node("Add", scores, added), axis=-1)
        mixed = self.node("MatMul", shares, values)
        return self.node("Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]), self.numbers(-1, self.width))

    @property
    def scale(self) -> float:
        """Of a score."""
        return (self.width // self.heads) ** -0.5

    def made(self, inputs: Sequence[Any], outputs: Sequence[str]) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "whisper",
            list(inputs),
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()

    def rename(self, old: str, new: str) -> str:
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]
        return new


def encoder(weights: WhisperWeights) -> bytes:
    """`features` (mels, 2 · n) in; of each decoder layer `keys_i` (1, heads, width, frames) and `values_i`
    (1, heads, frames, width) out, and `log_counts` (frames,), the logarithm of how many frames each stands for: n of
    the features and after them those that stand for the silence up to 30 s."""
    g = _Graph(weights)
    g.attend(weights.heads("encoder"), g.numbers(1, -1))
    mels = weights.arrays["encoder/conv1/weight"].shape[1]
    quietest = g.node("ReduceMin", "features", keepdims=1)
    silence = g.node("Expand", quietest, g.numbers(mels, 2 * SETTLED))
    x = g.node("Unsqueeze", g.node("Concat", "features", silence, axis=1), g.numbers(0))
    for name, stride in (("encoder/conv1", 1), ("encoder/conv2", 2)):
        weight = g.constant(f"{name}/weight", weights.floats(f"{name}/weight"))
        bias = g.constant(f"{name}/bias", weights.floats(f"{name}/bias"))
        x = g.gelu(g.node("Conv", x, weight, bias, kernel_shape=[3], pads=[1, 1], strides=[stride]))
    x = g.node("Transpose", g.node("Squeeze", x, g.numbers(0)), perm=[1, 0])
    heard, silent = g.node("Slice", x, *g.between(0, -SETTLED)), g.node("Slice", x, *g.between(-2, -1))
    positions = g.constant("positions", weights.floats("encoder/position_encodings/encodings"))
    length = g.node("Shape", heard, start=0, end=1)
    heard = g.node("Add", heard, g.node("Slice", positions, g.numbers(0), length, g.numbers(0)))
    first, end = g.node("Add", length, g.numbers(SILENT_STEP // 2)), g.node("Shape", positions, start=0, end=1)
    later = g.node("Slice", positions, first, end, g.numbers(0), g.numbers(SILENT_STEP))
    x = g.node("Concat", heard, g.node("Add", later, silent), axis=0)
    count = g.node("Shape", later, start=0, end=1)
    log_counts = g.node("Concat", g.repeated(0.0, length), g.repeated(math.log(SILENT_STEP), count), axis=0)
    log_counts = g.rename(log_counts, "log_counts")
    for layer in range(weights.layers("encoder")):
        name = f"encoder/layer_{layer}"
        attention = f"{name}/self_attention"
        queries, keys, values = g.parts(
            g.rows(g.normalized(x, f"{attention}/layer_norm")), f"{attention}/linear_0", g.scale, 1, 1
        )
        scores = g.node("MatMul", g.apart(queries), g.apart(keys, transposed=True))
        mixed = g.attended(scores, log_counts, g.apart(values))
        x = g.node("Add", x, g.linear(g.rows(mixed), f"{attention}/linear_1"))
        x = g.feed_forward(x, f"{name}/ffn")
    encoded = g.rows(g.normalized(x, "encoder/layer_norm"))
    outputs = ["log_counts"]
    g.attend(weights.heads("decoder"), g.numbers(1, -1))
    for layer in range(weights.layers("decoder")):
        keys, values = g.parts(encoded, f"decoder/layer_{layer}/attention/linear_1", 1, 1)
        g.rename(g.apart(keys, transposed=True), f"keys_{layer}")
        g.rename(g.apart(values), f"values_{layer}")
        outputs += [f"keys_{layer}", f"values_{layer}"]
    return g.made([helper.make_tensor_value_info("features", TensorProto.FLOAT, [mels, "frames"])], outputs)


def decoder(weights: WhisperWeights) -> bytes:
    """`tokens` (b, n) of b texts of the same audio and `rows` (r,), which of them to predict after; `keys_i`,
    `values_i` and `log_counts` of the encoder; `past_keys_i`, `past_values_i` (b, heads, before, width) in. `logits`
    (b, r, vocabulary), `attention` (b, alignment heads, n, frames) before its softmax, and `new_keys_i`, `new_values_i`
    (b, heads, before + n, width) out."""
    heads = weights.heads("decoder")
    g = _Graph(weights)
    width = g.width
    texts = g.node("Shape", "tokens")
    g.attend(heads, texts)
    # Embeddings are looked up as they are stored, in half the bytes.
    g.constant("embeddings", weights.arrays["decoder/embeddings/weight"].astype(np.float16))
    x = g.node("Cast", g.node("Gather", "embeddings", "tokens"), to=TensorProto.FLOAT)
    count = g.node("Shape", "tokens", start=1, end=2)
    before = g.node("Shape", "past_keys_0", start=2, end=3)
    positions = g.constant("positions", weights.floats("decoder/position_encodings/encodings"))
    x = g.node("Add", x, g.node("Slice", positions, before, g.node("Add", before, count), g.numbers(0)))
    x = g.node("Reshape", x, g.numbers(-1, width))
    mask = _causal(g, before, count)
    followed: list[str] = []
    outputs = ["logits", "attention"]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, ["b", "n"]),
        helper.make_tensor_value_info("rows", TensorProto.INT64, ["r"]),
        helper.make_tensor_value_info("log_counts", TensorProto.FLOAT, ["frames"]),
    ]
    for layer in range(weights.layers("decoder")):
        name = f"decoder/layer_{layer}"
        own = f"{name}/self_attention"
        own_rows = g.rows(g.normalized(x, f"{own}/layer_norm"))
        all_three = g.linear(own_rows, f"{own}/linear_0", g.layer(f"{own}/linear_0").times(g.scale, 1, 1))
        queries, keys, values = g.split("Split", all_three, g.numbers(width, width, width), outputs=3, axis=-1)
        all_keys, all_values = (
            g.rename(g.node("Concat", f"past_{kind}_{layer}", g.apart(new), axis=2), f"new_{kind}_{layer}")
            for kind, new in (("keys", keys), ("values", values))
        )
        scores = g.node("MatMul", g.apart(queries), g.node("Transpose", all_keys, perm=[0, 1, 3, 2]))
        x = g.node("Add", x, g.linear(g.rows(g.attended(scores, mask, all_values)), f"{own}/linear_1"))
        cross = f"{name}/attention"
        asking = g.layer(f"{cross}/linear_0").times(g.scale)
        queries = g.linear(g.rows(g.normalized(x, f"{cross}/layer_norm")), f"{cross}/linear_0", asking)
        scores = g.node("MatMul", g.apart(queries), f"keys_{layer}")
        wanted = [head for of, head in weights.config.alignment_heads if of == layer]
        if wanted:
            followed.append(g.node("Gather", scores, g.numbers(*wanted), axis=1))
        mixed = g.attended(scores, "log_counts", f"values_{layer}")
        x = g.node("Add", x, g.linear(g.rows(mixed), f"{cross}/linear_2"))
        x = g.feed_forward(x, f"{name}/ffn")
        for prefix, shape in (
            ("keys", [1, heads, width // heads, "frames"]),
            ("values", [1, heads, "frames", width // heads]),
            ("past_keys", ["b", heads, "before", width // heads]),
            ("past_values", ["b", heads, "before", width // heads]),
        ):
            inputs.append(helper.make_tensor_value_info(f"{prefix}_{layer}", TensorProto.FLOAT, shape))
        outputs += [f"new_keys_{layer}", f"new_values_{layer}"]
    vocabulary = len(weights.arrays["decoder/embeddings/weight"])
    by_text = g.node("Reshape", x, g.node("Concat", texts, g.numbers(width), axis=0))
    last = g.node("Reshape", g.node("Gather", by_text, "rows", axis=1), g.numbers(-1, width))
    embeddings = "decoder/embeddings/weight"
    logits = g.product(g.rows(g.normalized(last, "decoder/layer_norm")), embeddings, weights.floats(embeddings))
    count_of_texts = g.node("Shape", "tokens", start=0, end=1)
    shape_of_logits = g.node("Concat", count_of_texts, g.numbers(-1, vocabulary), axis=0)
    g.rename(g.node("Reshape", logits, shape_of_logits), "logits")
    g.rename(g.node("Concat", *followed, axis=1), "attention")
    return g.made(inputs, outputs)


def _causal(g: _Graph, before: str, count: str) -> str:
    """(n, before + n): minus infinity, nearly, where a token would look ahead."""
    every = g.node("Add", before, count)
    ones = g.node(
        "ConstantOfShape", g.node("Concat", count, every, axis=0), value=numpy_helper.from_array(np.ones(1, np.float32))
    )
    shift = g.node("Add", g.node("Squeeze", before), g.constant("one", np.array(1, np.int64)))
    ahead = g.node("Trilu", ones, shift, upper=1)
    return g.node("Mul", ahead, g.scalar(-1e9))
