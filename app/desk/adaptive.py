"""The path from the loudspeaker to the microphone, followed and subtracted, so that a person is left whole.

AEC3 hides what it cannot subtract by turning everything down, and a person who speaks at the same time with it. The
filter here, beside it, only takes away what is linear in the echo: while a person is plainly louder than what it
leaves, they are let through as it leaves them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.desk.drift import Drift, moved
from app.desk.shift import Move, Search
from app.desk.sound import FRAME, SILENCE, mean_power
from models.protocols import Samples

QUIET = 1e-6  # power, of what nobody hears


class Ahead:
    """The echo of what will be played, by a path that stays what it was."""

    def __init__(
        self,
        path: NDArray[np.complex64],
        played: NDArray[np.complex64],
        last: Samples,
        before: Sequence[Samples],
    ) -> None:
        """`last` was played last; `played` are spectra of it and what came before, newest first. `before` is the echo
        up to now."""
        self._path, self._played, self._last = path, played, last
        self.before = before

    def echo(self, played: Samples) -> Samples:
        self._played = _followed(self._played, self._last, played)
        self._last = played
        return _echo(self._played, self._path)


class LinearCanceller:
    """Three partitioned-block frequency-domain Kalman filters (Enzner and Vary 2006; Kuech, Mabande and Enzner 2014).
    The state is the echo's path; how sure a filter is of it sets the pace of learning, so that it needs no detection of
    double talk: what it does not explain counts as noise.

    The exact one takes the path for as good as fixed, so that a person who speaks teaches it nothing; one follows a
    path that wanders, as where loudspeaker and microphone have clocks of their own; the quick one follows a path that
    has changed within a second. Where another leaves much less, the exact one takes over what it has learned (two
    paths: Ochiai, Araseki and Ogihara 1977), and follows as that one does while the path keeps wandering.
    """

    PARTITIONS = 16  # frames of echo that are modelled
    STAYS = np.array([0.99999, 0.999, 0.98], np.float32)  # of a path, from frame to frame
    SMOOTH = 0.85  # of the power of what is not explained
    CONSTRAINED = 4  # partitions in a frame; in turn
    CHANGED = 0.35  # of the power that the exact one leaves, by the quick one; of a person's words it leaves more
    BETTER = 0.8  # of that power, by the one that follows a path that wanders
    UNSURE = 4.0  # times as much as the quick one, that learns it, is a path that has changed doubted
    WANDERS = 1.5  # times that it had to take over a path that had wandered, of late
    OF_LATE = 0.999  # of each of these, from frame to frame
    WORSE = 1.3  # than the power that was heard: the filter adds an echo that does not come
    ADDED = 4.0  # times the power that was heard, in one frame: there is no such echo at all
    FOLLOWED = 0.05  # of the power that was heard is left, at most, by a filter that knows the path
    EXPLAINED = 0.15  # of it is left, at most, while nobody else speaks
    ANEW = 60  # frames of echo that have to be followed, until a path that was learned anew is known for all sounds
    SOON = 20  # where it is one that was known, louder or quieter: a vowel resembles itself, a period later
    FOUND = 0.01  # of the power of a path that is what it was elsewhere, at least, may be wrong
    FOUND_SO = 0.1  # where it is also louder or quieter
    LOST = 40  # frames in which a path may be astray before it is said to have moved
    KEPT = 0.9  # of the energy of a path that is known, that has to stay within the window

    def __init__(self) -> None:
        self._played = np.zeros((self.PARTITIONS, FRAME + 1), np.complex64)  # newest first
        self._path = np.zeros((len(self.STAYS), self.PARTITIONS, FRAME + 1), np.complex64)
        self._doubt = np.ones(self._path.shape, np.float32)
        self._noise = np.zeros((len(self.STAYS), FRAME + 1), np.float32)
        self._left = np.zeros(len(self.STAYS))  # power, over the last 0.1 s
        self.heard = 0.0
        """power, over the last 0.1 s"""
        self._stays = self.STAYS.copy()
        self._wandered = 0.0
        self._drift = Drift()
        self._surprise = np.zeros(2)  # power that the exact filter leaves, and that it expected to leave
        self.astray = False
        """the path has just changed"""
        self._anew = self._anew_then = self.ANEW  # frames; then: when the path was followed last
        self._known: NDArray[np.complex64] | None = None
        """the path as it was when it was followed last"""
        self._lost = 0
        """frames since then in which it was astray"""
        self._doubted = np.ones(FRAME + 1, np.float32)
        """how unsure it was"""
        self._search: Search | None = None
        self._gone: Move | None = None  # was found, and is taken up with the next frame
        self.found = False
        """the path is known again since this frame: it was what it had been, elsewhere"""
        self._expected: deque[Samples] = deque(maxlen=Search.REACH)  # the echo of late
        self._before = SILENCE
        self._silent = 0  # frames in which nothing was played, up to now
        self._turn = 0

    def process(self, heard: Samples, played: Samples) -> Samples:
        """`heard` without what the path makes of `played`; as it is where that does not come."""
        self.found = False
        if self._gone is not None:
            self._take_up(self._gone)
        if by := self._drift.frame():
            self._move(by)
        if played.any():
            self._catch_up()
            self._silent = 0
        else:
            self._silent += 1
        left = self._subtract(heard, played) if self._echoes else np.tile(heard, (len(self.STAYS), 1))
        spectrum = np.fft.rfft(np.pad(left, ((0, 0), (FRAME, 0)))).astype(np.complex64)
        power = _power(spectrum)
        self._noise = self.SMOOTH * self._noise + (1 - self.SMOOTH) * power
        if self._echoes:
            self._learn(spectrum, power)
        self._left += 0.1 * (np.mean(np.square(left), axis=1) - self._left)
        self.heard += 0.1 * (mean_power(heard) - self.heard)
        self._follow()
        changed = self._left[-1] < self.CHANGED * self._left[0]
        self.astray = bool(changed or self._left[0] > self.WORSE * self.heard + QUIET)
        if self._echoes:
            self._find_again(heard)
        if not changed:
            return heard if mean_power(left[0]) > self.ADDED * mean_power(heard) + QUIET else left[0]
        self._take_over(slice(0, -1), -1)
        self._doubt[:-1] *= self.UNSURE
        self._anew = self.ANEW
        return left[-1]

    def _follow(self) -> None:
        """A path that wanders: the clocks of two devices drift apart."""
        self._wandered *= self.OF_LATE if self._echoes else 1
        if self._left[1] < self.BETTER * self._left[0]:
            self._take_over(0, 1)
            self._wandered += 1
        self._stays[0] = self.STAYS[1 if self._wandered > self.WANDERS else 0]

    def _move(self, by: float) -> None:
        """All that is known of the path, so many samples later."""
        self._path = moved(self._path, by)
        self._known = None if self._known is None else moved(self._known, by)

    def _take_over(self, to: int | slice, of: int) -> None:
        for state in (self._path, self._doubt, self._noise, self._left):
            state[to] = state[of]

    def shift(self, frames: int, before: Sequence[Samples]) -> None:
        """From now on `played` comes so many frames later than it did; `before` would then have come last, the newest
        first, one more than there are partitions."""
        self._align(before)
        if self._gone is not None:
            self._gone = Move(self._gone.by - frames * FRAME, self._gone.gain)
            return
        kept = max(0, self.PARTITIONS - abs(frames))
        old, new = (self.PARTITIONS - kept, 0) if frames > 0 else (0, self.PARTITIONS - kept)
        path, doubt = np.zeros_like(self._path), np.ones_like(self._doubt)
        path[:, new : new + kept] = self._path[:, old : old + kept]
        doubt[:, new : new + kept] = self._doubt[:, old : old + kept]
        self._path, self._doubt = path, doubt
        if self._known is not None:
            self._known = self._within(self._known, -frames * FRAME)
            self._search = self._search if self._known is not None else None

    def _take_up(self, move: Move) -> None:
        """The path that was known last, where it has gone."""
        self._gone = None
        known = None if self._known is None else self._within(self._known, move.by)
        if known is None:
            return
        self._known = (move.gain * known).astype(np.complex64)
        self._path[:] = self._known
        wrong = (self.FOUND if move.only else self.FOUND_SO) * np.mean(_power(self._known))
        self._doubt[:] = np.maximum(self._doubted, wrong)
        self._anew = self._anew_then if move.only else min(self._anew, self.SOON)
        self._left[:] = self.heard
        self._surprise[:] = 0
        self._expected.clear()
        self._search = None
        self.found = move.only

    def _within(self, path: NDArray[np.complex64], by: int) -> NDArray[np.complex64] | None:
        """So many samples later; None where it would not stay within the window."""
        later = moved(path, by)
        return later if np.sum(_power(later)) > self.KEPT * np.sum(_power(path)) else None

    def _align(self, before: Sequence[Samples]) -> None:
        self._catch_up()
        self._before = before[0]
        pairs = [np.concatenate([one, next_]) for next_, one in pairwise(before)]
        self._played = np.fft.rfft(np.stack(pairs)).astype(np.complex64)

    def moved(self) -> None:
        """Echoes come sooner or later than before, about now. Where the path was known until now, it is what it was."""
        if self._search is not None and self._search.told:
            self._search.prolong()
        else:
            self._search = Search(self._expected, told=self._lost < self.LOST)

    def ahead(self) -> Ahead | None:
        """By the path that was known until now; None where there was none, or nothing was played."""
        unknown = self._lost >= self.LOST or self._gone is not None
        if self._known is None or unknown or not self._echoes:
            return None
        return Ahead(self._known, self._played, self._before, tuple(self._expected))

    def goes(self, move: Move) -> None:
        """The path that was known until now is found to have gone there."""
        self._gone, self._search = move, None

    @property
    def later(self) -> int:
        """Samples by which the echo was just found to come later than before; its path will be taken up as such."""
        return 0 if self._gone is None else self._gone.by

    @property
    def anew(self) -> bool:
        """The path is being learned: what it does with sounds that have not been played yet is not known."""
        return self._anew > 0

    @property
    def gain(self) -> float:
        """Of the power of what was played, in the path that was known last; 0 where none was."""
        return 0.0 if self._known is None else float(np.sum(_power(self._known))) / FRAME

    @property
    def surprise_db(self) -> float:
        """What is left, to what the filter expects to leave of the echo, given how sure it is of each part of the path:
        not much above 0 dB while nobody speaks, also while a path is being learned."""
        left, expected = self._surprise + QUIET
        return float(10 * np.log10(left / expected))

    @property
    def _echoes(self) -> bool:
        """Some of what is modelled was played; else there is nothing to subtract, and nothing to learn from."""
        return self._silent <= self.PARTITIONS

    def _subtract(self, heard: Samples, played: Samples) -> NDArray[np.float32]:
        """What each filter leaves."""
        self._played = _followed(self._played, self._before, played)
        self._before = played
        echo = np.fft.irfft(np.einsum("pf,spf->sf", self._played, self._path), 2 * FRAME)[:, FRAME:]
        return (heard - echo).astype(np.float32)

    def _find_again(self, heard: Samples) -> None:
        """A path that has only moved, as where a stream begins anew, need not be learned again."""
        if self.astray and self._known is not None:
            self._search = self._search or Search(self._expected)
            self._lost += 1
        elif self._left[0] < self.FOLLOWED * self.heard and self.heard > QUIET:
            self._known, self._doubted = self._path[0].copy(), np.mean(self._doubt[0], axis=0)
            self._anew = self._anew_then = max(0, self._anew - 1)
            self._lost = 0
        if self._known is None:
            return
        echo = _echo(self._played, self._known)
        if self._search is not None:
            self._gone = self._search.add(heard, echo)
            if self._search.over and self._gone is None:
                self._search = None
        self._expected.append(echo)

    def _learn(self, left: NDArray[np.complex64], now: NDArray[np.float32]) -> None:
        """From the spectra of what was left, and their power."""
        power = _power(self._played)
        expected = 0.5 * np.einsum("spf,pf->sf", self._doubt, power)
        self._surprise += 0.3 * (np.array([now[0].sum(), expected[0].sum()]) - self._surprise)
        noise = self._noise.copy()
        noise[:-1] = np.maximum(noise[:-1], now[:-1])  # a person who begins is no echo to learn from
        step = self._doubt / (expected + 2 * noise + 1e-10)[:, None]
        self._path += step * (np.conj(self._played) * left[:, None])
        some = [(self._turn + n) % self.PARTITIONS for n in range(self.CONSTRAINED)]
        self._turn = (self._turn + self.CONSTRAINED) % self.PARTITIONS
        impulses = np.fft.irfft(self._path[:, some], 2 * FRAME)
        impulses[..., FRAME:] = 0  # a partition is no longer than a frame
        self._path[:, some] = np.fft.rfft(impulses)
        self._doubt *= np.maximum(1 - 0.5 * step * power, 0)
        if self._left[1] < self.EXPLAINED * self.heard:
            self._drift.look(self._path[1])
        self._age(1)

    def _age(self, frames: int) -> None:
        """The path may have changed by so much."""
        kept = (self._stays ** (2 * frames))[:, None, None]
        change = _power(self._path)
        change += np.mean(change, axis=1, keepdims=True)  # into any partition
        self._doubt = kept * self._doubt + (1 - kept) * change

    def _catch_up(self) -> None:
        """Age by the frames in which there was nothing to learn from: nothing else happened in them."""
        if self._silent > self.PARTITIONS:
            self._age(self._silent - self.PARTITIONS)
            self._silent = self.PARTITIONS


def _followed(played: NDArray[np.complex64], last: Samples, now: Samples) -> NDArray[np.complex64]:
    """Spectra of what was played, the newest first, after one more frame."""
    followed = np.roll(played, 1, axis=0)
    followed[0] = np.fft.rfft(np.concatenate([last, now]))
    return followed


def _echo(played: NDArray[np.complex64], path: NDArray[np.complex64]) -> Samples:
    return np.fft.irfft(np.einsum("pf,pf->f", played, path), 2 * FRAME)[FRAME:].astype(np.float32)


def _power(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.square(spectrum.real) + np.square(spectrum.imag)
