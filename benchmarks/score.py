"""All figures of one log, and the vocabulary of figures that tables, comparisons and reports share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks import metrics, omnisteval_export
from benchmarks.log import Log
from benchmarks.manifest import Recording
from benchmarks.metrics import Spoken

Direction = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    unit: Literal["%", "s", "MB", ""]
    better: Direction = "lower"

    def show(self, value: float) -> str:
        if self.unit == "%":
            return f"{100 * value:.1f} %"
        if self.unit == "MB":
            return f"{value:.0f} MB"
        return f"{value:.2f}{' s' if self.unit else ''}"


FIGURES: dict[str, Figure] = {
    "wer": Figure("WER", "%"),
    "stop_f1": Figure("stop F1", "", "higher"),
    "comma_f1": Figure("comma F1", "", "higher"),
    "commit_lag_median": Figure("commit lag", "s"),
    "commit_lag_p90": Figure("lag p90", "s"),
    "commit_lag_p99": Figure("lag p99", "s"),
    "commit_lag_max": Figure("lag max", "s"),
    "commit_lag_growth": Figure("lag growth", "s"),
    "chrf": Figure("chrF", "", "higher"),
    "bleu": Figure("BLEU", "", "higher"),
    "longyaal_ca": Figure("LongYAAL CA", "s"),
    "longyaal_cu": Figure("LongYAAL CU", "s"),
    "streamlaal_ca": Figure("StreamLAAL CA", "s"),
    "streamlaal_cu": Figure("StreamLAAL CU", "s"),
    "erasure": Figure("erasure", ""),
    "source_erasure": Figure("source erasure", ""),
    "ear_voice_median": Figure("ear-voice", "s"),
    "ear_voice_growth": Figure("ear-voice growth", "s"),
    "cpu": Figure("CPU s/s", ""),
    "memory": Figure("memory", "MB"),
    "memory_growth": Figure("memory growth", "%"),
    "misses": Figure("misses", "%"),
}
"""What a table shows, in its order. Other figures are in the JSON only, named as `metrics` names them."""

_UNTIMED = ("commit_lag", "longyaal", "streamlaal", "ear_voice", "caption", "erasure", "source_erasure", "misses")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one system did with one recording."""

    system: str
    recording: str
    language: str
    target: str
    """empty where nothing was translated"""
    seconds: float
    """of the recording"""
    figures: dict[str, float]
    """times in s, memory in MB, rates as fractions, `cpu` in s per s of audio"""
    runs: int = 1
    """`figures` are the medians of so many"""
    problems: tuple[str, ...] = ()
    log: str = ""
    """the log of the first run, beside the report"""


def score(
    log: Log, recording: Recording, target: str, spoken: Sequence[Spoken], folder: Path, *, timed: bool = True
) -> dict[str, float]:
    """Every figure that log and recording allow; `timed` is off for offline systems, whose emissions mean nothing."""
    figures = metrics.word_errors(recording.text, log.source_text(), recording.language)
    texts = recording.text, log.source_text(), recording.language
    stop, comma = (metrics.stop_f1(*texts), metrics.comma_f1(*texts)) if recording.transcript else (None, None)
    lags = metrics.commit_lags(spoken, log.source_words(recording.language))
    figures |= metrics.distribution(lags, "commit_lag") | metrics.growth(lags, "commit_lag")
    figures |= metrics.misses(log) | metrics.stage_work(log, recording.seconds)
    figures |= (
        _some("stop_f1", stop)
        | _some("comma_f1", comma)
        | _some("source_erasure", metrics.erasure(log.words, recording.language))
    )
    if target:
        figures |= _target(log, recording, target, spoken, folder)
    return figures if timed else {name: value for name, value in figures.items() if not name.startswith(_UNTIMED)}


def _target(log: Log, recording: Recording, target: str, spoken: Sequence[Spoken], folder: Path) -> dict[str, float]:
    figures = _some("erasure", metrics.erasure(log.translations(target), target))
    for name, points in (
        ("ear_voice", metrics.ear_voice_spans(log, target)),
        ("caption", metrics.caption_spans(log, target)),
    ):
        figures |= metrics.distribution(points, name) | metrics.growth(points, name)
    if reference := recording.translations.get(target):
        figures |= metrics.translation_quality(reference, log.target_text(target), target)
    if reference and log.target_text(target).strip():
        files = omnisteval_export.export(log, recording, target, spoken, folder)
        figures |= omnisteval_export.score(files, target)
    return figures


def _some(name: str, value: float | None) -> dict[str, float]:
    return {} if value is None else {name: value}
