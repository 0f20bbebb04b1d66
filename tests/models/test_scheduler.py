"""The scheduler: order, superseding, cancellation, batches. Time stands still; a gate holds the worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from models.scheduler import Scheduler, Share, Superseded


class Engine:
    """Notes what it is given, and waits at a gate so that a queue can form."""

    def __init__(self) -> None:
        self.served: list[list[str]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def create(self) -> Callable[[Sequence[str]], Sequence[str]]:
        return self.run

    def run(self, batch: Sequence[str]) -> Sequence[str]:
        self.served.append(list(batch))
        self.entered.set()
        assert self.gate.wait(10)
        if "fails" in batch:
            raise ValueError("engine")
        return [text.upper() for text in batch]


async def occupied(scheduler: Scheduler[str, str], engine: Engine) -> asyncio.Task[object]:
    """Keep the worker busy until the gate opens."""
    first = asyncio.ensure_future(scheduler.submit("first", deadline=0))
    await asyncio.to_thread(engine.entered.wait, 10)
    return first


async def queued(scheduler: Scheduler[str, str], count: int) -> None:
    while scheduler.load().waiting < count:
        await asyncio.sleep(0)


async def test_scheduler_serves_the_earliest_deadline_first() -> None:
    engine = Engine()
    scheduler = Scheduler[str, str]("test", engine.create)
    first = await occupied(scheduler, engine)
    late = asyncio.ensure_future(scheduler.submit("late", deadline=9))
    await queued(scheduler, 1)
    soon = asyncio.ensure_future(scheduler.submit("soon", deadline=1))
    await queued(scheduler, 2)
    engine.gate.set()
    await asyncio.gather(first, late, soon)
    assert engine.served == [["first"], ["soon"], ["late"]]


async def test_newer_request_supersedes_the_waiting_one_with_its_key() -> None:
    engine = Engine()
    scheduler = Scheduler[str, str]("test", engine.create)
    first = await occupied(scheduler, engine)
    old = asyncio.ensure_future(scheduler.submit("old", deadline=1, key="clause"))
    await queued(scheduler, 1)
    new = asyncio.ensure_future(scheduler.submit("new", deadline=2, key="clause"))
    with pytest.raises(Superseded):
        await old
    engine.gate.set()
    assert (await new).result == "NEW"
    await first
    assert ["old"] not in engine.served
    assert scheduler.load().dropped == 1


async def test_cancelled_request_costs_nothing() -> None:
    engine = Engine()
    scheduler = Scheduler[str, str]("test", engine.create)
    first = await occupied(scheduler, engine)
    waiting = asyncio.ensure_future(scheduler.submit("waiting", deadline=1))
    await queued(scheduler, 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    engine.gate.set()
    await first
    assert (await scheduler.submit("last", deadline=2)).result == "LAST"
    assert engine.served == [["first"], ["last"]]


async def test_waiting_requests_run_as_one_batch() -> None:
    engine = Engine()
    scheduler = Scheduler[str, str]("test", engine.create, max_batch=2)
    first = await occupied(scheduler, engine)
    rest = [asyncio.ensure_future(scheduler.submit(name, deadline=i)) for i, name in enumerate("abc")]
    await queued(scheduler, 3)
    engine.gate.set()
    await asyncio.gather(first, *rest)
    assert engine.served == [["first"], ["a", "b"], ["c"]]


async def test_request_that_fails_does_not_fail_its_batch() -> None:
    engine = Engine()
    scheduler = Scheduler[str, str]("test", engine.create, max_batch=3)
    first = await occupied(scheduler, engine)
    rest = [asyncio.ensure_future(scheduler.submit(name, deadline=i)) for i, name in enumerate(("a", "fails", "b"))]
    await queued(scheduler, 3)
    engine.gate.set()
    await first
    one, two, three = await asyncio.gather(*rest, return_exceptions=True)
    assert isinstance(two, ValueError)
    assert [done.result for done in (one, three) if not isinstance(done, BaseException)] == ["A", "B"]
    assert engine.served == [["first"], ["a", "fails", "b"], ["a"], ["fails"], ["b"]]


async def test_failure_of_the_engine_reaches_who_asked_and_the_worker_goes_on() -> None:
    engine = Engine()
    engine.gate.set()
    scheduler = Scheduler[str, str]("test", engine.create)
    with pytest.raises(ValueError, match="engine"):
        await scheduler.submit("fails", deadline=0)
    assert (await scheduler.submit("next", deadline=0)).result == "NEXT"


async def test_failure_to_create_the_engine_is_raised_by_start() -> None:
    def create() -> Callable[[Sequence[str]], Sequence[str]]:
        raise OSError("no weights")

    scheduler = Scheduler[str, str]("test", create)
    with pytest.raises(OSError, match="no weights"):
        await scheduler.start()


async def test_another_kind_of_request_waits_in_the_same_queue() -> None:
    engine = Engine()
    scheduler = Scheduler[str, str]("test", engine.create)
    share = Share[int, str](scheduler, lambda number: f"number {number}")
    first = await occupied(scheduler, engine)
    late = asyncio.ensure_future(scheduler.submit("late", deadline=9))
    shared = asyncio.ensure_future(share.submit(5, deadline=5))
    await queued(scheduler, 2)
    engine.gate.set()
    assert (await shared).result == "NUMBER 5"
    await asyncio.gather(first, late)
    assert engine.served == [["first"], ["number 5"], ["late"]]
    scheduler.close()
