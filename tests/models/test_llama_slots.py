"""Who goes next when the server has enough to do."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from models.llama_slots import Slots


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Holder:
    def __init__(self, slots: Slots, key: int, log: list[int], name: int) -> None:
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._hold(slots, key, log, name))

    async def _hold(self, slots: Slots, key: int, log: list[int], name: int) -> None:
        async with slots.hold((key,)):
            log.append(name)
            await self.leave.wait()


async def test_lowest_key_goes_first_then_the_oldest() -> None:
    slots, log = Slots(1), list[int]()
    holders = []
    for name, key in enumerate([1, 1, 0, 1, 0]):
        holders.append(Holder(slots, key, log, name))
        await settle()
    assert slots.waiting == 4
    for _ in range(5):
        holders[log[-1]].leave.set()
        await settle()
    assert log == [0, 2, 4, 1, 3]


@given(st.integers(1, 3), st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["leave", "cancel"])), max_size=12))
def test_slots_are_neither_lost_nor_doubled(limit: int, people: list[tuple[int, str]]) -> None:
    async def scenario() -> None:
        slots, log = Slots(limit), list[int]()
        holders = [Holder(slots, key, log, name) for name, (key, _) in enumerate(people)]
        await settle()
        assert len(log) == min(limit, len(people))
        for holder, (_, how) in zip(holders, people, strict=True):
            if how == "leave":
                holder.leave.set()
            else:
                holder.task.cancel()
            inside = [h for name in log if not (h := holders[name]).task.done() and not h.leave.is_set()]
            assert len(inside) <= limit
            await settle()
        for holder in holders:
            holder.leave.set()
        await asyncio.gather(*(holder.task for holder in holders), return_exceptions=True)
        assert slots.waiting == 0
        after = [Holder(slots, 0, log, -1) for _ in range(limit + 1)]
        await settle()
        assert log.count(-1) == limit
        for holder in after:
            holder.leave.set()
        await asyncio.gather(*(holder.task for holder in after))

    asyncio.run(scenario())
