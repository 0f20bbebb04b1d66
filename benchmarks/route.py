"""How often an utterance is routed by the right one of two languages: cuts of recordings, one after the other in
shuffled order, through the session that the desk uses, as fast as the machine can.

Long cuts are what the gate lets through between two pauses. Short ones are runs of words out of the middle of speech,
by forced alignment: harder than an answer that somebody meant to be short.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.table import Table

from app.engines import EngineConfig, build
from app.presets import PRESETS
from benchmarks.alignment import align, decode
from benchmarks.manifest import Recording
from benchmarks.metrics import Spoken
from models.protocols import SAMPLE_RATE, Samples, SpeechDetector
from pipeline.audio import Stretch
from pipeline.config import SessionConfig
from pipeline.engines import Engines
from pipeline.events import Words
from pipeline.gate import Gate, Onset
from pipeline.session import Session

LONG_S = 2.0
SHORT_S = 1.0
SHORTEST_S = 0.35
ROOM_DB = -70.0
SPEECH_DB = -23.0  # of every cut: a person near the microphone
EDGE_S = 0.05
BLOCK = SAMPLE_RATE // 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece of a recording: one utterance."""

    recording: str
    language: str
    samples: Samples
    text: str = ""
    """what is said in it, where that is known"""

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Routed:
    """What became of a cut. `language` is that of most of its committed text; empty where nothing was recognised."""

    cut: Cut
    language: str
    settled_s: float
    """of audio, before the first word was committed"""

    @property
    def right(self) -> bool:
        return self.language == self.cut.language


def cuts(recordings: Sequence[Recording], detector: SpeechDetector, model: Path, most: int) -> list[Cut]:
    """Long and short ones of each recording, at most `most` of each kind, spread evenly over it."""
    found: list[Cut] = []
    for recording in recordings:
        audio = decode(recording.path)
        for stretch in _evenly(long_stretches(audio, detector), most):
            found.append(Cut(recording.id, recording.language, stretch))
        for words in _evenly(short_runs(align(recording, model)), most):
            start = max(0, round((words[0].start_ms / 1000 - EDGE_S) * SAMPLE_RATE))
            end = round((words[-1].end_ms / 1000 + EDGE_S) * SAMPLE_RATE)
            text = " ".join(word.text for word in words)
            found.append(Cut(recording.id, recording.language, audio[start:end], text))
    return found


def long_stretches(audio: Samples, detector: SpeechDetector) -> list[Samples]:
    """What the gate lets through at a time, if it is long enough."""
    gate = Gate(detector)
    parts: list[list[Samples]] = []
    for item in (*gate.process(audio), *gate.finish()):
        if isinstance(item, Onset):
            parts.append([])
        elif isinstance(item, Stretch):
            parts[-1].append(item.samples)
    whole = [np.concatenate(part) for part in parts if part]
    return [part for part in whole if len(part) > LONG_S * SAMPLE_RATE]


def short_runs(spoken: Sequence[Spoken]) -> list[list[Spoken]]:
    """Runs of words that together last less than `SHORT_S`, each as long as it can be, none twice."""
    runs: list[list[Spoken]] = []
    run: list[Spoken] = []
    for word in spoken:
        if run and word.end_ms - run[0].start_ms >= (SHORT_S - 2 * EDGE_S) * 1000:
            runs.append(run)
            run = []
        run.append(word)
    runs.append(run)
    lasting = [(run, run[-1].end_ms - run[0].start_ms) for run in runs if run]
    return [run for run, length in lasting if SHORTEST_S * 1000 <= length < (SHORT_S - 2 * EDGE_S) * 1000]


def route(pieces: Sequence[Cut], between: tuple[str, str], *, preset: str, gap_s: float) -> list[Routed]:
    """Each of `pieces` in order, with `gap_s` of a quiet room before it."""
    engines = build(EngineConfig(context=PRESETS[preset].context))
    config = SessionConfig(between=between, recognise=PRESETS[preset].recognise, live=False)
    return asyncio.run(_route(pieces, engines, config, gap_s))


async def _route(pieces: Sequence[Cut], engines: Engines, config: SessionConfig, gap_s: float) -> list[Routed]:
    await engines.recognizer.start()
    await engines.identify.start()
    session = Session(engines, config)
    audio, places = laid_out(pieces, gap_s)

    async def feed() -> None:
        for start in range(0, len(audio), BLOCK):
            await session.send(audio[start : start + BLOCK])
        await session.finish()

    feeder = asyncio.create_task(feed())
    found: list[list[Words]] = [[] for _ in pieces]
    begins = np.array([start for start, _ in places])
    async for event in session.events():
        if isinstance(event, Words) and event.committed:
            middle = (event.source_start_ms + event.source_end_ms) / 2 * SAMPLE_RATE / 1000
            found[max(0, int(np.searchsorted(begins, middle)) - 1)].append(event)
    await feeder
    return [_judged(*each) for each in zip(pieces, places, found, strict=True)]


def laid_out(pieces: Sequence[Cut], gap_s: float) -> tuple[Samples, list[tuple[int, int]]]:
    """All pieces in one stretch of audio, and from where to where each owns it."""
    quiet = np.random.default_rng(0)
    level = 10 ** (ROOM_DB / 20)
    gap = round(gap_s * SAMPLE_RATE)
    parts: list[Samples] = []
    places: list[tuple[int, int]] = []
    at = 0
    for piece in pieces:
        power = float(np.mean(np.square(piece.samples))) + 1e-12
        parts += [np.zeros(gap, np.float32), piece.samples * 10 ** (SPEECH_DB / 20) / np.sqrt(power)]
        places.append((at + gap // 2, at + gap + len(piece.samples)))
        at += gap + len(piece.samples)
    parts.append(np.zeros(2 * SAMPLE_RATE, np.float32))
    audio = np.concatenate(parts)
    return (audio + quiet.normal(0, level, len(audio))).astype(np.float32), places


def _judged(piece: Cut, place: tuple[int, int], words: Sequence[Words]) -> Routed:
    letters = Counter[str]()
    for event in words:
        letters[event.language] += len(event.committed.strip())
    language = letters.most_common(1)[0][0] if letters else ""
    first = words[0].emitted_ms - (place[1] / SAMPLE_RATE - piece.seconds) * 1000 if words else 0.0
    return Routed(piece, language, first / 1000)


def shuffled(pieces: Sequence[Cut], seed: int = 0) -> list[Cut]:
    """As many of each language, in an order that tells nothing."""
    mixed = list(pieces)
    random.Random(seed).shuffle(mixed)
    return mixed


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one language and one kind of length."""

    language: str
    kind: str
    speakers: int
    """recordings"""
    utterances: int
    right: int
    unheard: int

    @property
    def share(self) -> float:
        """right, of those in which anything was recognised"""
        return self.right / max(1, self.utterances - self.unheard)


def tallies(routed: Sequence[Routed], between: tuple[str, str]) -> list[Tally]:
    found: list[Tally] = []
    for kind, low, high in (("under 1 s", 0.0, SHORT_S), ("over 2 s", LONG_S, float("inf"))):
        for language in (*between, "both"):
            those = [r for r in routed if low <= r.cut.seconds < high and language in ("both", r.cut.language)]
            found.append(
                Tally(
                    language,
                    kind,
                    len({r.cut.recording for r in those}),
                    len(those),
                    sum(r.right for r in those),
                    sum(not r.language for r in those),
                )
            )
    return found


def table(found: Sequence[Tally]) -> Table:
    shown = Table("length", "language", "recordings", "utterances", "right", "wrong", "nothing heard", "right of heard")
    for tally in found:
        wrong = tally.utterances - tally.right - tally.unheard
        counts = (tally.speakers, tally.utterances, tally.right, wrong, tally.unheard)
        shown.add_row(tally.kind, tally.language, *map(str, counts), f"{100 * tally.share:.1f} %")
    return shown


def _evenly(items: Sequence[T], most: int) -> list[T]:
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / max(1, most - 1))] for index in range(most)]
