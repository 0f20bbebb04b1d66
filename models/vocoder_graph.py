"""A synthesiser's graph in two, so that speech is heard before all of it is made: what is said, and how it sounds.

The second part is run on one stretch of frames after the other. What it needs of the whole utterance are the statistics
of its instance normalisations (Ulyanov et al. 2016: mean and variance of each channel over time): they become an input,
blended with those of the stretch.

    text ─▶ hidden (1, channels, frames) ─▶ sound
            statistics (1, all channels, 1), share of the stretch's own ─▶ sound, the stretch's own statistics
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from models.onnx_session import open_session
from models.protocols import Samples

GIVEN, SHARE, OWN = "statistics/given", "statistics/share", "statistics/own"


def part(model: ModelProto, inputs: Sequence[str], outputs: Sequence[str]) -> ModelProto:
    """What of `model` makes `outputs` of `inputs`; both name any of its tensors."""
    graph = model.graph
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    needed: set[int] = set()
    names = list(outputs)
    while names:
        name = names.pop()
        index = None if name in inputs else makers.get(name)
        if index is not None and index not in needed:
            needed.add(index)
            names.extend(graph.node[index].input)
    nodes = [graph.node[index] for index in sorted(needed)]
    used = {name for node in nodes for name in node.input}
    known = {one.name: one for one in (*graph.value_info, *graph.input, *graph.output)}
    made = helper.make_graph(
        nodes,
        graph.name,
        [_described(known, name) for name in inputs if name in used],
        [_described(known, name) for name in outputs],
        [one for one in graph.initializer if one.name in used],
    )
    return helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version)


def with_given_statistics(model: ModelProto, example: Mapping[str, Samples]) -> ModelProto:
    """`model`, changed in place: all its means over time are blended with those of one more input (1, all channels, 1);
    the last input (0 to 1) is the share of the stretch's own, which are the last output. `example` is any input, from
    which the numbers of channels are known."""
    graph = model.graph
    means = [node for node in graph.node if node.op_type == "ReduceMean"]
    sizes = _channels(model, means, example)
    nodes: list[NodeProto] = [
        helper.make_node("Split", [GIVEN, "statistics/sizes"], [f"{GIVEN}/{n}" for n in range(len(means))], axis=1),
        helper.make_node("Sub", ["statistics/one", SHARE], ["statistics/rest"]),
    ]
    numbers = count()
    for node in graph.node:
        nodes.append(node)
        if node.op_type == "ReduceMean":
            nodes += _blended(node, next(numbers))
    nodes.append(helper.make_node("Concat", [f"{OWN}/{n}" for n in range(len(means))], [OWN], axis=1))
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), "statistics/sizes"))
    graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "statistics/one"))
    shape = [1, sum(sizes), 1]
    graph.input.append(helper.make_tensor_value_info(GIVEN, TensorProto.FLOAT, shape))
    graph.input.append(helper.make_tensor_value_info(SHARE, TensorProto.FLOAT, []))
    graph.output.append(helper.make_tensor_value_info(OWN, TensorProto.FLOAT, shape))
    return model


def _blended(mean: NodeProto, number: int) -> list[NodeProto]:
    """What follows `mean`, whose output becomes the blend."""
    blend, own = mean.output[0], f"{OWN}/{number}"
    mean.output[0] = own
    return [
        helper.make_node("Mul", [own, SHARE], [f"{own}/weighed"]),
        helper.make_node("Mul", [f"{GIVEN}/{number}", "statistics/rest"], [f"{GIVEN}/{number}/weighed"]),
        helper.make_node("Add", [f"{own}/weighed", f"{GIVEN}/{number}/weighed"], [blend]),
    ]


def _channels(model: ModelProto, means: Sequence[NodeProto], example: Mapping[str, Samples]) -> list[int]:
    inputs = [one.name for one in model.graph.input]
    asked = part(model, inputs, [node.output[0] for node in means])
    return [found.shape[1] for found in open_session(asked.SerializeToString(), 1).run(None, dict(example))]


def _described(known: Mapping[str, ValueInfoProto], name: str) -> ValueInfoProto:
    """Without a shape: that of an example says more than is true."""
    kind = known[name].type.tensor_type.elem_type if name in known else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, None)
