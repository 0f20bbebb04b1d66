"""Networks on ONNX Runtime, on a CPU that other work shares."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
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


def giving_back() -> Any:
    """Options of a run after which the memory that it needed is given back."""
    options = cast("Any", onnxruntime).RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def kept_session(path: Path, version: int, make: Callable[[], bytes], threads: int) -> Any:
    """A session of the graph that `make` gives. It is made once and kept: `path`, a name without an ending, says where.
    It is made again where it could not be kept or is damaged; earlier versions are removed."""
    kept = path.with_name(f"{path.name}.graph-{version}.onnx")
    if kept.is_file():
        try:
            return open_session(kept, threads)
        except ONNX_ERRORS:
            with contextlib.suppress(OSError):
                kept.unlink()
    made = make()
    _keep(made, kept)
    for earlier in range(version):
        with contextlib.suppress(OSError):  # there is none, or another process still runs it
            path.with_name(f"{path.name}.graph-{earlier}.onnx").unlink()
    return open_session(made, threads)


def _keep(content: bytes, path: Path) -> None:
    """Whole or not at all: on a full disk the graph is made again next time."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def multiplies_signed(path: Path) -> bool:
    """Whether products of bytes with and without a sign are exact here. x86 without VNNI adds two of them in 16 bits,
    which overflow (ONNX Runtime, "Quantize ONNX models": U8S8). The graph that finds out is kept at `path`."""
    length = 64

    def make() -> bytes:
        from onnx import TensorProto, helper, numpy_helper

        graph = helper.make_graph(
            [helper.make_node("MatMulInteger", ["levels", "weights"], ["product"])],
            "signed",
            [helper.make_tensor_value_info("levels", TensorProto.UINT8, [1, length])],
            [helper.make_tensor_value_info("product", TensorProto.INT32, [1, 16])],
            [numpy_helper.from_array(np.full((length, 16), 127, np.int8), "weights")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return model.SerializeToString()

    (product,) = kept_session(path, 1, make, 1).run(None, {"levels": np.full((1, length), 255, np.uint8)})
    return bool(np.all(product == 255 * 127 * length))
