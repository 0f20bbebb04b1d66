"""One utterance while it is being spoken."""

from __future__ import annotations

from models.protocols import SAMPLE_RATE
from pipeline.audio import Stretch
from pipeline.channel import Channel
from pipeline.gate import GateItem, Lull, Pause
from pipeline.recognise import Utterance

LEAST_STEP_S = 0.25  # of new audio, for a pass that a lull asks for


class LiveUtterance:
    """What has come through the gate of one utterance, up to the pause that ends it."""

    def __init__(self, utterance: Utterance, gated: Channel[GateItem], longest_s: float) -> None:
        self._gated = gated
        self._most_at_once_s = longest_s / 2
        self.utterance = utterance
        self.closed = False
        self.identified = False
        self.showed_tail = False
        self.lull = False
        """the audio taken so far ends in one"""
        self.settled = False
        """the last pass heard all speech so far: every later sound is followed by another lull"""

    @property
    def seconds(self) -> float:
        return len(self.utterance.audio.samples) / SAMPLE_RATE

    async def gather(self, step_s: float) -> None:
        """Wait for `step_s` of new audio, a lull or the pause, and take whatever more is there."""
        fresh = 0
        self.lull = False
        while not self.closed:
            enough = fresh >= step_s * SAMPLE_RATE or (self.lull and fresh >= LEAST_STEP_S * SAMPLE_RATE)
            item = await (self._gated.get_nowait() if enough else self._gated.get())
            if item is None:
                self.closed = self.closed or self._gated.closed
                return
            if isinstance(item, Stretch):
                self.utterance.append(item)
                fresh += len(item.samples)
                self.lull = False
                if fresh > self._most_at_once_s * SAMPLE_RATE:
                    return
            else:
                self.closed = isinstance(item, Pause)
                self.lull = isinstance(item, Lull)
                self.settled = self.settled and not self.lull
