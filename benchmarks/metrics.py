"""What a log of events says about quality and lag. Times in s, shares as fractions, chrF and BLEU 0 to 100."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.extra import require
from benchmarks.log import Emitted, Log
from benchmarks.text import Token, matches, plain, tokens
from pipeline.events import AnyEvent, End, Speech, Translation, Words

MINUTE_MS = 60_000.0
_TOLERANCE_MS = 1.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word of the transcript and when it was said, in ms."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Point:
    """A lag and where in the source it was met, in ms."""

    at_ms: float
    lag_ms: float


# --- quality ---------------------------------------------------------------------------------------------------------


def normalise(text: str, language: str) -> str:
    """Whisper's text normaliser (Radford et al. 2022, appendix C); characters of unspaced languages apart."""
    code = language.split("-")[0]
    if code == "en":
        return str(require("whisper_normalizer.english").EnglishTextNormalizer()(text)).strip()
    basic = require("whisper_normalizer.basic").BasicTextNormalizer
    if code in {"ja", "zh", "yue", "th"}:
        return str(basic(split_letters=True)(text)).strip()
    return str(basic(remove_diacritics=False)(text)).strip()


def word_errors(reference: str, hypothesis: str, language: str) -> dict[str, float]:
    """WER (of characters in unspaced languages) and its parts, each per word of the reference."""
    said, heard = normalise(reference, language), normalise(hypothesis, language)
    if not said:
        return {}
    measured = require("jiwer").process_words(said, heard)
    count = len(said.split())
    return {
        "wer": float(measured.wer),
        "wer_substituted": measured.substitutions / count,
        "wer_inserted": measured.insertions / count,
        "wer_deleted": measured.deletions / count,
    }


def translation_quality(reference: Sequence[str], hypothesis: str, language: str) -> dict[str, float]:
    """chrF (Popović 2015) and BLEU (Post 2018) of the whole text against the reference's lines joined."""
    sacrebleu = require("sacrebleu")
    tokenizer = {"zh": "zh", "ja": "char"}.get(language.split("-")[0], "13a")
    given, wanted = [hypothesis.strip()], [[" ".join(reference)]]
    return {
        "chrf": float(sacrebleu.corpus_chrf(given, wanted).score),
        "bleu": float(sacrebleu.corpus_bleu(given, wanted, tokenize=tokenizer).score),
    }


def stop_f1(reference: str, hypothesis: str, language: str) -> float | None:
    """F1 of sentence stops after aligned words; None where the transcript has no stop."""
    return _mark_f1(reference, hypothesis, language, lambda token: token.stops)


def comma_f1(reference: str, hypothesis: str, language: str) -> float | None:
    """The same of commas, colons and semicolons."""
    return _mark_f1(reference, hypothesis, language, lambda token: token.pauses)


def _mark_f1(reference: str, hypothesis: str, language: str, marked: Callable[[Token], bool]) -> float | None:
    said, heard = tokens(reference, language), tokens(hypothesis, language)
    wanted, given = sum(map(marked, said)), sum(map(marked, heard))
    if not wanted:
        return None
    pairs = matches([token.key for token in said], [token.key for token in heard], substituted=True)
    right = sum(marked(said[a]) and marked(heard[b]) for a, b in pairs)
    return 2 * right / (wanted + given)


# --- lag -------------------------------------------------------------------------------------------------------------


def commit_lags(spoken: Sequence[Spoken], emitted: Sequence[Emitted]) -> list[Point]:
    """Emission minus the end of each source word that was recognised, words matched in a minimal edit."""
    pairs = matches([plain(word.text) for word in spoken], [word.token.key for word in emitted])
    return [Point(spoken[a].end_ms, emitted[b].emitted_ms - spoken[a].end_ms) for a, b in pairs]


def ear_voice_spans(log: Log, language: str) -> list[Point]:
    """Start of the spoken clause minus start of the source clause."""
    first: dict[int, Speech] = {}
    for event in log.speech(language):
        if event.duration_ms > 0:
            first.setdefault(event.segment, event)
    return [Point(event.source_start_ms, event.play_ms - event.source_start_ms) for event in first.values()]


def caption_spans(log: Log, language: str) -> list[Point]:
    """First committed target word of a clause minus start of the source clause."""
    first: dict[int, Translation] = {}
    for event in log.translations(language):
        if event.committed.strip():
            first.setdefault(event.segment, event)
    return [Point(event.source_start_ms, event.emitted_ms - event.source_start_ms) for event in first.values()]


def distribution(points: Sequence[Point], name: str) -> dict[str, float]:
    """`name`_median, _p90, _p99 and _max in s; nothing without a point."""
    if not points:
        return {}
    lags = sorted(point.lag_ms / 1000 for point in points)
    shares = {"median": 0.5, "p90": 0.9, "p99": 0.99}
    return {f"{name}_{key}": percentile(lags, share) for key, share in shares.items()} | {f"{name}_max": lags[-1]}


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of sorted values, interpolated between the two nearest (Hyndman and Fan 1996, type 7)."""
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def growth(points: Sequence[Point], name: str) -> dict[str, float]:
    """How a lag grows: slope by least squares in s per minute, and median of the last minute minus the first's, in s;
    of the last five minutes and the first five where a recording lasts at least ten.

    The last minute is that of the last point; recordings under two minutes have a slope only.
    """
    if len(points) < 2:
        return {}
    xs = [point.at_ms / MINUTE_MS for point in points]
    ys = [point.lag_ms / 1000 for point in points]
    if max(xs) == min(xs):
        return {}
    grown = {f"{name}_slope": statistics.linear_regression(xs, ys).slope}
    minutes = 5 if max(xs) - min(xs) >= 10 else 1
    first = [y for x, y in zip(xs, ys, strict=True) if x < min(xs) + minutes]
    last = [y for x, y in zip(xs, ys, strict=True) if x > max(xs) - minutes]
    if max(xs) - min(xs) >= 2:
        grown[f"{name}_growth"] = statistics.median(last) - statistics.median(first)
    return grown


# --- stability -------------------------------------------------------------------------------------------------------


def erasure(events: Sequence[Words | Translation], language: str) -> float | None:
    """Normalised erasure (Arivazhagan et al. 2020, section 3.2): words taken back per word of the final text.

    What is shown at each event is all that is committed and the tentative tail. A segment has a tail of its own.
    """
    shown: dict[int, tuple[str, str]] = {}
    erased = 0
    for event in events:
        segment = event.segment if isinstance(event, Translation) else 0
        committed, tail = shown.get(segment, ("", ""))
        begin = committed.rfind(" ") + 1  # only the last committed word can still be joined by what follows
        before = tokens(committed[begin:] + tail, language)
        committed += event.committed
        after = tokens(committed[begin:] + event.tentative, language)
        erased += len(before) - _common(before, after)
        shown[segment] = (committed, event.tentative)
    final = sum(len(tokens(committed, language)) for committed, _ in shown.values())
    return erased / final if final else None


def _common(before: Sequence[Token], after: Sequence[Token]) -> int:
    """Length of the longest common prefix. Case and punctuation count: the reader sees them change."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((at for at, (a, b) in pairs if a.text != b.text), min(len(before), len(after)))


def misses(log: Log) -> dict[str, float]:
    """Per stage, the share of clauses that missed its budget: `miss_<stage>`, and `misses` for any stage."""
    segments = max(log.end.segments if log.end else 0, 1)
    by_stage: dict[str, set[int]] = {}
    for miss in log.misses:
        by_stage.setdefault(miss.stage, set()).add(miss.segment)
    everything = set[int]().union(*by_stage.values())
    shares = {f"miss_{stage}": min(1.0, len(found) / segments) for stage, found in by_stage.items()}
    return shares | {"misses": min(1.0, len(everything) / segments)}


def stage_work(log: Log, seconds: float) -> dict[str, float]:
    """Work of the clauses' traces in s per s of audio: `work_<stage>`."""
    work: dict[str, float] = {}
    for trace in log.traces:
        for stage, time in trace.stages.items():
            work[f"work_{stage}"] = work.get(f"work_{stage}", 0.0) + time.compute_ms / 1000 / seconds
    return work


# --- consistency -----------------------------------------------------------------------------------------------------


def problems(log: Log) -> list[str]:
    """Everything in which a log contradicts what events promise; empty for a sound log.

    Committed text cannot be taken back by construction (an event only adds); what can go wrong is text after a final
    event, a segment that never closes or closes twice, time that runs backwards and words before they were spoken.
    """
    check = _Check()
    for number, event in enumerate(log.events, 1):
        check.add(number, event)
    return check.close()


class _Check:
    def __init__(self) -> None:
        self.found: list[str] = []
        self._final: set[tuple[str, int]] = set()
        self._open: set[tuple[str, int]] = set()
        self._committed_to = 0.0
        self._tail = ""
        self._ends = 0
        self._emitted: dict[str, float] = {}
        self._played: dict[str, float] = {}

    def add(self, number: int, event: AnyEvent) -> None:
        if self._ends:
            self._say(number, "follows the end")
        match event:
            case Words():
                self._words(number, event)
            case Translation():
                self._translation(number, event)
            case Speech():
                self._speech(number, event)
            case End():
                self._ends += 1
            case _:
                pass

    def close(self) -> list[str]:
        if self._ends != 1:
            self.found.append(f"{self._ends} ends instead of one")
        for language, segment in sorted(self._open):
            self.found.append(f"segment {segment} in {language} was never final")
        if self._tail.strip():
            self.found.append(f"the tail '{self._tail.strip()}' was neither committed nor withdrawn")
        return self.found

    def _words(self, number: int, event: Words) -> None:
        self._in_time(number, "words", event.emitted_ms)
        if event.source_end_ms < event.source_start_ms - _TOLERANCE_MS:
            self._say(number, "ends before it begins")
        if event.committed.strip():
            if event.source_end_ms < self._committed_to - _TOLERANCE_MS:
                self._say(number, "commits words that end before words already committed")
            if event.emitted_ms < event.source_start_ms - _TOLERANCE_MS:
                self._say(number, "commits words before they were spoken")
            self._committed_to = event.source_end_ms
        self._tail = event.tentative

    def _translation(self, number: int, event: Translation) -> None:
        key = (event.language, event.segment)
        self._in_time(number, f"translation {event.language}", event.emitted_ms)
        if key in self._final:
            self._say(number, f"is final again for segment {event.segment}" if event.final else "follows its final")
        if event.final and event.tentative.strip():
            self._say(number, "is final and yet tentative")
        earlier = [segment for language, segment in self._open if language == event.language]
        if event.committed.strip() and any(segment < event.segment for segment in earlier):
            self._say(number, f"commits to segment {event.segment} while an earlier one is open")
        if event.final:
            self._final.add(key)
            self._open.discard(key)
        elif key not in self._final:
            self._open.add(key)

    def _speech(self, number: int, event: Speech) -> None:
        if event.duration_ms > 0 and event.play_ms < self._played.get(event.language, 0.0) - _TOLERANCE_MS:
            self._say(number, "sounds while earlier speech still does")
        self._played[event.language] = max(self._played.get(event.language, 0.0), event.play_ms + event.duration_ms)

    def _in_time(self, number: int, stream: str, emitted_ms: float) -> None:
        if emitted_ms < self._emitted.get(stream, 0.0) - _TOLERANCE_MS:
            self._say(number, f"({stream}) was emitted before the one before it")
        self._emitted[stream] = emitted_ms

    def _say(self, number: int, what: str) -> None:
        self.found.append(f"line {number} {what}")
