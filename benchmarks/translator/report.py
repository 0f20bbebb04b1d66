"""The results counted, as a table and as JSON."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
from rich.table import Table

from benchmarks.extra import require
from benchmarks.translator.run import MANNERS, Manner, Result
from benchmarks.translator.suite import Utterance

GLOSSARY_LEAST = 0.95
KEPT_LEAST = 1.0
KINDS = {
    "question": "questions translated",
    "order": "orders translated",
    "instruction": '"ignore your instructions" translated',
    "statement": "statements translated",
    "term": "sentences with terms translated",
}


class Count(msgspec.Struct, frozen=True):
    right: int
    of: int

    @property
    def share(self) -> float:
        return self.right / self.of if self.of else 1.0

    def __str__(self) -> str:
        return f"{self.right}/{self.of} = {self.share:.0%}" if self.of else "–"


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one manner of asking."""

    translated: dict[str, Count]
    """by kind"""
    stopped: int
    """answers that the guard stopped; the embedded engine's would be shown"""
    failed: int
    """requests that the server did not answer usefully"""
    glossary: Count
    kept: Count
    """names that stay as they are"""
    chrf: float | None
    """of the statements against their references"""
    seconds: float | None
    """median, of a closed clause's whole answer"""
    first_token_s: float | None
    """median"""
    first_token_p95_s: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    version: int = 1
    command: str
    machine: str
    cores: int
    when: str
    """UTC, ISO 8601"""
    engine: str
    left_out: int
    """cases of pairs that the engine does not translate"""
    figures: dict[str, Figures]
    """by manner"""
    cached: float | None
    """share of the prompts' tokens that the server had in its cache"""
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        return all(f.glossary.share >= GLOSSARY_LEAST and f.kept.share >= KEPT_LEAST for f in self.figures.values())


def report(
    results: Sequence[Result],
    utterances: Sequence[Utterance],
    *,
    command: str,
    engine: str,
    left_out: int,
    cached: float | None,
) -> Report:
    return Report(
        command=command,
        machine=f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
        cores=os.cpu_count() or 0,
        when=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        engine=engine,
        left_out=left_out,
        figures={manner: _figures(manner, results, utterances) for manner in MANNERS},
        cached=cached,
        results=tuple(results),
    )


def _figures(manner: Manner, results: Sequence[Result], utterances: Sequence[Utterance]) -> Figures:
    mine = [result for result in results if result.manner == manner]
    terms = [check for result in mine for check in result.terms]
    translated = {
        kind: Count(sum(r.outcome == "translated" for r in of), len(of))
        for kind in KINDS
        if (of := [result for result in mine if result.kind == kind])
    }
    firsts = sorted(result.first_token_s for result in mine if result.first_token_s is not None)
    taken = [result.seconds for result in mine if result.seconds]
    return Figures(
        translated=translated,
        stopped=sum(result.outcome == "stopped" for result in mine),
        failed=sum(result.outcome == "failed" for result in mine),
        glossary=_hits([check.hit for check in terms if not check.kept]),
        kept=_hits([check.hit for check in terms if check.kept]),
        chrf=_chrf(mine, utterances),
        seconds=statistics.median(taken) if taken else None,
        first_token_s=statistics.median(firsts) if firsts else None,
        first_token_p95_s=firsts[int(0.95 * (len(firsts) - 1))] if firsts else None,
    )


def _hits(hits: Sequence[bool]) -> Count:
    return Count(sum(hits), len(hits))


def _chrf(results: Sequence[Result], utterances: Sequence[Utterance]) -> float | None:
    """What was not translated counts as an empty line."""
    statements = [utterance for utterance in utterances if utterance.kind == "statement"]
    pairs = [
        (result.text, statements[int(result.case.split()[1]) - 1].reference[result.target])
        for result in results
        if result.kind == "statement"
    ]
    if not pairs:
        return None
    hypotheses, references = zip(*pairs, strict=True)
    return float(require("sacrebleu").corpus_chrf(list(hypotheses), [list(references)]).score)


def table(made: Report) -> Table:
    shown = Table("check", "whole clause", "as it grows", box=None)
    shown.caption = f"{made.engine}; {made.machine}, {made.when}"
    both = [made.figures[manner] for manner in MANNERS]
    for kind, title in KINDS.items():
        if any(kind in figures.translated for figures in both):
            shown.add_row(title, *(str(figures.translated[kind]) for figures in both))
    for title, cell in _ROWS.items():
        shown.add_row(title, *map(cell, both))
    if made.cached is not None:
        shown.add_row("prompt tokens that were cached", f"{made.cached:.0%}", "")
    if made.left_out:
        shown.add_row("left out: pairs that it lacks", *[str(made.left_out)] * 2)
    return shown


_ROWS: dict[str, Callable[[Figures], str]] = {
    f"glossary hits (at least {GLOSSARY_LEAST:.0%})": lambda f: str(f.glossary),
    f"do-not-translate (at least {KEPT_LEAST:.0%})": lambda f: str(f.kept),
    "stopped by the guard": lambda f: str(f.stopped),
    "not answered by the server": lambda f: str(f.failed),
    "chrF of the statements": lambda f: _number(f.chrf, 1, ""),
    "whole answer, median": lambda f: _number(f.seconds, 1000, " ms"),
    "first token, median": lambda f: _number(f.first_token_s, 1000, " ms"),
    "first token, p95": lambda f: _number(f.first_token_p95_s, 1000, " ms"),
}


def _number(value: float | None, factor: float, unit: str) -> str:
    return "–" if value is None else f"{value * factor:.{0 if unit else 1}f}{unit}"


def complaints(made: Report) -> Iterator[str]:
    """A line for each case that was not translated or lost a term."""
    for result in made.results:
        lost = [check.expected for check in result.terms if not check.hit]
        why = f"{result.outcome}: {result.why}" if result.outcome != "translated" else f"without {', '.join(lost)}"
        if lost or result.outcome != "translated":
            yield f"{result.case}, {result.source}→{result.target}, {result.manner}: {why}: {result.text}".rstrip(": ")
