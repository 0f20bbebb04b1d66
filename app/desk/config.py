"""What people at the desk chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

PATIENT_SPEAK_MS = 2500.0  # consecutive: the speech of a phrase, of which most is ready before the person has ended
PATIENT_FIRST_AUDIO_S = 0.7  # consecutive: until a phrase begins to be heard


class Mode(Enum):
    """When the voice speaks."""

    CONSECUTIVE = "consecutive"
    """after the person"""
    SIMULTANEOUS = "simultaneous"
    """while the person goes on"""


class BargeIn(Enum):
    """What the voice does when a person begins to speak."""

    DUCK = "duck"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class DeskConfig:
    between: tuple[str, str]
    mode: Mode = Mode.CONSECUTIVE
    barge_in: BargeIn = BargeIn.DUCK
    push_to_talk: bool = False
    speeds: Mapping[str, float] = field(default_factory=dict[str, float])
    """of the voices, by language; 1 where there is none"""
