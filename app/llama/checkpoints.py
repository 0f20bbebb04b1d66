"""The checkpoints of Llama 4 that are worth serving, and what their weights and caches take.

Sizes follow from the architecture (`config.json` of the published models): Scout has 109 billion parameters and
Maverick 400, of which a token uses 17. A local folder is measured instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from models.errors import InputError, UnavailableError

LONGEST = 262_144  # tokens that the published FP8 checkpoints see at most
CHUNK = 8192  # tokens within which three of four layers of Llama 4 look back
WIDTH_BITS = 16  # of what stays unquantised: embeddings, output, routers


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a decoder with grouped-query attention and, in every `moe_every`-th layer, routed experts."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    """of an expert, and of the one that every token passes"""
    dense_intermediate: int
    """of the layers without experts"""
    experts: int
    moe_every: int
    vocabulary: int

    @property
    def body(self) -> int:
        """Parameters of all layers."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        expert = 3 * self.hidden * self.intermediate
        routed = (self.experts + 1) * expert + self.hidden * self.experts
        with_experts = self.layers // self.moe_every
        dense = 3 * self.hidden * self.dense_intermediate
        return self.layers * attention + with_experts * routed + (self.layers - with_experts) * dense

    @property
    def ends(self) -> int:
        """Parameters of embedding and output."""
        return 2 * self.vocabulary * self.hidden

    def weight_bytes(self, bits: float) -> int:
        return int(self.body * bits / 8 + self.ends * WIDTH_BITS / 8)

    def cache_bytes(self, bits: int) -> int:
        """Of keys and values, a token."""
        return 2 * self.layers * self.kv_heads * self.head_dim * bits // 8


SCOUT = Shape(48, 5120, 40, 8, 128, 8192, 16384, experts=16, moe_every=1, vocabulary=202_048)
MAVERICK = replace(SCOUT, experts=128, moe_every=2)


@dataclass(frozen=True, slots=True)
class Draft:
    """A small head that proposes tokens for the model to check at once (EAGLE: Li et al. 2024)."""

    model: str
    method: str
    tokens: int
    """proposed at a time"""
    bytes: int = 3_000_000_000
    """an allowance: one layer and its ends at 16 bits"""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    name: str
    """what a person calls it here; a folder's name where it is one"""
    model: str
    """what vLLM loads: a name at the model hub, or a folder"""
    shape: Shape
    weight_bytes: int
    least_capability: float = 0.0
    """compute capability of the GPU from which its arithmetic runs without emulation"""
    draft: Draft | None = None
    longest: int = LONGEST
    """tokens that it can see"""
    pictures: bool = True
    """it can be shown some, which takes memory"""
    chunk: int = CHUNK
    """of chunked attention, in tokens; 0 where there is none"""
    nested: bool = True
    """its config.json has the text model's as `text_config`"""
    local: bool = False
    measured: bool = False
    """`weight_bytes` is the size of files, not an estimate"""


_SCOUT_DRAFT = Draft("morgendave/EAGLE-Llama-4-Scout-17B-16E-Instruct", "eagle", 3)
_MAVERICK_DRAFT = Draft("RedHatAI/Llama4-Maverick-17B-128E-Instruct-speculator.eagle3", "eagle3", 3)
W4A16_BITS = 4.5  # with the scale of each group of 128 and what the quantiser leaves at 16 bits

# The first that fits is taken where none is named: the best translation before the smallest memory.
PUBLISHED = (
    Checkpoint(
        "scout-fp8",
        "nvidia/Llama-4-Scout-17B-16E-Instruct-FP8",
        SCOUT,
        SCOUT.weight_bytes(8),
        least_capability=8.9,
        draft=_SCOUT_DRAFT,
    ),
    Checkpoint(
        "scout-w4a16",
        "RedHatAI/Llama-4-Scout-17B-16E-Instruct-quantized.w4a16",
        SCOUT,
        SCOUT.weight_bytes(W4A16_BITS),
        least_capability=8.0,
        draft=_SCOUT_DRAFT,
    ),
    Checkpoint(
        "maverick-fp8",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        MAVERICK,
        MAVERICK.weight_bytes(8),
        least_capability=8.9,
        draft=_MAVERICK_DRAFT,
    ),
)
AUTOMATIC = ("scout-fp8", "scout-w4a16")


def find(name: str, *, dummy: bool = False) -> Checkpoint:
    """A published checkpoint by its name here or at the hub, or a folder; `dummy` needs no weights in it.

    Raises `InputError` `unknown-model` and what `_folder` raises.
    """
    for checkpoint in PUBLISHED:
        if name in (checkpoint.name, checkpoint.model):
            return checkpoint
    if Path(name).expanduser().is_dir():
        return _folder(Path(name).expanduser(), dummy=dummy)
    names = ", ".join(checkpoint.name for checkpoint in PUBLISHED)
    raise InputError("unknown-model", f"'{name}' is neither one of {names} nor a folder with a model.")


def _folder(path: Path, *, dummy: bool) -> Checkpoint:
    """Raises `UnavailableError` `weights-missing`."""
    try:
        config = cast("dict[str, Any]", json.loads((path / "config.json").read_text("utf-8")))
        text = cast("dict[str, Any]", config.get("text_config") or config)
        shape, longest = _shape(text), int(text.get("max_position_embeddings") or LONGEST)
        chunk = int(text.get("attention_chunk_size") or 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError(
            "weights-missing", f"{path} holds no config.json of a Llama 4; give the folder of a model."
        ) from error
    size = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    if not size and not dummy:
        raise UnavailableError(
            "weights-missing", f"{path} holds no *.safetensors; add --dummy to serve random weights of that size."
        )
    estimate = shape.weight_bytes(_bits(config))
    return Checkpoint(
        path.name,
        str(path),
        shape,
        size or estimate,
        longest=longest,
        pictures="vision_config" in config,
        chunk=chunk,
        nested="text_config" in config,
        local=True,
        measured=bool(size),
    )


def _shape(config: Mapping[str, Any]) -> Shape:
    experts = int(config.get("num_local_experts") or 0)
    intermediate = int(config["intermediate_size"])
    return Shape(
        layers=int(config["num_hidden_layers"]),
        hidden=int(config["hidden_size"]),
        heads=int(config["num_attention_heads"]),
        kv_heads=int(config["num_key_value_heads"]),
        head_dim=int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]),
        intermediate=intermediate,
        dense_intermediate=int(config.get("intermediate_size_mlp") or intermediate),
        experts=experts,
        moe_every=int(config.get("interleave_moe_layer_step") or 1) if experts else 10**9,
        vocabulary=int(config["vocab_size"]),
    )


def _bits(config: Mapping[str, Any]) -> float:
    """Of a weight, as the `quantization_config` of compressed-tensors or FP8 says."""
    quantised = cast("dict[str, Any]", config.get("quantization_config") or {})
    groups = cast("dict[str, Any]", quantised.get("config_groups") or {})
    for group in groups.values():
        bits = int(group["weights"]["num_bits"])
        return W4A16_BITS if bits == 4 else bits
    return 8 if quantised.get("quant_method") in ("fp8", "modelopt") else WIDTH_BITS
