"""Virtual devices that carry sound between this program and a call: found by name, or explained."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from app.desk.devices import Device
from models.errors import UnavailableError

HOW = {
    "linux": "pactl load-module module-null-sink sink_name=tsuyaku_from_call, and the same with tsuyaku_to_call",
    "darwin": "install BlackHole 2ch and BlackHole 16ch",
    "win32": "install VB-Cable and VB-Cable A+B",
}
PAIRS = (
    ("tsuyaku_from_call", "tsuyaku_to_call"),
    ("blackhole 2ch", "blackhole 16ch"),
    ("cable output", "cable-a input"),
    ("cable output", "cable input"),
)
"""what the call plays into and is heard from, and what is spoken into and the call takes for a microphone"""


def call_devices(listed: Sequence[Device]) -> tuple[Device, Device]:
    """The remote party as a microphone, and the call's microphone as a loudspeaker.

    Raises `UnavailableError` `call-missing`.
    """
    for heard, spoken in PAIRS:
        source = _named(listed, "microphone", heard)
        sink = _named(listed, "loudspeaker", spoken)
        if source is not None and sink is not None:
            return source, sink
    how = next((text for system, text in HOW.items() if sys.platform.startswith(system)), HOW["linux"])
    raise UnavailableError("call-missing", f"There are no virtual devices for a call; to make them: {how}.")


def _named(listed: Sequence[Device], kind: str, name: str) -> Device | None:
    return next((d for d in listed if d.kind == kind and name in f"{d.name} {d.label}".casefold()), None)
