"""The one clock of a session: ms since the first sample of the source."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.audio import ms


class Clock:
    """Where a session is. `reached` says how much audio has come in.

    A live clock follows wall time from the capture of the first sample. The clock of a file that runs as fast as the
    machine can is the position of the audio itself.
    """

    def __init__(self, *, live: bool, now: Callable[[], float] = time.monotonic) -> None:
        self.live = live
        self._now = now
        self._origin: float | None = None
        self._samples = 0

    def reached(self, samples: int) -> None:
        """`samples` in all have come in; the first call fixes when the first sample was captured."""
        self._samples = max(self._samples, samples)
        if self._origin is None:
            self._origin = self._now() - ms(samples) / 1000

    def skip(self, samples: int) -> None:
        """The source paused for as long as `samples` last, and they will never come in."""
        if self._origin is not None:
            self._origin += ms(samples) / 1000

    def now_ms(self) -> float:
        if not self.live:
            return ms(self._samples)
        return 0.0 if self._origin is None else (self._now() - self._origin) * 1000

    def deadline(self, budget_ms: float) -> float:
        """A point of the scheduler's clock, `budget_ms` from now."""
        return self._now() + budget_ms / 1000
