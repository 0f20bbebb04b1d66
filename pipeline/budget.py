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


GPU = Budgets(recognise=500, speak=200)


@dataclass(slots=True)
class StepControl:
    """Recognition's answer to misses: a wider step between passes, then less audio in each; both back as passes get
    cheap again.

    Units are seconds of new audio before the next pass, and seconds of audio that a pass may hear.
    """

    step_s: float
    longest_s: float
    widest_s: float = 2.4
    shortest_s: float = 4.0
    _narrowest_s: float = field(init=False)
    _full_s: float = field(init=False)
    _good: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._narrowest_s, self._full_s = self.step_s, self.longest_s

    def missed(self) -> str:
        """Do the next thing that helps, and say what it was."""
        self._good = 0
        if self.step_s < self.widest_s:
            self.step_s = min(self.widest_s, self.step_s * 1.5)
            return f"step widened to {self.step_s:.1f} s"
        if self.longest_s > self.shortest_s:
            self.longest_s = self.shortest_s
            return f"context shortened to {self.longest_s:.0f} s"
        return "step and context at their limit"

    def met(self) -> None:
        self._good += 1
        if self._good < 8:
            return
        self._good = 0
        if self.longest_s < self._full_s:
            self.longest_s = self._full_s
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

    hurry_s: float = 1.0
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
