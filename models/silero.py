"""Silero VAD v6 on ONNX Runtime: the probability of speech, 32 ms at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models.onnx_session import open_session
from models.protocols import Samples

FRAME_SAMPLES = 512  # at 16 kHz, the only frame length the model takes
CONTEXT_SAMPLES = 64  # of the frame before, given with each frame


class SileroDetector:
    """`path` is the verified silero_vad_v6.onnx."""

    frame_samples = FRAME_SAMPLES

    def __init__(self, path: Path) -> None:
        self._session = open_session(path, threads=1)

    def stream(self) -> SileroStream:
        return SileroStream(self._session)


class SileroStream:
    """The recurrent state of one stream."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._input = np.zeros((1, CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)

    def process(self, frame: Samples) -> float:
        self._input[0, :CONTEXT_SAMPLES] = self._input[0, -CONTEXT_SAMPLES:]
        self._input[0, CONTEXT_SAMPLES:] = frame
        feeds = {"input": self._input, "h": self._h, "c": self._c}
        output, self._h, self._c = self._session.run(None, feeds)
        return float(np.asarray(output).reshape(-1)[0])
