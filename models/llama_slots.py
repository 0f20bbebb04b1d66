"""A limit on what is under way at once, in the order of priority and then of age."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count


class Slots:
    """At most `limit` holders; of those who wait the lowest `key` goes first, then the one that waits longest."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._order = count()
        self._waiting: list[tuple[tuple[int, ...], int, asyncio.Future[None]]] = []

    @property
    def waiting(self) -> int:
        return sum(not entry[2].done() for entry in self._waiting)

    @asynccontextmanager
    async def hold(self, key: tuple[int, ...]) -> AsyncGenerator[None]:
        await self._acquire(key)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, key: tuple[int, ...]) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (key, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was handed over in the same turn of the loop
                self._release()
            turn.cancel()
            raise

    def _release(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
