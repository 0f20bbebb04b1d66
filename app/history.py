"""What a room has committed, in order and numbered: whoever comes back gets what it lacks. Plain state, no I/O."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.direct import Outgoing
from app.protocol import Message, Resume, encode

ROOM = ""  # the feed of messages that everybody gets
SOURCE = "source"  # the feed of what was said; every other feed is a target language


@dataclass(frozen=True, slots=True)
class Entry:
    sequence: int
    feed: str
    message: Message
    outgoing: Outgoing
    """the message, serialised once for all listeners"""
    at: float
    """s on the clock of the room"""


class History:
    """At most `capacity` entries, the newest ones. Sequences begin at 1 and have no gap."""

    def __init__(self, capacity: int, now: Callable[[], float] = time.monotonic) -> None:
        self.epoch = secrets.token_hex(8)
        self._capacity = capacity
        self._now = now
        self._entries: list[Entry] = []
        self._first = 1

    @property
    def newest(self) -> int:
        return self._first + len(self._entries) - 1

    @property
    def cut(self) -> bool:
        """Whether the oldest entries are gone."""
        return self._first > 1

    def append(self, feed: str, make: Callable[[int], Message]) -> Entry:
        """`make` gets the sequence number of the message."""
        message = make(self.newest + 1)
        entry = Entry(self.newest + 1, feed, message, Outgoing(encode(message)), self._now())
        self._entries.append(entry)
        if len(self._entries) > self._capacity:
            cut = max(1, self._capacity // 10)  # in one go: cutting a list costs its length
            del self._entries[:cut]
            self._first += cut
        return entry

    def at(self, sequence: int) -> Entry | None:
        """The entry of that number, or the oldest one kept after it; None past the newest."""
        index = max(0, sequence - self._first)
        return self._entries[index] if index < len(self._entries) else None

    def recovers(self, resume: Resume | None) -> bool:
        """Whether nothing is gone of what followed."""
        if resume is None or resume.epoch != self.epoch:
            return False
        return self._first - 1 <= resume.sequence <= self.newest

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)
