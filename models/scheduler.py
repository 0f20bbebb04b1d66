"""One worker thread per engine, shared by all sessions.

Waiting requests run earliest deadline first. A newer request with the same key supersedes the older one while it
waits; a cancelled or superseded request is dropped before it costs anything. Where the engine gains from a batch,
up to `max_batch` waiting requests run as one, and one by one where that fails. The engine is created on its worker
thread and never leaves it, so engines that are bound to a thread work too.
"""

from __future__ import annotations

import asyncio
import atexit
import heapq
import itertools
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")
Asked = TypeVar("Asked", contravariant=True)

Run = Callable[[Sequence[Request]], Sequence[Result]]


EXIT_WAIT_S = 10.0  # for the batch in hand when the process ends

_started: weakref.WeakSet[Scheduler[Any, Any]] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Native engines crash where the interpreter goes away beneath them: every worker ends first."""
    for scheduler in list(_started):
        scheduler.close()
        scheduler.join(EXIT_WAIT_S)


def loads() -> list[tuple[str, Load]]:
    """What each worker of this process has done so far, by name."""
    return sorted((scheduler.name, scheduler.load()) for scheduler in list(_started))


POLITE = 5
niceness = 0
"""of workers that start from now on, and of the threads that their engines make (Linux): a process that also serves
many sockets, or a sound card, lets those go first and is `POLITE`"""


def _be_nice(value: int) -> None:
    if value and sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + value)


class Superseded(Exception):
    """A newer request with the same key took this one's place in the queue."""


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """A result with the time it took."""

    result: Result
    queue_s: float
    """from submission to the start of the work"""
    compute_s: float


@dataclass(frozen=True, slots=True, order=True)
class Load:
    """What a worker has done so far, for metrics."""

    waiting: int
    done: int
    dropped: int
    queue_s: float
    compute_s: float


@dataclass(order=True, slots=True)
class _Job(Generic[Request, Result]):
    deadline: float
    number: int
    request: Request = field(compare=False)
    key: Hashable | None = field(compare=False)
    future: Future[Done[Result]] = field(compare=False)
    submitted: float = field(compare=False)


class Submits(Protocol[Asked, Result]):
    """What takes requests of a kind: a worker, or a share of one."""

    async def start(self) -> None: ...

    async def submit(self, request: Asked, *, deadline: float, key: Hashable | None = None) -> Done[Result]: ...


class Share(Generic[Request, Result]):
    """Another kind of request to an engine that has a worker, or the same in another form: all wait in one queue."""

    def __init__(self, worker: Submits[Any, Any], wrap: Callable[[Request], Any]) -> None:
        self._worker = worker
        self._wrap = wrap

    async def start(self) -> None:
        await self._worker.start()

    async def submit(self, request: Request, *, deadline: float, key: Hashable | None = None) -> Done[Result]:
        return await self._worker.submit(self._wrap(request), deadline=deadline, key=key)


class Scheduler(Generic[Request, Result]):
    """Owns one engine. `create` runs on the worker thread and returns the function that serves a batch."""

    def __init__(
        self,
        name: str,
        create: Callable[[], Run[Request, Result]],
        *,
        max_batch: int = 1,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._create = create
        self._max_batch = max_batch
        self._now = now
        self._numbers = itertools.count()
        self._jobs: list[_Job[Request, Result]] = []
        self._latest: dict[Hashable, _Job[Request, Result]] = {}
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._ready: Future[None] = Future()
        self._done = 0
        self._dropped = 0
        self._queue_s = 0.0
        self._compute_s = 0.0

    async def start(self) -> None:
        """Create the engine; raises what its creation raised. Calling it again waits for the same creation."""
        with self._wake:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"tsuyaku-{self.name}", daemon=True)
                self._thread.start()
                _started.add(self)
        await asyncio.shield(asyncio.wrap_future(self._ready))

    async def submit(self, request: Request, *, deadline: float, key: Hashable | None = None) -> Done[Result]:
        """Run `request`; `deadline` in s on the clock of `now` decides the order. Raises `Superseded`."""
        await self.start()
        job = _Job(deadline, next(self._numbers), request, key, Future[Done[Result]](), self._now())
        with self._wake:
            if key is not None:
                older = self._latest.get(key)
                if older is not None and not older.future.running():
                    self._drop(older)
                self._latest[key] = job
            heapq.heappush(self._jobs, job)
            self._wake.notify()
        return await asyncio.wrap_future(job.future)

    def load(self) -> Load:
        with self._wake:
            return Load(len(self._jobs), self._done, self._dropped, self._queue_s, self._compute_s)

    def close(self) -> None:
        """Stop the worker after the batch in hand; what waits is cancelled."""
        with self._wake:
            self._closed = True
            for job in self._jobs:
                job.future.cancel()
            self._jobs.clear()
            self._wake.notify()

    def join(self, timeout_s: float) -> None:
        """Wait until the worker has ended, after `close`."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _drop(self, job: _Job[Request, Result]) -> None:
        if job.future.set_running_or_notify_cancel() and not job.future.done():
            job.future.set_exception(Superseded())

    def _work(self) -> None:
        _be_nice(niceness)
        try:
            run = self._create()
        except BaseException as error:
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        while batch := self._next_batch():
            self._serve(run, batch)

    def _next_batch(self) -> list[_Job[Request, Result]]:
        with self._wake:
            while True:
                batch: list[_Job[Request, Result]] = []
                while self._jobs and len(batch) < self._max_batch:
                    job = heapq.heappop(self._jobs)
                    if self._latest.get(job.key) is job:
                        del self._latest[job.key]
                    if not job.future.done() and job.future.set_running_or_notify_cancel():
                        batch.append(job)
                    else:
                        self._dropped += 1
                if batch or self._closed:
                    return batch
                self._wake.wait()

    def _serve(self, run: Run[Request, Result], batch: list[_Job[Request, Result]]) -> None:
        started = self._now()
        try:
            results = run([job.request for job in batch])
        except Exception as error:
            if len(batch) > 1:  # one request does not fail the others
                for job in batch:
                    self._serve(run, [job])
            else:
                batch[0].future.set_exception(error)
            return
        compute = self._now() - started
        with self._wake:
            self._done += len(batch)
            self._compute_s += compute
            self._queue_s += sum(started - job.submitted for job in batch)
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(Done(result, started - job.submitted, compute))
