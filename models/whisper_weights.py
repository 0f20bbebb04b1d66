"""The weights of a Whisper model as CTranslate2 stores them (its converter's `model_spec.py`, binary version 6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.errors import UnavailableError

Floats = NDArray[np.float32]

BINARY_VERSION = 6
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


class WhisperConfig(msgspec.Struct, frozen=True):
    """config.json beside model.bin."""

    alignment_heads: tuple[tuple[int, int], ...]
    """(layer, head) of the decoder whose cross-attention follows the speech"""
    lang_ids: tuple[int, ...]
    suppress_ids_begin: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WhisperWeights:
    """`arrays` by CTranslate2's names: linear weights are (out, in); scalars have the shape ()."""

    arrays: dict[str, NDArray[np.generic]]
    config: WhisperConfig

    def floats(self, name: str) -> Floats:
        return self.arrays[name].astype(np.float32)

    def layers(self, part: str) -> int:
        """How many layers `encoder` or `decoder` has."""
        return sum(name.startswith(f"{part}/layer_") and name.endswith("ffn/linear_0/bias") for name in self.arrays)

    def heads(self, part: str) -> int:
        return int(self.arrays[f"{part}/num_heads"])


def read(folder: Path) -> WhisperWeights:
    """Maps model.bin; nothing is copied until it is used. Raises `UnavailableError` `engine-failed`."""
    try:
        config = msgspec.json.decode((folder / "config.json").read_bytes(), type=WhisperConfig)
        return WhisperWeights(_Reader(np.memmap(folder / "model.bin", np.uint8, "r")).arrays(), config)
    except (OSError, msgspec.MsgspecError, struct.error, KeyError) as error:
        raise UnavailableError("engine-failed", f"Whisper's weights in {folder} could not be read: {error}.") from error


class _Reader:
    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data = data
        self._at = 0

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        version = self._number("I")
        if version != BINARY_VERSION:
            raise KeyError(f"binary version {version}")
        self._text()
        self._number("I")
        found = dict(self._array() for _ in range(self._number("I")))
        if any(name.endswith("/weight_scale") for name in found):
            raise KeyError("weights that were stored in 8 bits")
        return found

    def _array(self) -> tuple[str, NDArray[np.generic]]:
        name = self._text()
        shape = tuple(self._number("I") for _ in range(self._number("B")))
        kind = _TYPES[self._number("B")]
        length = self._number("I")
        raw = self._data[self._at : self._at + length]
        self._at += length
        return name, np.frombuffer(raw, kind).reshape(shape)

    def _number(self, kind: str) -> int:
        size = struct.calcsize(kind)
        (value,) = struct.unpack(f"<{kind}", self._data[self._at : self._at + size].tobytes())
        self._at += size
        return value

    def _text(self) -> str:
        length = self._number("H")  # with the zero that ends it
        raw = self._data[self._at : self._at + length - 1].tobytes()
        self._at += length
        return raw.decode()
