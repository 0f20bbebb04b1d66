"""Networks on ONNX Runtime, on a CPU that other work shares."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import onnxruntime

_errors = cast("Any", importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state"))

ONNX_ERRORS: tuple[type[Exception], ...] = (
    _errors.Fail,
    _errors.InvalidArgument,
    _errors.InvalidGraph,
    _errors.InvalidProtobuf,
    _errors.NoSuchFile,
    _errors.RuntimeException,
)
"""What ONNX Runtime raises; none of them is a RuntimeError."""

SILENT = 4  # severity of log lines: what fails is raised as well


def open_session(model: Path | bytes, threads: int) -> Any:
    """An `InferenceSession` of a file or of what one holds. Raises one of `ONNX_ERRORS`."""
    options = cast("Any", onnxruntime).SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    # Waiting costs no CPU.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of memory would be kept for each combination of lengths that was ever heard or said.
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
    )
