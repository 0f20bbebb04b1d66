"""The GPUs of this machine by nvidia-smi, or those that a person describes for a machine that is not here."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from models.errors import InputError, UnavailableError

MIB = 2**20
QUERY = "--query-gpu=name,memory.total,memory.free,compute_cap"
KNOWN = {
    # name: MiB in all as nvidia-smi states them, compute capability
    "a100": (81_920, 8.0),
    "l40s": (46_068, 8.9),
    "h100": (81_559, 9.0),
    "h200": (143_771, 9.0),
    "b200": (183_359, 10.0),
}


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    total: int
    """bytes"""
    free: int
    """bytes"""
    capability: float


def present() -> list[Gpu]:
    """Empty where there is no NVIDIA driver. Raises `UnavailableError` `gpu-unreadable`."""
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        done = subprocess.run(
            ["nvidia-smi", QUERY, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return [_parse(line) for line in done.stdout.splitlines() if line.strip()]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UnavailableError(
            "gpu-unreadable", "nvidia-smi does not say which GPUs there are; check the driver."
        ) from error


def _parse(line: str) -> Gpu:
    name, total, free, capability = (cell.strip() for cell in line.split(","))
    return Gpu(name, int(total) * MIB, int(free) * MIB, float(capability))


def described(text: str) -> list[Gpu]:
    """`h200` or `2xh100`, empty ones. Raises `InputError` `gpu-unknown`."""
    match = re.fullmatch(r"(?:(\d+)\s*[x×]\s*)?(\w+)", text.strip().lower())
    if match is None or match[2] not in KNOWN:
        raise InputError("gpu-unknown", f"'{text}' is no GPU that is known here; write {', '.join(KNOWN)}, or 2xh100.")
    total, capability = KNOWN[match[2]]
    gpu = Gpu(f"NVIDIA {match[2].upper()}", total * MIB, total * MIB, capability)
    return [gpu] * int(match[1] or 1)
