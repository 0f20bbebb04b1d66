"""A graph in two parts, the second of which knows the statistics of the whole from outside."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from models.onnx_session import open_session
from models.vocoder_graph import part, with_given_statistics

CHANNELS = (4, 3)
TIME = 50
ALL = np.random.default_rng(1).standard_normal((1, 4, TIME)).astype(np.float32)
NONE = np.zeros((1, 2 * sum(CHANNELS), 1), np.float32)


def norm(name: str, source: str, target: str) -> list[object]:
    """Instance normalisation as exporters write it out."""
    return [
        helper.make_node("ReduceMean", [source, "over_time"], [f"{name}_mean"], keepdims=1),
        helper.make_node("Sub", [source, f"{name}_mean"], [f"{name}_rest"]),
        helper.make_node("Mul", [f"{name}_rest", f"{name}_rest"], [f"{name}_square"]),
        helper.make_node("ReduceMean", [f"{name}_square", "over_time"], [f"{name}_variance"], keepdims=1),
        helper.make_node("Sqrt", [f"{name}_variance"], [f"{name}_deviation"]),
        helper.make_node("Div", [f"{name}_rest", f"{name}_deviation"], [target]),
    ]


def whole() -> ModelProto:
    """x ─ doubled ─▶ hidden ─ norm, four channels to three, norm ─▶ y"""
    mix = np.random.default_rng(2).standard_normal((3, 4, 1)).astype(np.float32)
    constants = {"two": np.array(2, np.float32), "over_time": np.array([2], np.int64), "mix": mix}
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["hidden"]),
        *norm("first", "hidden", "even"),
        helper.make_node("Conv", ["even", "mix"], ["mixed"]),
        *norm("second", "mixed", "y"),
    ]
    graph = helper.make_graph(
        nodes,
        "whole",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, "time"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, "time"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def run(model: ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return open_session(model.SerializeToString(), 1).run(None, feeds)


def sound(x: np.ndarray, statistics: np.ndarray, share: float) -> list[np.ndarray]:
    model = with_given_statistics(part(whole(), ["hidden"], ["y"]), {"hidden": ALL})
    *_, given, wanted = (one.name for one in model.graph.input)
    return run(model, {"hidden": x, given: statistics, wanted: np.array(share, np.float32)})


def test_parts_do_what_the_whole_did_and_hold_no_more() -> None:
    first, second = part(whole(), ["x"], ["hidden"]), part(whole(), ["hidden"], ["y"])
    assert [node.op_type for node in first.graph.node] == ["Mul"]
    assert [one.name for one in first.graph.initializer] == ["two"]
    (hidden,) = run(first, {"x": ALL})
    (y,), (wanted,) = run(second, {"hidden": hidden}), run(whole(), {"x": ALL})
    np.testing.assert_allclose(y, wanted, rtol=1e-6)


def test_own_statistics_alone_change_nothing() -> None:
    (wanted,) = run(whole(), {"x": ALL})
    np.testing.assert_allclose(sound(2 * ALL, NONE + 9, 1.0)[0], wanted, rtol=1e-5)


def test_a_stretch_with_the_statistics_of_the_whole_is_that_stretch_of_the_whole() -> None:
    y, own = sound(2 * ALL, NONE, 1.0)
    stretch, _ = sound(2 * ALL[:, :, 10:20], own, 0.0)
    np.testing.assert_allclose(stretch, y[:, :, 10:20], rtol=1e-4, atol=1e-5)
    alone, _ = sound(2 * ALL[:, :, 10:20], NONE, 1.0)
    assert np.abs(alone - y[:, :, 10:20]).max() > 0.1


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_first_blend_is_linear_and_what_was_the_stretchs_own_is_told(share: float) -> None:
    given = np.full_like(NONE, 0.5)
    _, own = sound(2 * ALL, given, share)
    mean = (2 * ALL).mean(axis=2, keepdims=True)
    np.testing.assert_allclose(own[:, :4], mean, rtol=1e-5, atol=1e-6)
    blended = share * mean + (1 - share) * 0.5
    np.testing.assert_allclose(own[:, 4:8], np.square(2 * ALL - blended).mean(axis=2, keepdims=True), rtol=1e-4)
