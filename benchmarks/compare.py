"""What one report has better or worse than another, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from benchmarks.run import Report
from benchmarks.score import FIGURES, Result
from models.errors import InputError

NOISE = 0.02  # relative; smaller differences of single runs are called equal


@dataclass(frozen=True, slots=True)
class Difference:
    result: str
    """system, recording and target"""
    name: str
    before: float
    after: float

    @property
    def verdict(self) -> str:
        change = self.after - self.before
        if abs(change) <= NOISE * max(abs(self.before), abs(self.after)):
            return "same"
        return "better" if (change > 0) == (FIGURES[self.name].better == "higher") else "worse"


def differences(before: Report, after: Report) -> Iterator[Difference]:
    """Every figure that both reports have of one system, recording and target."""
    known = {label(result): result for result in before.results}
    for result in after.results:
        earlier = known.get(label(result))
        for name in FIGURES if earlier else ():
            if earlier and name in result.figures and name in earlier.figures:
                yield Difference(label(result), name, earlier.figures[name], result.figures[name])


def label(result: Result) -> str:
    return f"{result.system} · {result.recording}{f' → {result.target}' if result.target else ''}"


def table(before: Report, after: Report) -> Table:
    if not {label(result) for result in before.results} & {label(result) for result in after.results}:
        raise InputError("report-invalid", "The two reports have no system, recording and target in common.")
    shown = Table("result", "figure", "before", "after", "change", "", box=None)
    for difference in differences(before, after):
        figure = FIGURES[difference.name]
        change = difference.after - difference.before
        relative = f" ({100 * change / abs(difference.before):+.0f} %)" if difference.before else ""
        colour = {"better": "green", "worse": "red", "same": "dim"}[difference.verdict]
        shown.add_row(
            escape(difference.result),
            figure.title,
            figure.show(difference.before),
            figure.show(difference.after),
            f"{'+' if change >= 0 else ''}{figure.show(change)}{relative}",
            f"[{colour}]{difference.verdict}[/]",
        )
    return shown
