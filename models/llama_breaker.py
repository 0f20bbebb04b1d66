"""A circuit breaker (Nygard, *Release It!*): a server that fails is left alone, and asked again with one request."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    failures: int = 3
    """in a row, that open it"""
    rest_s: float = 0.5
    """before the first probe; doubles with every failed one"""
    longest_rest_s: float = 2.0
    """bounds how late a server that is back is noticed"""


class CircuitBreaker:
    """Every `allow` that says yes is followed by exactly one of `succeeded`, `failed`, `released`.

    Times are seconds of any monotonic clock, given by the caller.
    """

    def __init__(self, config: BreakerConfig | None = None) -> None:
        self._config = config or BreakerConfig()
        self._failures = 0
        self._rest_s = self._config.rest_s
        self._retry_at = 0.0
        self.state = State.CLOSED

    def allow(self, now: float) -> bool:
        """Whether a request may go to the server; while it rests one probe at a time."""
        if self.state is State.CLOSED:
            return True
        if self.state is State.PROBING or now < self._retry_at:
            return False
        self.state = State.PROBING
        return True

    def succeeded(self) -> None:
        """The server works again: also when the answer is to a request from before it was left alone."""
        self._failures = 0
        self._rest_s = self._config.rest_s
        self.state = State.CLOSED

    def failed(self, now: float, *, at_once: bool = False) -> None:
        """`at_once` opens it without counting."""
        self._failures += 1
        if self.state is State.CLOSED and not at_once and self._failures < self._config.failures:
            return
        if self.state is State.PROBING:
            self._rest_s = min(self._rest_s * 2, self._config.longest_rest_s)
        if self.state is not State.OPEN:
            self.state = State.OPEN
            self._retry_at = now + self._rest_s

    def released(self, now: float) -> None:
        """The request ended without telling anything of the server: it was cancelled, or never sent."""
        if self.state is State.PROBING:
            self.state = State.OPEN
            self._retry_at = now
