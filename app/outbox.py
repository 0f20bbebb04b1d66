"""What waits for one listener, and DESIGN's rule for a slow one: coalesce tentative text, then drop audio, never
committed text. Plain state: nothing here does I/O or waits.

Committed text is not queued at all: an outbox is a place in the room's history. Tentative text is not queued either: it
is read from the room when it is sent, so that what was overtaken is never sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.direct import Outgoing
from app.history import ROOM, SOURCE, Entry, History
from app.protocol import Wanted

LONGEST_AUDIO_MS = 10_000.0  # that waits for one listener; what is older would be heard too late

TailKey = tuple[int, str, bool]
"""channel, language, translated"""


@dataclass(slots=True)
class Drops:
    """What was lost, for the metrics: frames that slow listeners did not get, and speech that no recogniser heard."""

    tentative: int = 0
    audio: int = 0
    speech_s: float = 0.0


class Outbox:
    """`changed` is called when there is something for `next`."""

    def __init__(
        self,
        history: History,
        tails: Mapping[TailKey, Outgoing],
        wanted: Wanted,
        after: int,
        changed: Callable[[], None],
        drops: Drops | None = None,
    ) -> None:
        self.wanted = wanted
        self.drops = drops or Drops()
        self.committed_at: float | None = None
        """when the item that `next` gave last was committed; None where it was something else"""
        self._history = history
        self._tails = tails
        self._changed = changed
        self._had = dict.fromkeys(_feeds(wanted), after)
        self._scanned = after
        self._told: deque[Outgoing] = deque()
        self._latest: dict[str, Outgoing] = {}
        self._dirty: dict[TailKey, None] = dict.fromkeys(key for key in tails if self._wants_tail(key))
        self._audio: deque[tuple[Outgoing, float]] = deque()
        self._audio_ms = 0.0

    def follow(self, wanted: Wanted) -> None:
        """Listen to something else: of feeds that are new, what is kept comes too."""
        before = self._had
        self.wanted = wanted
        self._had = {feed: before.get(feed, 0) for feed in _feeds(wanted)}
        if self._had.keys() - before.keys():
            self._scanned = 0
        self._dirty = dict.fromkeys(key for key in self._tails if self._wants_tail(key))
        self._changed()

    def committed(self, feed: str) -> None:
        """The history has more of `feed`."""
        if feed in self._had:
            self._changed()

    def tail(self, key: TailKey) -> None:
        """A tail of the room changed."""
        if self._wants_tail(key):
            self.drops.tentative += key in self._dirty
            self._dirty[key] = None
            self._changed()

    def tell(self, text: str) -> None:
        """A message to this client alone, sent behind what was committed before it."""
        self._told.append(Outgoing(text))
        self._changed()

    def latest(self, kind: str, message: Outgoing) -> None:
        """A message of which only the newest of its kind matters."""
        self._latest[kind] = message
        self._changed()

    def voice(self, frame: Outgoing, duration_ms: float) -> None:
        self._audio.append((frame, duration_ms))
        self._audio_ms += duration_ms
        while self._audio_ms > LONGEST_AUDIO_MS and len(self._audio) > 1:
            self._audio_ms -= self._audio.popleft()[1]
            self.drops.audio += 1
        self._changed()

    def __len__(self) -> int:
        """Messages that wait, committed ones of other languages included."""
        return self._history.newest - self._scanned + len(self._told) + len(self._dirty) + len(self._audio)

    def next(self) -> Outgoing | None:
        """What to send next, or None."""
        if (entry := self._next_committed()) is not None:
            self.committed_at = entry.at
            return entry.outgoing
        self.committed_at = None
        if self._told:
            return self._told.popleft()
        if self._latest:
            return self._latest.pop(next(iter(self._latest)))
        if self._dirty:
            key = next(iter(self._dirty))
            del self._dirty[key]
            return self._tails.get(key) or self.next()
        if self._audio:
            frame, duration_ms = self._audio.popleft()
            self._audio_ms -= duration_ms
            return frame
        return None

    def _next_committed(self) -> Entry | None:
        while (entry := self._history.at(self._scanned + 1)) is not None:
            self._scanned = entry.sequence
            if self._had.get(entry.feed, entry.sequence) < entry.sequence:
                self._had[entry.feed] = entry.sequence
                return entry
        for feed in self._had:
            self._had[feed] = self._scanned
        return None

    def _wants_tail(self, key: TailKey) -> bool:
        _, language, translated = key
        if not self.wanted.tentative:
            return False
        return language in self.wanted.captions if translated else self.wanted.source


def _feeds(wanted: Wanted) -> list[str]:
    return [ROOM, *([SOURCE] if wanted.source else []), *wanted.captions]
