"""To everybody in a room: what is committed, what may still change, and speech. Plain state; nothing here waits."""

from __future__ import annotations

from collections.abc import Callable

from app import protocol
from app.direct import Outgoing
from app.history import History
from app.outbox import Outbox, TailKey
from app.protocol import CloseCode, Role, encode


class Member:
    """Somebody who is connected. `close` ends the connection once its outbox is empty; `check` ends it where it is
    stuck at the time that it is given."""

    def __init__(
        self,
        role: Role,
        outbox: Outbox,
        close: Callable[[CloseCode], None],
        check: Callable[[float], None] = lambda now: None,
    ) -> None:
        self.role: Role = role
        self.outbox = outbox
        self.close = close
        self.check = check

    @property
    def speaks(self) -> bool:
        return self.role != "listener"

    def follows(self, language: str) -> bool:
        """Whether it reads or hears the language."""
        wanted = self.outbox.wanted
        return language in wanted.captions or language in wanted.voices


class Broadcast:
    """`tails` holds the newest text of each kind that may still change."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.members: set[Member] = set()
        self.tails: dict[TailKey, Outgoing] = {}

    def commit(self, feed: str, make: Callable[[int], protocol.Message]) -> None:
        entry = self.history.append(feed, make)
        for member in self.members:
            member.outbox.committed(entry.feed)

    def tail(self, key: TailKey, segment: int, text: str, *, committed: bool) -> None:
        """`committed` text has just removed the tail before it."""
        number, language, translated = key
        if not text and (committed or key not in self.tails):
            self.tails.pop(key, None)
            return
        self.tails[key] = outgoing(
            protocol.Tail(channel=number, language=language, translated=translated, segment=segment, text=text)
        )
        for member in self.members:
            member.outbox.tail(key)

    def forget_tails(self, channel: int) -> None:
        for key in [key for key in self.tails if key[0] == channel]:
            del self.tails[key]

    def latest(self, kind: str, message: protocol.Message, to: Callable[[Member], bool] = lambda member: True) -> None:
        """A message of which only the newest of its kind matters."""
        made = outgoing(message)
        for member in self.members:
            if to(member):
                member.outbox.latest(kind, made)

    def hearing(self, language: str, *, as_opus: bool) -> list[Member]:
        return [
            member
            for member in self.members
            if language in member.outbox.wanted.voices and member.outbox.wanted.opus is as_opus
        ]


def outgoing(message: protocol.Message) -> Outgoing:
    return Outgoing(encode(message))
