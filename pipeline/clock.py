"""The one clock of a session: ms since the first sample of the source."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.audio import ms

DRIFT = 0.0005  # s in a second, by which a sound device's clock may differ from this machine's
SLACK_S = 0.05  # of lateness that is none: audio comes in portions, and not evenly


class Clock:
    """Where a session is. `reached` says how much audio has come in.

    A live clock follows wall time from the capture of the first sample, and the source's own clock where the two drift
    apart: no sample comes in before it was captured, and one that comes in a little later each minute, up to `DRIFT`,
    is not late. The clock of a file that runs as fast as the machine can is the position of the audio itself.
    """

    def __init__(self, *, live: bool, now: Callable[[], float] = time.monotonic) -> None:
        self.live = live
        self._now = now
        self._origin: float | None = None
        self._reached = 0.0
        self._samples = 0

    def reached(self, samples: int) -> None:
        """`samples` in all have come in; the first call fixes when the first sample was captured."""
        self._samples = max(self._samples, samples)
        now = self._now()
        if self._origin is None:
            self._origin = now - ms(samples) / 1000
        late_s = now - self._origin - ms(self._samples) / 1000
        if late_s < 0:
            self._origin += late_s
        elif late_s > SLACK_S:
            self._origin += min(late_s - SLACK_S, DRIFT * (now - self._reached))
        self._reached = now

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
