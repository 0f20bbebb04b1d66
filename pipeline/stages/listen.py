"""Audio through the gate."""

from __future__ import annotations

import asyncio

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

    async for stretch in audio:
        for item in gate.process(stretch.samples):
            await release(item)
        await asyncio.sleep(0)
    for item in gate.finish():
        await release(item)
    await gated.close()
