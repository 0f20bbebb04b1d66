"""Convolutions as products: the same figures as ONNX Runtime's own, and other nodes as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from models.convolution_graph import with_products
from models.onnx_session import multiplies_signed, open_session

CHANNELS, OUTPUTS = 8, 5


@pytest.fixture(scope="module")
def largest(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Of the signed weights whose products this processor adds up without overflow."""
    return 127 if multiplies_signed(tmp_path_factory.mktemp("probe") / "signed") else 63


def quantised(kernel: int, dilation: int, *, bias: bool, stride: int = 1, largest: int = 127) -> ModelProto:
    """One convolution as ONNX Runtime's dynamic quantisation writes it."""
    random = np.random.default_rng(kernel * 10 + dilation)
    constants: dict[str, Any] = {
        "weights": random.integers(128 - largest, 128 + largest, (OUTPUTS, CHANNELS, kernel)).astype(np.uint8),
        "weights_zero": np.array(69, np.uint8),
        "weights_scale": np.array(0.01, np.float32),
        "bias": random.standard_normal(OUTPUTS).astype(np.float32),
        "shape": np.array([1, -1, 1], np.int64),
    }
    reach = dilation * (kernel - 1) // 2
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["levels", "scale", "zero"]),
        helper.make_node(
            "ConvInteger",
            ["levels", "weights", "zero", "weights_zero"],
            ["product"],
            pads=[reach, reach],
            dilations=[dilation],
            strides=[stride],
        ),
        helper.make_node("Mul", ["scale", "weights_scale"], ["scales"]),
    ]
    if bias:
        nodes += [
            helper.make_node("Div", ["bias", "scales"], ["steps"]),
            helper.make_node("Floor", ["steps"], ["rounded"]),
            helper.make_node("Cast", ["rounded"], ["whole"], to=TensorProto.INT32),
            helper.make_node("Reshape", ["whole", "shape"], ["shaped"]),
            helper.make_node("Add", ["product", "shaped"], ["summed"]),
        ]
    nodes += [
        helper.make_node("Cast", ["summed" if bias else "product"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scales"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, "time"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, OUTPUTS, "out"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def run(model: ModelProto, x: np.ndarray[Any, np.dtype[np.float32]]) -> Any:
    return open_session(model.SerializeToString(), 1).run(None, {"x": x})[0]


def kinds(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 3), (7, 5), (11, 3)])
@pytest.mark.parametrize("time", [1, 2, 17, 64])
def test_a_convolution_is_the_same_as_a_product(
    kernel: int, dilation: int, time: int, bias: bool, largest: int
) -> None:
    x = np.random.default_rng(time).standard_normal((1, CHANNELS, time)).astype(np.float32)
    before = run(quantised(kernel, dilation, bias=bias, largest=largest), x)
    model = with_products(quantised(kernel, dilation, bias=bias, largest=largest))
    assert "ConvInteger" not in kinds(model)
    assert "MatMulIntegerToFloat" in kinds(model)
    # The bias was rounded down to a step of the product.
    step = 0.01 * (float(x.max()) - float(x.min())) / 255 if bias else 0.0
    np.testing.assert_allclose(run(model, x), before, rtol=1e-4, atol=step + 1e-4)


def test_a_convolution_that_shortens_the_signal_stays() -> None:
    model = with_products(quantised(3, 1, bias=True, stride=2))
    assert "ConvInteger" in kinds(model)
    assert kinds(model) == kinds(quantised(3, 1, bias=True, stride=2))
