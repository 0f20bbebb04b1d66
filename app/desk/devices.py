"""Microphones and loudspeakers: listed, chosen by name or number, remembered, and watched.

PortAudio knows the devices of macOS and Windows by their names. On Linux it sees the sound server as one device, so the
server itself (PulseAudio, or PipeWire in its place) is asked for its sources and sinks, and a stream is sent to one of
them by the client library's own variables PULSE_SOURCE and PULSE_SINK, which are read when a stream opens.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import platformdirs

from app import remembered
from app.play import library
from models.errors import InputError, UnavailableError

Kind = Literal["microphone", "loudspeaker"]
VIRTUAL = ("null", "blackhole", "vb-audio", "cable", "virtual", "loopback", "monitor", "soundflower", "remap")


@dataclass(frozen=True, slots=True)
class Device:
    kind: Kind
    name: str
    """what `--microphone` and `--loudspeaker` take"""
    label: str
    channels: int
    index: int
    """PortAudio's number"""
    pulse: bool = False
    default: bool = False

    @property
    def virtual(self) -> bool:
        """Made by software, to carry sound between programs."""
        return any(mark in f"{self.name} {self.label}".casefold() for mark in VIRTUAL)


def devices() -> list[Device]:
    """What is there now, in a stable order."""
    found = library().query_devices()
    pulse = next((d["index"] for d in found if d["name"] == "pulse"), None)
    if pulse is not None and (listed := _pulse_devices(pulse)):
        return listed
    return _portaudio_devices(found)


def _portaudio_devices(found: Sequence[dict[str, Any]]) -> list[Device]:
    defaults = list(library().default.device)
    listed: list[Device] = []
    for entry in found:
        sides: tuple[tuple[Kind, str, int], ...] = (
            ("microphone", "max_input_channels", defaults[0]),
            ("loudspeaker", "max_output_channels", defaults[1]),
        )
        for kind, channels, default in sides:
            if entry[channels]:
                name, index = entry["name"], entry["index"]
                listed.append(Device(kind, name, name, entry[channels], index, default=index == default))
    return listed


def _pulse_devices(index: int) -> list[Device]:
    """Empty where no sound server answers or `pulsectl` is not installed."""
    if not sys.platform.startswith("linux"):
        return []
    try:
        pulsectl: Any = importlib.import_module("pulsectl")
        with pulsectl.Pulse("tsuyaku", connect=True) as pulse:
            server = pulse.server_info()
            inputs = [(d, server.default_source_name) for d in pulse.source_list()]
            outputs = [(d, server.default_sink_name) for d in pulse.sink_list()]
    except ImportError:
        return []
    except Exception as error:
        if type(error).__module__.startswith("pulsectl"):
            return []
        raise
    sides: tuple[tuple[Kind, list[Any]], ...] = (("microphone", inputs), ("loudspeaker", outputs))
    return [
        Device(kind, d.name, d.description or d.name, d.channel_count, index, pulse=True, default=d.name == default)
        for kind, side in sides
        for d, default in side
    ]


def choose(listed: Sequence[Device], kind: Kind, wanted: str | None) -> Device:
    """By number in the list, name, or part of a name or label; None is the default.

    Raises `InputError` `device-unknown`, `UnavailableError` `device-missing`.
    """
    among = [device for device in listed if device.kind == kind]
    if not among:
        raise UnavailableError("device-missing", f"There is no {kind} on this machine; connect one.")
    if wanted is None:
        return next((device for device in among if device.default), among[0])
    exact = [device for device in among if wanted in (device.name, device.label)]
    if not exact and wanted.isdecimal() and 0 < int(wanted) <= len(among):
        exact = [among[int(wanted) - 1]]
    if not exact:
        exact = [d for d in among if wanted.casefold() in f"{d.name} {d.label}".casefold()]
    if len(exact) == 1:
        return exact[0]
    names = ", ".join(device.name for device in (exact or among))
    reason = "fits several" if exact else "is not there"
    raise InputError("device-unknown", f"The {kind} '{wanted}' {reason}; choose one of: {names}.")


def present(device: Device) -> bool:
    """Whether the device is still there. PortAudio keeps the list that it began with: there, only its streams tell."""
    return not device.pulse or any(
        d.name == device.name and d.kind == device.kind for d in _pulse_devices(device.index)
    )


def direct(device: Device) -> None:
    """The next stream goes to this device."""
    if device.pulse:
        os.environ["PULSE_SOURCE" if device.kind == "microphone" else "PULSE_SINK"] = device.name


class Remembered(msgspec.Struct, frozen=True):
    """The devices that were chosen by name on this machine."""

    microphone: str | None = None
    loudspeaker: str | None = None


def remembered_path() -> Path:
    return platformdirs.user_state_path("tsuyaku", appauthor=False) / "devices.json"


def recall(path: Path | None = None) -> Remembered:
    return remembered.recall(path or remembered_path(), Remembered) or Remembered()


def remember(chosen: Remembered, path: Path | None = None) -> None:
    """A folder that cannot be written only means that it is asked for again."""
    remembered.remember(chosen, path or remembered_path())
