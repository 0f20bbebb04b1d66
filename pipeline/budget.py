"""Budgets per stage and what follows a miss. Plain state: what happens is decided here, asyncio is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Budgets:
    """ms per unit of work, of the stages in docs/architecture.md."""

    capture: float = 100
    recognise: float = 1000
    translate: float = 250
    speak: float = 300


SMOOTHING = 0.1  # weight of the newest pass

GPU = Budgets(recognise=500, speak=200)


@dataclass(slots=True)
class StepControl:
    """How often recognition looks, and at how much: what a pass hears follows from what passes cost on this machine, so
    that each takes at most `share` of a step. Its answer to misses: a wider step, then less audio; both back as passes
    get cheap again.

    Units are seconds of new audio before the next pass, and seconds of audio that a pass may hear.
    """

    step_s: float
    full_s: float
    """heard at most, where passes are cheap"""
    widest_s: float = 2.4
    modest_s: float = 6.0
    """heard at most, where they are not"""
    shortest_s: float = 4.0
    share: float = 0.35
    _narrowest_s: float = field(init=False)
    _pace: float = field(init=False, default=0.0)
    """s that a pass takes for each second that it hears, a moving average"""
    _short: bool = field(init=False, default=False)
    _good: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._narrowest_s = self.step_s

    @property
    def longest_s(self) -> float:
        """What a pass may hear now."""
        if self._short:
            return min(self.shortest_s, self.full_s)
        if not self._pace:
            return self.full_s
        return min(self.full_s, max(self.modest_s, self.share * self._narrowest_s / self._pace))

    def took(self, taken_s: float, heard_s: float) -> None:
        """What a pass cost. One that hears little costs as if it heard more: the encoder has a least context."""
        if heard_s >= self.modest_s:
            pace = taken_s / heard_s
            self._pace += SMOOTHING * (pace - self._pace) if self._pace else pace

    def missed(self) -> str:
        """Do the next thing that helps, and say what it was."""
        self._good = 0
        if self.step_s < self.widest_s:
            self.step_s = min(self.widest_s, self.step_s * 1.5)
            return f"step widened to {self.step_s:.1f} s"
        if not self._short and self.full_s > self.shortest_s:
            self._short = True
            return f"context shortened to {self.shortest_s:.0f} s"
        return "step and context at their limit"

    def met(self) -> None:
        self._good += 1
        if self._good < 8:
            return
        self._good = 0
        if self._short:
            self._short = False
        else:
            self.step_s = max(self._narrowest_s, self.step_s / 1.5)


@dataclass(slots=True)
class VoiceControl:
    """Speech's first answer to first audio that comes too late, clause after clause: a faster voice, where the language
    has one; after some clauses the chosen voice is tried again."""

    patience: int = 2
    """misses in a row"""
    clauses: int = 20
    """spoken by the faster voice before the chosen one is tried again"""
    _missed: int = field(init=False, default=0)
    _left: int = field(init=False, default=0)

    def next_clause(self) -> bool:
        """Whether the faster voice speaks the clause that begins now."""
        self._left = max(0, self._left - 1)
        return self._left > 0

    def missed(self) -> bool:
        """Whether the faster voice speaks from the next clause on."""
        self._missed += 1
        if self._missed >= self.patience:
            self._missed, self._left = 0, self.clauses + 1
        return self._left > 0

    def met(self) -> None:
        self._missed = 0


@dataclass(frozen=True, slots=True)
class BacklogConfig:
    """s of speech that waits to be heard."""

    hurry_s: float = 0.4
    drop_s: float = 8.0
    fastest: float = 1.5


@dataclass(frozen=True, slots=True)
class Backlog:
    """Speech's answer to being late: a higher rate, then leaving the oldest unspoken clause unspoken."""

    config: BacklogConfig

    def rate(self, behind_s: float) -> float:
        """1 up to `hurry_s`, rising to `fastest` at three times that."""
        late = (behind_s - self.config.hurry_s) / (2 * self.config.hurry_s)
        return 1 + (self.config.fastest - 1) * min(1.0, max(0.0, late))

    def drops(self, behind_s: float, waiting: int) -> bool:
        return behind_s > self.config.drop_s and waiting > 0
