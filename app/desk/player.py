"""What waits to be spoken and what is being spoken: frames for the loudspeaker, with ducking, holding and stopping."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from app.desk.sound import FRAME, FRAME_S, SILENCE
from models.protocols import Samples

RAMP_S = 0.05  # from one gain to another
DUCKED = 0.2


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of speech at the desk's rate; `turn` is what it belongs to."""

    turn: int
    samples: Samples
    goes_on: bool = False
    """with the phrase of the piece before"""


class Player:
    """Filled by the conversation, emptied by the sound loop, ten milliseconds at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Piece] = deque()
        self._newest = -1  # turn that something was played of
        self._piece: Piece | None = None
        self._at = 0
        self._phrase: list[Piece] = []  # what has begun of the newest one
        self._handed = 0  # frames since it began
        self._again: Piece | None = None  # the first of the phrase that was taken back
        self._held = False
        self._cut_off = False  # a phrase of which more may come
        self._gain = self._wanted = 1.0
        self._begun: deque[int] = deque(maxlen=100)

    def play(self, piece: Piece) -> None:
        with self._lock:
            self._cut_off = self._cut_off and piece.goes_on
            if self._cut_off:
                return
            own = [at for at, waits in enumerate(self._waiting) if waits.turn == piece.turn]
            if piece.goes_on and own:  # behind its own phrase, whatever was asked for meanwhile
                self._waiting.insert(own[-1] + 1, piece)
            else:
                self._waiting.append(piece)
                self._newest = piece.turn

    def hold(self, held: bool) -> None:
        """While held nothing new begins; a phrase that has begun is finished."""
        with self._lock:
            self._held = held

    def duck(self, ducked: bool) -> None:
        with self._lock:
            self._wanted = DUCKED if ducked else 1.0

    def stop(self, turn: int | None = None) -> int:
        """Forget what waits, of one turn or of all, and what is still to come of its last phrase; what is sounding
        fades out. Returns the pieces that were left."""
        with self._lock:
            kept = deque(p for p in self._waiting if turn is not None and p.turn != turn)
            left = len(self._waiting) - len(kept)
            self._cut_off = self._cut_off or turn in (None, self._newest)
            self._waiting = kept
            if self._piece is not None and turn in (None, self._piece.turn):
                self._fade(self._piece)
                self._phrase = []
                left += 1
            return left

    def step_back(self, most_s: float) -> int | None:
        """Take back the phrase that is sounding if it began at most `most_s` ago, and was not taken back before: it
        fades out, and what was handed out of it waits for the end of the hold that begins now. Returns its turn."""
        with self._lock:
            if self._piece is None or not self._phrase or self._phrase[0] is self._again:
                return None
            if self._handed * FRAME_S > most_s:
                return None
            self._again, turn = self._phrase[0], self._piece.turn
            self._waiting.extendleft(reversed(self._phrase))
            self._fade(self._piece)
            self._held = True
            self._begun = deque((each for each in self._begun if each != turn), self._begun.maxlen)
            return turn

    @property
    def sounding(self) -> bool:
        with self._lock:
            return self._piece is not None

    @property
    def waiting_s(self) -> float:
        with self._lock:
            rest = sum(len(piece.samples) for piece in self._waiting)
            rest += len(self._piece.samples) - self._at if self._piece else 0
            return rest / FRAME * FRAME_S

    def begun(self) -> list[int]:
        """The turns that began to sound since the last call."""
        with self._lock:
            turns = list(self._begun)
            self._begun.clear()
            return turns

    def frame(self) -> Samples:
        """The next 10 ms."""
        with self._lock:
            out = self._next()
            if out is SILENCE:
                self._gain = self._wanted
                return out
            step = FRAME_S / RAMP_S
            after = self._gain + float(np.clip(self._wanted - self._gain, -step, step))
            if self._gain == after == 1.0:
                return out
            ramp = np.linspace(self._gain, after, FRAME, dtype=np.float32)
            self._gain = after
            return out * ramp

    def _fade(self, piece: Piece) -> None:
        end = min(len(piece.samples), self._at + FRAME)
        self._piece = Piece(piece.turn, _faded(piece.samples[:end], end - self._at))

    def _next(self) -> Samples:
        self._handed += 1
        parts: list[Samples] = []
        missing = FRAME
        while missing:
            if self._piece is None:
                if not self._waiting or (self._held and not self._waiting[0].goes_on):
                    break
                self._piece, self._at = self._waiting.popleft(), 0
                if not self._piece.goes_on:
                    self._phrase, self._handed = [], 1
                self._phrase.append(self._piece)
                self._begun.append(self._piece.turn)
            part = self._piece.samples[self._at : self._at + missing]
            parts.append(part)
            missing -= len(part)
            self._at += len(part)
            if self._at >= len(self._piece.samples):
                self._piece = None
        if not parts:
            return SILENCE
        return np.concatenate([*parts, np.zeros(missing, np.float32)]) if missing or len(parts) > 1 else parts[0]


def _faded(samples: Samples, length: int) -> Samples:
    faded = samples.copy()
    if length > 0:
        faded[-length:] *= np.linspace(1, 0, length, dtype=np.float32)
    return faded
