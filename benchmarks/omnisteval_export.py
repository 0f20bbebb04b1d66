"""Logs in the formats of OmniSTEval and simulstream, and OmniSTEval's own scores of them.

LongYAAL and the resegmentation: Polák et al. 2025, "Better Late Than Never" (arXiv 2509.17349). StreamLAAL: Papi et al.
2024 (arXiv 2406.14177): LAAL (Papi et al. 2022) on resegmented text. Computation-unaware delays are the position in the
source that recognition had reached; computation-aware ones are the emissions themselves, queueing included. As
published, LongYAAL leaves out words that are emitted after the last segment has ended: it sees little of short
recordings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.extra import require
from benchmarks.log import Log
from benchmarks.manifest import Recording
from benchmarks.metrics import Spoken
from benchmarks.text import UNSPACED, tokens

SCORES = {
    "long_yaal": "longyaal_cu",
    "ca_long_yaal": "longyaal_ca",
    "long_laal": "streamlaal_cu",
    "ca_long_laal": "streamlaal_ca",
    "chrf": "chrf_segments",
    "bleu": "bleu_segments",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A line of the reference and the source's seconds that it translates."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Export:
    """The files of one recording and target: OmniSTEval's three, and simulstream's log."""

    hypothesis: Path
    segmentation: Path
    references: Path
    simulstream: Path


def segments(recording: Recording, target: str, spoken: Sequence[Spoken]) -> list[Segment]:
    """The reference's lines, timed by the transcript's where both have as many; else one segment for all."""
    lines = recording.translations[target]
    if len(lines) != len(recording.transcript) or not spoken:
        return [Segment(" ".join(lines), 0.0, recording.seconds)]
    found: list[Segment] = []
    at, ended_s = 0, 0.0
    for line, end in zip(lines, _ends(recording), strict=True):
        own = spoken[at:end]
        begun_s = own[0].start_ms / 1000 if own else ended_s
        at, ended_s = end, own[-1].end_ms / 1000 if own else ended_s
        found.append(Segment(line, begun_s, ended_s))
    return found


def _ends(recording: Recording) -> list[int]:
    """How many words of the transcript stand before the end of each line: a mark that begins a line belongs to the word
    before it, where there is one."""
    ends: list[int] = []
    for part in [part.recording for part in recording.parts] or [recording]:
        before = ends[-1] if ends else 0
        lines = part.transcript
        ends += [before + len(tokens(" ".join(lines[: n + 1]), part.language)) for n in range(len(lines))]
    return ends


def hypothesis_line(log: Log, recording: Recording, target: str) -> dict[str, Any]:
    """One line of OmniSTEval's JSONL: a delay (ms) for each word of the prediction, or each character."""
    characters = target.split("-")[0] in UNSPACED
    words = log.target_words(target)
    units = [(unit, word) for word in words for unit in (word.token.text if characters else [word.token.text])]
    return {
        "source": recording.path.name,
        "prediction": ("" if characters else " ").join(unit for unit, _ in units),
        "delays": [word.heard_ms for _, word in units],
        "elapsed": [word.emitted_ms for _, word in units],
        "source_length": recording.seconds * 1000,
    }


def simulstream_lines(log: Log, recording: Recording, target: str) -> list[dict[str, Any]]:
    """simulstream's metrics log: seconds, and what each event shows anew and takes back, tentative text included."""
    lines: list[dict[str, Any]] = [{"id": 0, "metadata": {"wav_name": recording.path.name}}]
    committed, shown = "", list[str]()
    heard = 0.0
    for event in log.translations(target):
        committed += event.committed
        now = [token.text for token in tokens(committed + event.tentative, target)]
        same = next(
            (at for at, (a, b) in enumerate(zip(shown, now, strict=False)) if a != b), min(len(shown), len(now))
        )
        heard = max(heard, min(event.source_end_ms, event.emitted_ms) / 1000)
        lines.append(
            {
                "id": 0,
                "total_audio_processed": heard,
                "computation_time": max(0.0, event.emitted_ms / 1000 - heard),
                "generated_tokens": now[same:],
                "deleted_tokens": shown[same:],
            }
        )
        shown = now
    return lines


def export(log: Log, recording: Recording, target: str, spoken: Sequence[Spoken], folder: Path) -> Export:
    """Write the four files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{recording.id}.{target}"
    files = Export(
        folder / f"{name}.omnisteval.jsonl",
        folder / f"{name}.segments.json",
        folder / f"{name}.references.txt",
        folder / f"{name}.simulstream.jsonl",
    )
    timed = segments(recording, target, spoken)
    rows = [
        {"wav": recording.path.name, "offset": s.start_s, "duration": max(0.01, s.end_s - s.start_s), "speaker_id": "0"}
        for s in timed
    ]
    _write_lines(files.hypothesis, [hypothesis_line(log, recording, target)])
    files.segmentation.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    files.references.write_text("".join(f"{s.text}\n" for s in timed), encoding="utf-8")
    _write_lines(files.simulstream, simulstream_lines(log, recording, target))
    return files


def score(files: Export, target: str) -> dict[str, float]:
    """OmniSTEval's scores of an export; latencies in s. Words are not split further (`lang` is none)."""
    require("omnisteval")
    loading, resegmenting, scoring = (require(f"omnisteval.{part}") for part in ("io", "resegment", "scoring"))
    characters = target.split("-")[0] in UNSPACED
    reference, hypothesis, segmentation, sentences = loading.load_resegmentation_inputs(
        str(files.segmentation), None, str(files.references), str(files.hypothesis), char_level=characters
    )
    if not hypothesis[0]:
        return {}
    instances, _ = resegmenting.resegment(
        reference, hypothesis, segmentation, sentences, char_level=characters, lang=None
    )
    tokenizer = "char" if characters else "13a"
    scores, _, _ = scoring.evaluate_instances(instances, is_longform=True, bleu_tokenizer=tokenizer)
    found: dict[str, float] = {}
    for key, name in SCORES.items():
        value = float(scores.get(key, float("nan")))
        if value == value:  # OmniSTEval gives NaN where no word counts
            found[name] = value / 1000 if "yaal" in key or "laal" in key else value
    return found


def _write_lines(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
