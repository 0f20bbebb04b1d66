"""One utterance while it is being spoken."""

from __future__ import annotations

import numpy as np

from models.protocols import SAMPLE_RATE, Samples
from pipeline.audio import Stretch
from pipeline.channel import Channel
from pipeline.gate import GateItem, Lull, Pause
from pipeline.recognise import RecogniseConfig, Utterance

LEAST_STEP_S = 0.25  # of new audio, for a pass that a lull asks for
DOUBTFUL_S = 0.6  # of sound after a lull; of less a pause may be the most
NO_SOUND: Samples = np.zeros(0, np.float32)


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
        self.doubted_at: int | None = None
        """the sample of a lull after which another language may be spoken"""
        self._lull_at = -1
        self.settled = False
        """the last pass heard all speech so far: every later sound is followed by another lull"""

    @property
    def seconds(self) -> float:
        return len(self.utterance.audio.samples) / SAMPLE_RATE

    @property
    def doubtful(self) -> Samples:
        """The sound since the lull that left the language in doubt; empty where that is only quiet, or too little."""
        audio = self.utterance.audio
        since = audio.end if self.doubted_at is None else max(audio.start, self.doubted_at)
        return audio.samples[since - audio.start :] if audio.end - since >= DOUBTFUL_S * SAMPLE_RATE else NO_SOUND

    def trust(self) -> None:
        """What is said since the lull is in the language of the utterance. A later lull leaves it in doubt again."""
        self.doubted_at = self._lull_at if self.doubted_at is not None and self._lull_at > self.doubted_at else None

    def split(self, config: RecogniseConfig) -> LiveUtterance:
        """End at the lull that left the language in doubt. Returns what was said since, as an utterance of its own."""
        audio = self.utterance.audio
        at = audio.end if self.doubted_at is None else max(audio.start, self.doubted_at)
        following = LiveUtterance(Utterance(at, config, begins_sentence=True), self._gated, config.longest_s)
        following.utterance.append(Stretch(at, audio.cut(at)))
        following.identified, following.closed, following.lull = True, self.closed, self.lull
        following.doubted_at, following._lull_at = self.doubted_at, self._lull_at
        following.trust()
        self.closed, self.settled = True, False
        return following

    async def gather(self, step_s: float, *, doubting: bool = False) -> None:
        """Wait for `step_s` of new audio, a lull or the pause, and take whatever more is there; nothing beyond a lull
        where that leaves the language in doubt."""
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
                continue
            self.closed = isinstance(item, Pause)
            self.lull = isinstance(item, Lull)
            self.settled = self.settled and not self.lull
            if isinstance(item, Pause):
                self.utterance.pause(item.at)
            if isinstance(item, Lull):
                self._lull_at = item.at
                if doubting:
                    self.doubted_at = item.at if self.doubted_at is None else self.doubted_at
                    if fresh >= LEAST_STEP_S * SAMPLE_RATE:
                        return
