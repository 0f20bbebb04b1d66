"""That somebody may begin to speak: known from a few frames, long before a detector of speech is sure."""

from __future__ import annotations

from app.desk.sound import SILENCE, level_db
from models.protocols import Samples


class Stir:
    """Follows one microphone. What is heard while nothing was played for long is no echo; while something is, its echo
    canceller tells whether somebody is suspected."""

    AUDIBLE_DB = -55.0
    NOISE_DB = 10.0  # above the room's own sound, at least
    NOISE_RISES_DB = 0.1  # a frame, at most
    FRAMES = 4  # one after the other that are so loud: a click is shorter
    AFTER = 60  # frames since something was played: the latest echo has come, and ended

    def __init__(self) -> None:
        self.count = 0
        """times that something began to sound"""
        self._noise_db = 0.0
        self._stirring = 0
        self._unplayed = self.AFTER

    def hear(self, frame: Samples, played: Samples, *, suspected: bool) -> None:
        """`suspected`: by the canceller, up to now."""
        self._unplayed = self._unplayed + 1 if played is SILENCE or not played.any() else 0
        stirs = self._louder(frame) if self._unplayed >= self.AFTER else suspected
        self._stirring = self._stirring + 1 if stirs else 0
        self.count += self._stirring == self.FRAMES

    def _louder(self, frame: Samples) -> bool:
        level = level_db(frame)
        self._noise_db = min(level, self._noise_db + self.NOISE_RISES_DB)
        return level > max(self.AUDIBLE_DB, self._noise_db + self.NOISE_DB)
