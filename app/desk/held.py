"""What is heard while it is searched where the echo has gone: who speaks meanwhile is understood afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from app.desk.adaptive import Ahead
from app.desk.shift import Move, Search
from models.protocols import Samples

Frame = tuple[Samples, Samples]
"""heard, and played"""


class Held:
    """Frames, from one in which a loudspeaker told that it had faltered to where its echo is found, or sought in
    vain."""

    LONGEST = 60  # frames: most are found within 50

    def __init__(self, ahead: Ahead, coming: Iterable[Samples]) -> None:
        """`coming` was played, and is still on its way to where `ahead` begins."""
        self._ahead = ahead
        self._coming = deque(coming)
        self._search = Search(ahead.before, told=True)
        self._frames: list[Frame] = []
        self.move: Move | None = None
        """where it has gone, once that is found"""

    @property
    def over(self) -> bool:
        return self.move is not None or len(self._frames) >= self.LONGEST

    def add(self, heard: Samples, played: Samples) -> None:
        self._frames.append((heard, played))
        self._coming.append(played)
        self.move = self._search.add(heard, self._ahead.echo(self._coming.popleft()))

    def parted(self) -> tuple[list[Frame], list[Frame]]:
        """All frames: those in which the echo came as before, or not at all, and those in which it comes where it has
        gone."""
        since = 0 if self.move is None else self._search.since(self.move)
        before = len(self._frames) - since
        return self._frames[:before], self._frames[before:]
