"""What can be wrong with a microphone, noticed from its frames: one line when it begins, one when it is over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.desk.sound import FRAME_S, level_db
from models.protocols import Samples

SILENT_S = 1.5  # of digital silence: no microphone that is on gives it
SILENT_DB = -95.0
CLIPPED_SHARE = 0.002  # of the samples of a second
CLIPPED_AT = 0.985
FALL_DB_S = 20.0  # of the meter


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a device that a person should read, in one line."""

    code: str
    text: str


class Health:
    """Follows one microphone. Time is counted in frames."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.level_db = -100.0
        """peak meter: rises at once, falls slowly"""
        self._silent_s = 0.0
        self._clipped = 0
        self._frames = 0
        self._silent = False
        self._clipping = False

    def hear(self, frame: Samples) -> list[Notice]:
        level = level_db(frame)
        self.level_db = max(level, self.level_db - FALL_DB_S * FRAME_S)
        self._clipped += int(np.count_nonzero(np.abs(frame) >= CLIPPED_AT))
        self._silent_s = self._silent_s + FRAME_S if level < SILENT_DB else 0.0
        self._frames += 1
        notices = self._judge_silence()
        if self._frames * FRAME_S >= 1.0:
            notices += self._judge_clipping(self._frames * len(frame))
        return notices

    def _judge_silence(self) -> list[Notice]:
        silent = self._silent_s >= SILENT_S
        if silent == self._silent:
            return []
        self._silent = silent
        if silent:
            text = f"{self._name} gives no sound at all: is it muted, or may this program not use it?"
            return [Notice("microphone-silent", text)]
        return [Notice("microphone-heard", f"{self._name} can be heard again.")]

    def _judge_clipping(self, samples: int) -> list[Notice]:
        clipping = self._clipped > CLIPPED_SHARE * samples
        self._frames = self._clipped = 0
        before, self._clipping = self._clipping, clipping
        if clipping and not before:
            return [Notice("microphone-clipping", f"{self._name} is too loud and distorts: turn it down.")]
        return []
