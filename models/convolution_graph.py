"""Convolutions over time in 8 bits as products of matrices, for ONNX Runtime on a CPU that multiplies signed bytes.

A model that was quantised dynamically convolves with `ConvInteger`: weights without a sign, laid out anew each time. To
multiply by signed constants takes a third of the time where the processor adds four products in 32 bits (VNNI). So each
such convolution is written as the product of windows of the signal with its weights; the arithmetic is the same.

    x (1, channels, time) in 8 bits ─▶ windows (1, time, kernel · channels) · weights ─▶ (1, outputs, time)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

SIGN = 128  # between a byte without a sign and one with


def with_products(model: ModelProto) -> ModelProto:
    """`model`, changed in place: its convolutions that keep the length of the signal, written as dynamic quantisation
    writes them, become products. Others stay as they are. Exact where `onnx_session.multiplies_signed`."""
    graph = _Graph(model)
    for node in list(model.graph.node):
        found = _found(graph, node)
        if found is not None:
            _rewrite(graph, found)
    graph.finish()
    return model


@dataclass(slots=True)
class _Graph:
    model: ModelProto
    constants: dict[str, Any] = field(init=False)
    makers: dict[str, NodeProto] = field(init=False)
    users: dict[str, list[NodeProto]] = field(init=False)
    added: dict[str, list[NodeProto]] = field(init=False, default_factory=dict[str, "list[NodeProto]"])
    """what stands in place of the node that makes a name"""
    arrays: dict[str, NDArray[Any]] = field(init=False, default_factory=dict[str, "NDArray[Any]"])

    def __post_init__(self) -> None:
        nodes = self.model.graph.node
        self.constants = {one.name: one for one in self.model.graph.initializer}
        self.makers = {name: node for node in nodes for name in node.output}
        self.users = {}
        for node in nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def value(self, name: str) -> NDArray[Any]:
        return numpy_helper.to_array(self.constants[name])

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        name = name or f"product/{value.dtype}_{'_'.join(map(str, value.ravel()))}"
        self.arrays[name] = value
        return name

    def numbers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def behind(self, name: str, *ops: str) -> str | None:
        """The constant from which `ops` make `name`, the last of them first."""
        for op in ops:
            node = self.makers.get(name)
            if node is None or node.op_type != op:
                return None
            name = node.input[0]
        return name if name in self.constants else None

    def only_user(self, name: str, op: str) -> NodeProto | None:
        users = self.users.get(name, [])
        return users[0] if len(users) == 1 and users[0].op_type == op else None

    def finish(self) -> None:
        """Nodes keep an order in which they can run; those that nothing needs any more are left out."""
        graph = self.model.graph
        needed = {one.name for one in graph.output}
        kept: list[NodeProto] = []
        for old in reversed(graph.node):
            for node in reversed(self.added.get(old.output[0], [old])):
                if not needed.isdisjoint(node.output):
                    needed.update(node.input)
                    kept.append(node)
        constants = [one for one in graph.initializer if one.name in needed]
        constants += [numpy_helper.from_array(value, name) for name, value in self.arrays.items()]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(reversed(kept))
        graph.initializer.extend(constants)


@dataclass(slots=True)
class _Nodes:
    """Adds nodes in place of the one that makes `place`."""

    graph: _Graph
    place: str

    def __call__(self, op: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        nodes = self.graph.added.setdefault(self.place, [])
        name = output or f"{self.place}/{op}_{len(nodes)}"
        nodes.append(helper.make_node(op, list(inputs), [name], domain=domain, **attributes))
        return name


@dataclass(frozen=True, slots=True)
class _Convolution:
    """What a `ConvInteger` and the nodes after it compute: `output`, in floating point."""

    output: str
    levels: str
    """(1, channels, time), 8 bits"""
    scale: str
    zero: str
    weights: NDArray[np.uint8]
    """(outputs, channels, kernel)"""
    weights_zero: NDArray[np.uint8]
    weights_scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    """(outputs,)"""
    dilation: int


def _found(graph: _Graph, node: NodeProto) -> _Convolution | None:
    """Dynamic quantisation writes a convolution as ConvInteger, the bias's Add where there is one, Cast, Mul."""
    if node.op_type != "ConvInteger" or node.input[1] not in graph.constants:
        return None
    weights = graph.value(node.input[1])
    given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    kernel, dilation = weights.shape[-1], given.get("dilations", [1])[0]
    reach = dilation * (kernel - 1) // 2
    keeps_length = given.get("strides", [1]) == [1] and given.get("pads", [0, 0]) == [reach, reach]
    plain = weights.ndim == 3 and weights.dtype == np.uint8 and given.get("group", 1) == 1
    if not (plain and keeps_length and kernel % 2):
        return None
    name, bias = node.output[0], np.zeros(len(weights), np.float32)
    if (add := graph.only_user(name, "Add")) is not None:
        stored = graph.behind(add.input[1], "Reshape", "Cast", "Floor", "Div")
        if stored is None:
            return None
        name, bias = add.output[0], graph.value(stored)
    cast = graph.only_user(name, "Cast")
    scaled = graph.only_user(cast.output[0], "Mul") if cast is not None else None
    scales = graph.makers.get(scaled.input[1]) if scaled is not None else None
    if scaled is None or scales is None or scales.op_type != "Mul":
        return None
    return _Convolution(
        output=scaled.output[0],
        levels=node.input[0],
        scale=scales.input[0],
        zero=node.input[2],
        weights=weights,
        weights_zero=graph.value(node.input[3]),
        weights_scale=graph.value(scales.input[1]),
        bias=bias,
        dilation=dilation,
    )


def _rewrite(graph: _Graph, found: _Convolution) -> None:
    kernel, dilation = found.weights.shape[2], found.dilation
    nodes = _Nodes(graph, found.output)
    time = nodes("Shape", found.levels, start=2, end=3)
    rows = nodes("Transpose", found.levels, perm=[0, 2, 1])
    if kernel > 1:
        begin = dilation * (kernel - 1) // 2
        padded = nodes("Pad", rows, graph.numbers(0, begin, 0, 0, begin, 0), found.zero)
        shifts = [graph.numbers(tap * dilation) for tap in range(kernel)]
        taps = [nodes("Slice", padded, by, nodes("Add", time, by), graph.numbers(1)) for by in shifts]
        rows = nodes("Concat", *taps, axis=2)
    product = nodes(
        "MatMulIntegerToFloat",
        rows,
        graph.constant(_weights(found), f"{found.output}/weights"),
        found.scale,
        graph.constant(found.weights_scale, f"{found.output}/weights_scale"),
        found.zero,
        graph.constant(_signed(found.weights_zero), f"{found.output}/weights_zero"),
        graph.constant(found.bias, f"{found.output}/bias"),
        domain="com.microsoft",
    )
    nodes("Transpose", product, perm=[0, 2, 1], output=found.output)


def _weights(found: _Convolution) -> NDArray[np.int8]:
    """(kernel · channels, outputs)."""
    outputs, channels, kernel = found.weights.shape
    return _signed(found.weights).transpose(2, 1, 0).reshape(kernel * channels, outputs)


def _signed(levels: NDArray[np.uint8]) -> NDArray[np.int8]:
    return (levels.astype(np.int16) - SIGN).astype(np.int8)
