"""The gate lets speech through and stops the rest, so that silence costs nothing and is never recognised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.protocols import SAMPLE_RATE, Samples, SpeechDetector
from pipeline.audio import AudioBuffer, Stretch


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Probabilities as Silero gives them; hysteresis keeps a quiet syllable from closing the gate."""

    open_above: float = 0.45
    close_below: float = 0.3
    pause_s: float = 0.5
    """silence that ends an utterance"""
    lull_s: float = 0.2
    """silence after which what was said is worth recognising at once, whether or not a pause follows"""
    pre_roll_s: float = 0.3
    """let through from before the gate opened: VAD reacts after the first consonant"""
    min_speech_s: float = 0.06
    """of frames above the threshold, before the gate opens"""


@dataclass(frozen=True, slots=True)
class Onset:
    """Speech began; its audio follows."""

    at: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Speech ended at sample `at`."""

    at: int


@dataclass(frozen=True, slots=True)
class Lull:
    """Speech faltered at sample `at`; a pause or more speech follows."""

    at: int


GateItem = Onset | Stretch | Lull | Pause


class Gate:
    """Speech detection with hysteresis: samples in, utterances out. No clock, no I/O."""

    def __init__(self, detector: SpeechDetector, config: GateConfig | None = None) -> None:
        self._config = config or GateConfig()
        self._stream = detector.stream()
        self._frame = detector.frame_samples
        self._held = AudioBuffer()
        self._scanned = 0
        self._open = False
        self._loud = 0
        self._quiet = 0
        self.pause_s = self._config.pause_s
        """silence that ends an utterance, from now on"""

    def process(self, samples: Samples) -> Iterator[GateItem]:
        """Take samples in any portions; yield what is speech, in order."""
        self._held.append(np.asarray(samples, np.float32))
        passed = self._held.start if self._open else None
        while self._held.end - self._scanned >= self._frame:
            offset = self._scanned - self._held.start
            probability = self._stream.process(self._held.samples[offset : offset + self._frame])
            self._scanned += self._frame
            if self._open:
                if self._still_open(probability):
                    if self._lulls():
                        yield from self._release(passed, self._scanned)
                        passed = self._held.start
                        yield Lull(self._scanned - self._quiet)
                    continue
                yield from self._release(passed, self._scanned)
                yield Pause(self._scanned - self._quiet)
                self._open, self._loud, passed = False, 0, None
            elif self._opens(probability):
                self._open, self._quiet = True, 0
                passed = max(self._held.start, self._scanned - self._loud - self._pre_roll)
                self._held.trim(passed)
                yield Onset(passed)
        if self._open:
            yield from self._release(passed, self._scanned)
        else:
            self._held.trim(self._scanned - self._pre_roll - self._min_speech)

    def finish(self) -> Iterator[GateItem]:
        """The source ended: let the rest through."""
        if self._open:
            end = self._held.end
            yield from self._release(self._held.start, end)
            yield Pause(end)
            self._open = False

    @property
    def _pre_roll(self) -> int:
        return round(self._config.pre_roll_s * SAMPLE_RATE)

    @property
    def _min_speech(self) -> int:
        return round(self._config.min_speech_s * SAMPLE_RATE) + self._frame

    def _release(self, start: int | None, end: int) -> Iterator[Stretch]:
        if start is not None and end > start:
            length = end - self._held.start
            yield Stretch(self._held.start, self._held.samples[:length].copy())
            self._held.trim(end)

    def _opens(self, probability: float) -> bool:
        self._loud = self._loud + self._frame if probability >= self._config.open_above else 0
        return self._loud >= self._config.min_speech_s * SAMPLE_RATE

    def _still_open(self, probability: float) -> bool:
        self._quiet = self._quiet + self._frame if probability < self._config.close_below else 0
        return self._quiet < self.pause_s * SAMPLE_RATE

    def _lulls(self) -> bool:
        """The present frame completes `lull_s` of silence."""
        wanted = self._config.lull_s * SAMPLE_RATE
        return self._quiet - self._frame < wanted <= self._quiet
