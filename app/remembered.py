"""Small things that are kept from one run to the next, each in a file of its own. None is missed where it is lost."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TypeVar

import msgspec

Kept = TypeVar("Kept", bound=msgspec.Struct)


def recall(path: Path, kind: type[Kept]) -> Kept | None:
    """None where there is nothing, or nothing that can be read as `kind`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def remember(value: msgspec.Struct, path: Path) -> None:
    """A folder that cannot be written only means that it is found out again."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(value))
