"""Audio through the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np

from models.protocols import SAMPLE_RATE, Samples
from pipeline.audio import Stretch, ms
from pipeline.channel import Channel
from pipeline.events import Voice
from pipeline.gate import Gate, GateItem, Onset, Pause
from pipeline.stages.shared import Shared


async def listen(shared: Shared, gate: Gate, audio: Channel[Stretch], gated: Channel[GateItem]) -> None:
    """Until `audio` ends; `gated` ends with it."""

    async def release(item: GateItem) -> None:
        if isinstance(item, Onset | Pause):
            active = isinstance(item, Onset)
            await shared.emit(Voice(emitted_ms=shared.clock.now_ms(), active=active, source_ms=ms(item.at)))
        await gated.put(item)

    heard, late = 0, False
    async for stretch in audio:
        for samples in (*_silence(stretch.start - heard), stretch.samples):
            for item in gate.process(samples):
                await release(item)
            await asyncio.sleep(0)
        heard = stretch.end
        late = await _judge(shared, ms(heard), late)
    for item in gate.finish():
        await release(item)
    await gated.close()


async def _judge(shared: Shared, captured_ms: float, late: bool) -> bool:
    """Whether live audio is heard later than its budget; a miss is said once, where that begins."""
    budget, actual = shared.config.budgets.capture, shared.clock.now_ms() - captured_ms
    if not shared.config.live or actual <= budget:
        return False
    if not late:
        await shared.miss("capture", "", -1, budget, actual, "heard late")
    return True


def _silence(samples: int) -> Iterator[Samples]:
    """In place of live audio that was dropped unheard: what follows keeps its time."""
    for begin in range(0, samples, SAMPLE_RATE):
        yield np.zeros(min(SAMPLE_RATE, samples - begin), np.float32)
