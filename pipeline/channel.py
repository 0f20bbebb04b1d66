"""A bounded channel between two stages: what is full makes its writer wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Channel(Generic[Item]):
    """One reader, any number of writers. Iteration ends when the channel is closed and empty."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[Item] = deque()
        self._closed = False
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def waiting(self) -> tuple[Item, ...]:
        """What has not been read, the oldest first."""
        return tuple(self._items)

    @property
    def closed(self) -> bool:
        return self._closed

    async def put(self, item: Item) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._items) < self._capacity or self._closed)
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()

    async def put_dropping_oldest(self, item: Item) -> Item | None:
        """Never wait; return what had to go."""
        async with self._changed:
            dropped = self._items.popleft() if len(self._items) >= self._capacity else None
            self._items.append(item)
            self._changed.notify_all()
            return dropped

    async def close(self) -> None:
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def get(self) -> Item | None:
        """The next item, or None at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._items) or self._closed)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    async def wait(self) -> None:
        """Until an item waits or the channel is closed."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._items) or self._closed)

    async def get_nowait(self) -> Item | None:
        """The next item if one waits."""
        async with self._changed:
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    async def __aiter__(self) -> AsyncIterator[Item]:
        while (item := await self.get()) is not None:
            yield item
