"""Sixteen people who speak at once: no target text is lost, doubled or reordered.

For 20 s; `TSUYAKU_SOAK_S=600 make test-vllm` takes the ten minutes.
"""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from app.translation import EmbeddedTranslation, LlamaTranslation
from models.store import Store

from .server import VllmServer
from .speech import CLAUSES, PATIENT, translator
from .talk import Talk, engines

pytestmark = pytest.mark.vllm

SESSIONS = 16
SECONDS = float(os.environ.get("TSUYAKU_SOAK_S", "20"))


class Patient(LlamaTranslation):
    """Waits for two cores on which sixteen speakers, the server and the test share: this is about text, not time."""

    async def translate(self, request, *, deadline, key):
        return await super().translate(request, deadline=time.monotonic() + 30.0, key=key)


async def test_sixteen_sessions_lose_double_and_reorder_nothing(vllm: VllmServer) -> None:
    llama = translator(vllm, PATIENT, max_tokens=16)
    engine = Patient(llama, EmbeddedTranslation(Store()))
    stop = asyncio.Event()
    talks = [
        Talk(engine, tuple((n + k) % len(CLAUSES) for k in range(len(CLAUSES))), pace_s=1.0) for n in range(SESSIONS)
    ]
    async with asyncio.TaskGroup() as group:  # an assertion in any session ends all
        for talk in talks:
            group.create_task(talk.run(stop))
        await asyncio.sleep(SECONDS)
        stop.set()
    answers = [answer for talk in talks for answer in talk.answers]
    stats = llama.stats
    clauses = sum(len(talk.shown) for talk in talks)
    print(f"{SECONDS:.0f} s, {clauses} clauses, {len(answers)} answers {engines(answers)}, ", end="")
    print(f"{sum(talk.superseded for talk in talks)} superseded, failures {dict(stats.failures)}, ", end="")
    print(f"cached {stats.cached_tokens / stats.prompt_tokens:.0%} of {stats.prompt_tokens} prompt tokens")
    assert all(len(talk.shown) >= SECONDS / 60 for talk in talks)
    assert engines(answers) == {"llama": len(answers)}
    assert all(sum(answer.final for answer in talk.answers) == len(talk.shown) for talk in talks)
