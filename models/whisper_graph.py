"""Whisper as two ONNX graphs made of its weights (architecture: Radford et al. 2022), for incremental recognition.

    encoder   spectrogram ─▶ keys and values of every decoder layer's cross-attention
    decoder   tokens, keys and values of the tokens before ─▶ logits, attention to the audio, keys and values

The decoder takes any number of tokens at once: a prompt of thirty costs little more than one token.

Linear layers multiply in 8 bits. In the encoder each row of activations is scaled by itself, since a few frames are far
louder than the rest, and weights use seven bits, scaled per output: x86 without VNNI adds two products in 16 bits and
would saturate. In the decoder, which mostly sees one token and waits for memory, both are scaled by blocks of 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.whisper_weights import WhisperWeights

OPSET = 17
IR_VERSION = 9
EPSILON = 1e-5  # of layer normalisation
BLOCK = 32  # inputs that share a scale in the decoder
SMALLEST = 1e-12  # scale, of weights that are all zero


@dataclass(slots=True)
class _Graph:
    weights: WhisperWeights
    heads: int
    by_block: bool
    """scales are those of blocks, else of rows"""
    nodes: list[Any] = field(default_factory=list[Any])
    constants: dict[str, NDArray[Any]] = field(default_factory=dict[str, "NDArray[Any]"])

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

    def scalar(self, value: float) -> str:
        return self.constant(f"float_{value}", np.array(value, np.float32))

    def normalized(self, x: str, name: str) -> str:
        gamma = self.constant(f"{name}/gamma", self.weights.floats(f"{name}/gamma"))
        beta = self.constant(f"{name}/beta", self.weights.floats(f"{name}/beta"))
        return self.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=EPSILON)

    def linear(self, x: str, name: str) -> str:
        bias = self.constant(f"{name}/bias", self.weights.floats(f"{name}/bias"))
        return self.node("Add", self.product(x, f"{name}/weight"), bias)

    def product(self, x: str, name: str) -> str:
        """x · weightᵀ."""
        weight = self.weights.floats(name)
        return self._product_by_block(x, name, weight) if self.by_block else self._product_by_row(x, name, weight)

    def _product_by_block(self, x: str, name: str, weight: NDArray[np.float32]) -> str:
        outputs, inputs = weight.shape
        blocks = weight.reshape(outputs, inputs // BLOCK, BLOCK)
        scales = np.maximum(np.abs(blocks).max(axis=-1) / 127, SMALLEST).astype(np.float32)
        levels = np.rint(blocks / scales[..., np.newaxis] + 128).astype(np.uint8)
        return self.node(
            "MatMulNBits",
            x,
            self.constant(f"{name}/uint8", levels),
            self.constant(f"{name}/scale", scales),
            domain="com.microsoft",
            N=outputs,
            K=inputs,
            bits=8,
            block_size=BLOCK,
            accuracy_level=4,
        )

    def _product_by_row(self, x: str, name: str, weight: NDArray[np.float32]) -> str:
        scales = np.maximum(np.abs(weight).max(axis=1) / 63, SMALLEST).astype(np.float32)
        weight8 = np.rint(weight / scales[:, np.newaxis]).astype(np.int8)
        loudest = self.node("ReduceMax", self.node("Abs", x), axes=[-1], keepdims=1)
        rows = self.node("Div", self.node("Max", loudest, self.scalar(1e-6)), self.scalar(127.0))
        levels = self.node("Add", self.node("Round", self.node("Div", x, rows)), self.scalar(128.0))
        x8 = self.node("Cast", levels, to=TensorProto.UINT8)
        middle = self.constant("uint8_middle", np.array(128, np.uint8))
        weights = self.constant(f"{name}/int8", np.ascontiguousarray(weight8.T))
        product = self.node("Cast", self.node("MatMulInteger", x8, weights, middle), to=TensorProto.FLOAT)
        return self.node("Mul", self.node("Mul", product, rows), self.constant(f"{name}/scale", scales))

    def gelu(self, x: str) -> str:
        return self.node("Gelu", x, domain="com.microsoft")

    def feed_forward(self, x: str, name: str) -> str:
        inner = self.gelu(self.linear(self.normalized(x, f"{name}/layer_norm"), f"{name}/linear_0"))
        return self.node("Add", x, self.linear(inner, f"{name}/linear_1"))

    def by_head(self, x: str, *, transposed: bool = False) -> str:
        """(b, n, width) to (b, heads, n, width of a head), or with the last two swapped."""
        split = self.node("Reshape", x, self.numbers(0, 0, self.heads, -1))
        return self.node("Transpose", split, perm=[0, 2, 3, 1] if transposed else [0, 2, 1, 3])

    def attended(self, scores: str, values: str) -> str:
        """(b, heads, n, m) and (b, heads, m, width of a head) to (b, n, width)."""
        mixed = self.node("MatMul", self.node("Softmax", scores, axis=-1), values)
        return self.node("Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]), self.numbers(0, 0, -1))

    def thirds(self, x: str) -> list[str]:
        width = self.weights.arrays["decoder/layer_norm/gamma"].shape[0]
        return self.split("Split", x, self.numbers(width, width, width), outputs=3, axis=-1)

    def scaled(self, x: str) -> str:
        width = self.weights.arrays["decoder/layer_norm/gamma"].shape[0] // self.heads
        return self.node("Mul", x, self.scalar(width**-0.5))

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

    def rename(self, old: str, new: str) -> None:
        self.nodes.append(helper.make_node("Identity", [old], [new]))


def encoder(weights: WhisperWeights) -> bytes:
    """`features` (mels, frames) in; of each decoder layer `keys_i` (1, heads, width, frames / 2) and `values_i`
    (1, heads, frames / 2, width) out."""
    g = _Graph(weights, weights.heads("encoder"), by_block=False)
    x = g.node("Unsqueeze", "features", g.numbers(0))
    for name, stride in (("encoder/conv1", 1), ("encoder/conv2", 2)):
        weight = g.constant(f"{name}/weight", weights.floats(f"{name}/weight"))
        bias = g.constant(f"{name}/bias", weights.floats(f"{name}/bias"))
        x = g.gelu(g.node("Conv", x, weight, bias, kernel_shape=[3], pads=[1, 1], strides=[stride]))
    x = g.node("Transpose", x, perm=[0, 2, 1])
    positions = g.constant("positions", weights.floats("encoder/position_encodings/encodings"))
    length = g.node("Shape", x, start=1, end=2)
    x = g.node("Add", x, g.node("Slice", positions, g.numbers(0), length, g.numbers(0)))
    for layer in range(weights.layers("encoder")):
        name = f"encoder/layer_{layer}"
        attention = f"{name}/self_attention"
        queries, keys, values = g.thirds(g.linear(g.normalized(x, f"{attention}/layer_norm"), f"{attention}/linear_0"))
        scores = g.node("MatMul", g.by_head(g.scaled(queries)), g.by_head(keys, transposed=True))
        x = g.node("Add", x, g.linear(g.attended(scores, g.by_head(values)), f"{attention}/linear_1"))
        x = g.feed_forward(x, f"{name}/ffn")
    x = g.normalized(x, "encoder/layer_norm")
    outputs: list[str] = []
    g.heads = weights.heads("decoder")
    for layer in range(weights.layers("decoder")):
        both = g.linear(x, f"decoder/layer_{layer}/attention/linear_1")
        width = weights.arrays["decoder/layer_norm/gamma"].shape[0]
        keys, values = g.split("Split", both, g.numbers(width, width), outputs=2, axis=-1)
        g.rename(g.by_head(keys, transposed=True), f"keys_{layer}")
        g.rename(g.by_head(values), f"values_{layer}")
        outputs += [f"keys_{layer}", f"values_{layer}"]
    mels = weights.arrays["encoder/conv1/weight"].shape[1]
    return g.made([helper.make_tensor_value_info("features", TensorProto.FLOAT, [mels, "frames"])], outputs)


def decoder(weights: WhisperWeights) -> bytes:
    """`tokens` (b, n) of b texts of the same audio and `rows` (r,), which of them to predict after; `keys_i` and
    `values_i` of the encoder; `past_keys_i`, `past_values_i` (b, heads, before, width) in. `logits` (b, r, vocabulary),
    `attention` (b, alignment heads, n, frames) before its softmax, and `new_keys_i`, `new_values_i`
    (b, heads, before + n, width) out."""
    heads = weights.heads("decoder")
    width = weights.arrays["decoder/layer_norm/gamma"].shape[0]
    g = _Graph(weights, heads, by_block=True)
    # Embeddings are looked up as they are stored, in half the bytes.
    g.constant("embeddings", weights.arrays["decoder/embeddings/weight"].astype(np.float16))
    x = g.node("Cast", g.node("Gather", "embeddings", "tokens"), to=TensorProto.FLOAT)
    count = g.node("Shape", "tokens", start=1, end=2)
    before = g.node("Shape", "past_keys_0", start=2, end=3)
    positions = g.constant("positions", weights.floats("decoder/position_encodings/encodings"))
    x = g.node("Add", x, g.node("Slice", positions, before, g.node("Add", before, count), g.numbers(0)))
    mask = _causal(g, before, count)
    followed: list[str] = []
    outputs = ["logits", "attention"]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, ["b", "n"]),
        helper.make_tensor_value_info("rows", TensorProto.INT64, ["r"]),
    ]
    for layer in range(weights.layers("decoder")):
        name = f"decoder/layer_{layer}"
        own = f"{name}/self_attention"
        queries, keys, values = g.thirds(g.linear(g.normalized(x, f"{own}/layer_norm"), f"{own}/linear_0"))
        all_keys = g.node("Concat", f"past_keys_{layer}", g.by_head(keys), axis=2)
        all_values = g.node("Concat", f"past_values_{layer}", g.by_head(values), axis=2)
        g.rename(all_keys, f"new_keys_{layer}")
        g.rename(all_values, f"new_values_{layer}")
        scores = g.node("MatMul", g.by_head(g.scaled(queries)), g.node("Transpose", all_keys, perm=[0, 1, 3, 2]))
        x = g.node("Add", x, g.linear(g.attended(g.node("Add", scores, mask), all_values), f"{own}/linear_1"))
        cross = f"{name}/attention"
        queries = g.by_head(g.scaled(g.linear(g.normalized(x, f"{cross}/layer_norm"), f"{cross}/linear_0")))
        scores = g.node("MatMul", queries, f"keys_{layer}")
        wanted = [head for of, head in weights.config.alignment_heads if of == layer]
        if wanted:
            followed.append(g.node("Gather", scores, g.numbers(*wanted), axis=1))
        x = g.node("Add", x, g.linear(g.attended(scores, f"values_{layer}"), f"{cross}/linear_2"))
        x = g.feed_forward(x, f"{name}/ffn")
        for prefix, shape in (
            ("keys", [1, heads, width // heads, "frames"]),
            ("values", [1, heads, "frames", width // heads]),
            ("past_keys", ["b", heads, "before", width // heads]),
            ("past_values", ["b", heads, "before", width // heads]),
        ):
            inputs.append(helper.make_tensor_value_info(f"{prefix}_{layer}", TensorProto.FLOAT, shape))
        outputs += [f"new_keys_{layer}", f"new_values_{layer}"]
    x = g.normalized(g.node("Gather", x, "rows", axis=1), "decoder/layer_norm")
    g.rename(g.product(x, "decoder/embeddings/weight"), "logits")
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
