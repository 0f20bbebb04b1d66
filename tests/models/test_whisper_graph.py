"""Linear layers in 8 bits: rows are scaled apart, so that a loud one takes no precision from a quiet one."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from models.onnx_session import open_session
from models.whisper_graph import _Graph  # pyright: ignore[reportPrivateUsage]
from models.whisper_weights import WhisperConfig, WhisperWeights

INPUTS, OUTPUTS = 64, 16


def test_rows_are_multiplied_as_precisely_however_loud_they_are() -> None:
    random = np.random.default_rng(1)
    weight = random.standard_normal((OUTPUTS, INPUTS)).astype(np.float32)
    graph = _Graph(WhisperWeights({}, WhisperConfig((), (), ())))
    graph.rename(graph.product(graph.rows("x"), "weight", weight), "y")
    model = graph.made([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", INPUTS])], ["y"])
    loudness = np.array([[1000.0], [1.0], [1e-4], [0.0]], np.float32)
    x = loudness * random.standard_normal((4, INPUTS)).astype(np.float32)
    (y,) = open_session(model, 1).run(None, {"x": x})
    exact = x @ weight.T
    errors = np.abs(y - exact).max(axis=1) / np.maximum(np.abs(exact).max(axis=1), 1e-12)
    assert errors.max() < 0.03  # scaled together, the third row would be lost
    assert not y[-1].any()
