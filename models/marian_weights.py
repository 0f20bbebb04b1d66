"""Models of Firefox Translations as Marian stores them: weights in 8 bits, settings, and which words may render which.

The formats are those of Marian's `binary.cpp` and of its binary lexical shortlist.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_VERSION = 1
_FLOAT32, _INTGEMM8 = 0x404, 0x4101
_SETTINGS = "special:model.yml"
_SHORTLIST_MAGIC = 0xF11A48D5013417F5


@dataclass(frozen=True, slots=True)
class MarianWeights:
    """`arrays` by Marian's names; linear weights are (in, out), the embedding (words, width)."""

    arrays: dict[str, Floats]
    settings: dict[str, str]


def read(data: bytes) -> MarianWeights:
    """Raises `ValueError` where `data` is no model in this format."""
    try:
        version, count = struct.unpack_from("<QQ", data)
        if version != _VERSION:
            raise ValueError(f"version {version} instead of {_VERSION}")
        return _read(data, count)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error


def _read(data: bytes, count: int) -> MarianWeights:
    at = 16
    headers = [struct.unpack_from("<4Q", data, at + 32 * index) for index in range(count)]
    at += 32 * count
    names: list[str] = []
    for length, *_ in headers:
        names.append(data[at : at + length - 1].decode())
        at += length
    shapes: list[tuple[int, ...]] = []
    for _, _, dimensions, _ in headers:
        shapes.append(struct.unpack_from(f"<{dimensions}i", data, at))
        at += 4 * dimensions
    at += 8 + struct.unpack_from("<Q", data, at)[0]
    arrays: dict[str, Floats] = {}
    settings: dict[str, str] = {}
    for name, (_, kind, _, size), shape in zip(names, headers, shapes, strict=True):
        raw = data[at : at + size]
        at += size
        if name == _SETTINGS:
            settings = _settings(raw.rstrip(b"\0").decode())
        elif not name.endswith("QuantMultA"):  # of activations, which stay floats here
            arrays[name] = _array(name, kind, shape, raw)
    return MarianWeights(arrays, settings)


def _settings(text: str) -> dict[str, str]:
    """The scalars of a flat YAML file, as they are written."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip().strip('"') for name, value in pairs}


def _array(name: str, kind: int, shape: tuple[int, ...], raw: bytes) -> Floats:
    count = int(np.prod(shape))
    if kind == _FLOAT32:
        return np.frombuffer(raw, np.float32, count).reshape(shape)
    if kind != _INTGEMM8:
        raise ValueError(f"'{name}' is of type {kind:#x}")
    scale = np.frombuffer(raw, np.float32, 1, count)[0]
    values = np.frombuffer(raw, np.int8, count).astype(np.float32) / scale
    if name.endswith("Wemb"):
        return values.reshape(shape)
    return np.ascontiguousarray(values.reshape(shape[::-1]).T)  # stored as (out, in)


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Which target words a source word may be rendered by, of a vocabulary that both share."""

    first: int
    """the most frequent words, which may render any"""
    begins: NDArray[np.uint64]
    words: NDArray[np.uint32]

    @staticmethod
    def read(data: bytes) -> Shortlist:
        """Raises `ValueError` where `data` is no shortlist."""
        try:
            magic, _, first, _, begins, words = struct.unpack_from("<6Q", data)
            if magic != _SHORTLIST_MAGIC:
                raise ValueError(f"begins with {magic:#x}")
            return Shortlist(
                first,
                np.frombuffer(data, np.uint64, begins, 48),
                np.frombuffer(data, np.uint32, words, 48 + 8 * begins),
            )
        except struct.error as error:
            raise ValueError(str(error)) from error

    def candidates(self, source: Iterable[int]) -> NDArray[np.int64]:
        """Ascending."""
        lists = [self.words[int(self.begins[word]) : int(self.begins[word + 1])] for word in set(source)]
        return np.unique(np.concatenate([np.arange(self.first), *lists])).astype(np.int64)
