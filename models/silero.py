"""Silero VAD v6 on ONNX Runtime: the probability of speech, 32 ms at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime

from models.protocols import Samples

FRAME_SAMPLES = 512  # at 16 kHz, the only frame length the model takes
CONTEXT_SAMPLES = 64  # of the frame before, given with each frame


class SileroDetector:
    """`path` is the verified silero_vad_v6.onnx."""

    frame_samples = FRAME_SAMPLES

    def __init__(self, path: Path) -> None:
        options = cast("Any", onnxruntime.SessionOptions())
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            str(path), providers=["CPUExecutionProvider"], sess_options=options
        )

    def stream(self) -> SileroStream:
        return SileroStream(self._session)


class SileroStream:
    """The recurrent state of one stream."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._input = np.zeros((1, CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)

    def process(self, frame: Samples) -> float:
        self._input[0, :CONTEXT_SAMPLES] = self._input[0, -CONTEXT_SAMPLES:]
        self._input[0, CONTEXT_SAMPLES:] = frame
        feeds = {"input": self._input, "h": self._h, "c": self._c}
        outputs = cast("Any", self._session.run(None, feeds))
        output, self._h, self._c = outputs
        return float(np.asarray(output).reshape(-1)[0])
