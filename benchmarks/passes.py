"""What a pass of live recognition costs on each of Whisper's runtimes, and how far its words are from those of full
precision and 30 s of context.

Every piece of a recording is recognised in turn by every runtime, primed with the first half of what was said in it as
a live pass is; so that what else the machine does falls on all of them alike. And whether two sessions gain where their
pieces are heard as one batch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from app.presets import PRESETS
from benchmarks.alignment import decode
from benchmarks.extra import require
from benchmarks.manifest import Recording
from models.protocols import SAMPLE_RATE, RecognitionRequest, Samples
from models.whisper import FULL_CONTEXT_SECONDS, Context, WhisperRecognizer

PIECE_S = 5.5  # as long as the live buffer mostly is
STEP_S = 4.0
LIVE = PRESETS["balanced"].context
REFERENCE = "CTranslate2, float32, greedy, 30 s"
RUNTIMES: dict[str, tuple[str, int | None, Context]] = {
    "ONNX Runtime, int8, as it is used": ("int8", None, LIVE),
    "ONNX Runtime, int8, greedy": ("int8", 1, LIVE),
    "CTranslate2, int8, greedy": ("int8_float32", 1, LIVE),
    "CTranslate2, float32, greedy": ("float32", 1, LIVE),
    REFERENCE: ("float32", 1, Context(FULL_CONTEXT_SECONDS)),
}
"""precision, hypotheses that are followed, and context"""


@dataclass(slots=True)
class Passes:
    """s per pass, and the words of each piece where nothing primed it."""

    wall: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    words: list[str] = field(default_factory=list[str])


def measure(recordings: Sequence[Recording], model: Path, threads: int) -> dict[str, Passes]:
    engines = {
        name: WhisperRecognizer(model, compute_type=precision, threads=threads, beam_size=beams, context=context)
        for name, (precision, beams, context) in RUNTIMES.items()
    }
    found = {name: Passes() for name in engines}
    for recording in recordings:
        for audio in _pieces(decode(recording.path)):
            whole = engines[REFERENCE].recognize(RecognitionRequest(audio, recording.language)).words
            prefix = tuple(token for word in whole[: len(whole) // 2] for token in word.tokens)
            for name, engine in engines.items():
                heard = engine.recognize(RecognitionRequest(audio, recording.language)).words
                found[name].words.append("".join(word.text for word in heard).strip())
                cpu, wall = time.process_time(), time.perf_counter()
                engine.recognize(RecognitionRequest(audio, recording.language, prefix))
                found[name].wall.append(time.perf_counter() - wall)
                found[name].cpu.append(time.process_time() - cpu)
    return found


def _pieces(audio: Samples) -> Iterator[Samples]:
    for start in range(0, len(audio) - round(PIECE_S * SAMPLE_RATE) + 1, round(STEP_S * SAMPLE_RATE)):
        yield audio[start : start + round(PIECE_S * SAMPLE_RATE)]


def table(found: dict[str, Passes]) -> Table:
    jiwer = require("jiwer")
    made = Table("runtime", "a pass, median", "CPU", "words unlike the last one's")
    for name, passes in found.items():
        pairs = [(a, b) for a, b in zip(found[REFERENCE].words, passes.words, strict=True) if a]
        unlike = jiwer.wer([a for a, _ in pairs], [b for _, b in pairs])
        wall, cpu = statistics.median(passes.wall), statistics.median(passes.cpu)
        made.add_row(name, f"{1000 * wall:.0f} ms", f"{1000 * cpu:.0f} ms", f"{100 * unlike:.1f} %")
    return made


@dataclass(slots=True)
class Batches:
    """s for two pieces, with CTranslate2 in 8 bits, which takes batches."""

    in_turn: list[float] = field(default_factory=list[float])
    as_one: list[float] = field(default_factory=list[float])


def measure_batches(recordings: Sequence[Recording], model: Path, threads: int) -> Batches:
    engine = WhisperRecognizer(model, compute_type="int8_float32", threads=threads)
    found = Batches()
    for recording in recordings:
        requests = [RecognitionRequest(piece, recording.language) for piece in _pieces(decode(recording.path))]
        for pair in zip(requests[::2], requests[1::2], strict=False):
            begin = time.perf_counter()
            for one in pair:
                engine.run([one])
            between = time.perf_counter()
            engine.run(pair)
            found.in_turn.append(between - begin)
            found.as_one.append(time.perf_counter() - between)
    return found


def batch_table(found: Batches) -> Table:
    made = Table("two pieces", "median")
    made.add_row("one after the other", f"{1000 * statistics.median(found.in_turn):.0f} ms")
    made.add_row("as one batch", f"{1000 * statistics.median(found.as_one):.0f} ms")
    return made
