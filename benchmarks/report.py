"""A report as a table, as one picture and as one HTML file that needs nothing else."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from app.media import output_errors
from benchmarks.compare import label
from benchmarks.extra import require
from benchmarks.log import Log
from benchmarks.metrics import Spoken, commit_lags
from benchmarks.run import Report
from benchmarks.score import FIGURES, Result

WINDOW_S = 30.0  # of the timeline; more would be unreadable
LONGEST_LABEL = 24  # characters


def table(report: Report) -> Table:
    """One column a result, the figures that any of them has."""
    names = _names(report.results)
    labels = [escape(label(result)) for result in report.results]
    shown = Table("figure", *labels, box=None, caption=escape(caption(report)))
    columns = [_cells(result, names) for result in report.results]
    for name, *cells in zip(names, *columns, strict=True):
        shown.add_row(FIGURES[name].title, *cells)
    return shown


def caption(report: Report) -> str:
    runs = max((result.runs for result in report.results), default=0)
    return f"{report.machine}, {report.cores} cores, {report.when}, median of {runs}; {report.command}"


def _names(results: Sequence[Result]) -> list[str]:
    return [name for name in FIGURES if any(name in result.figures for result in results)]


def _cells(result: Result, names: Sequence[str]) -> list[str]:
    return [FIGURES[name].show(result.figures[name]) if name in result.figures else "–" for name in names]


def timeline(log: Log, spoken: Sequence[Spoken], language: str, target: str, start_s: float = 0.0) -> str:
    """SVG: source words, commits, target words and speech on one axis of time, and the lag of each commit below."""
    pyplot = _pyplot()
    figure, (words, lags) = pyplot.subplots(2, 1, figsize=(18, 11), sharex=True, height_ratios=(6, 1.2))
    end_s = start_s + WINDOW_S
    rows = {"source": 3, "committed": 2, f"target {target}".strip(): 1, "speech": 0}
    for word in spoken:
        if start_s <= word.start_ms / 1000 < end_s:
            words.barh(3, (word.end_ms - word.start_ms) / 1000, left=word.start_ms / 1000, height=0.3, color="#cfd8dc")
            _write(words, word.start_ms / 1000, 3, word.text)
    _row(words, [(w.emitted_ms, w.token.text) for w in log.source_words(language)], 2, start_s, end_s)
    if target:
        _row(words, [(w.emitted_ms, w.token.text) for w in log.target_words(target)], 1, start_s, end_s)
        for event in log.speech(target):
            if start_s <= event.play_ms / 1000 < end_s:
                words.barh(0, event.duration_ms / 1000, left=event.play_ms / 1000, height=0.3, color="#80cbc4")
                _write(words, event.play_ms / 1000, 0, event.text)
    words.set_yticks(list(rows.values()), list(rows))
    words.set_xlim(start_s, end_s)
    words.set_ylim(-0.3, 3.9)
    points = commit_lags(spoken, log.source_words(language))
    lags.plot([p.at_ms / 1000 for p in points], [p.lag_ms / 1000 for p in points], ".-", color="#00695c", linewidth=0.6)
    lags.set_ylabel("commit lag, s")
    lags.set_xlabel("s of the recording")
    lags.grid(alpha=0.3)
    return _svg(pyplot, figure)


def _pyplot() -> Any:
    """Draws SVG whose text stays text."""
    matplotlib = require("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    return require("matplotlib.pyplot")


def _svg(pyplot: Any, figure: Any) -> str:
    figure.tight_layout()
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return out.getvalue()


def _row(axes: Any, words: Sequence[tuple[float, str]], height: int, start_s: float, end_s: float) -> None:
    """Words that were emitted together stand as one text at their time."""
    together: dict[float, list[str]] = {}
    for emitted_ms, text in words:
        if start_s <= emitted_ms / 1000 < end_s:
            together.setdefault(emitted_ms / 1000, []).append(text)
    for at, texts in together.items():
        axes.plot([at, at], [height - 0.15, height + 0.15], color="#00695c", linewidth=1)
        _write(axes, at, height, " ".join(texts))


def _write(axes: Any, x: float, y: float, text: str) -> None:
    shown = text if len(text) <= LONGEST_LABEL else f"{text[:LONGEST_LABEL]}…"
    escaped = shown.replace("$", r"\$")
    axes.text(x, y + 0.18, escaped, rotation=60, fontsize=7, ha="left", va="bottom", clip_on=True)


def frontier(report: Report) -> str:
    """SVG: for each system, word error rate against commit lag and, where anything was translated, chrF against the
    translation's lag, each weighted by the recordings' length; the area of a point is its CPU. Only recordings that
    have all three count, and a system without one is left out."""
    pyplot = _pyplot()
    sides = [("commit_lag_median", "commit lag, median, s", "wer", "WER, %", 100.0)]
    if any("chrf" in result.figures for result in report.results):
        sides.append(("longyaal_ca", "LongYAAL, computation-aware, s", "chrf", "chrF", 1.0))
    figure, both = pyplot.subplots(1, len(sides), figsize=(7 * len(sides), 5), squeeze=False)
    for axes, (lag_name, lag_title, quality_name, quality_title, factor) in zip(both[0], sides, strict=True):
        for system in dict.fromkeys(result.system for result in report.results):
            own = [result for result in report.results if result.system == system]
            point = weighted(own, (lag_name, quality_name, "cpu"))
            if not point:
                continue
            lag, quality, cpu = point
            axes.scatter([lag], [factor * quality], s=900 * cpu, alpha=0.5, color="#00695c")
            text = f"{system}\n{lag:.2f} s, {factor * quality:.1f}, {cpu:.2f} CPU"
            axes.annotate(text, (lag, factor * quality), (0, 16), textcoords="offset points", fontsize=8, ha="center")
        axes.set_xlabel(lag_title)
        axes.set_ylabel(quality_title)
        axes.margins(0.35)
        axes.grid(alpha=0.3)
    return _svg(pyplot, figure)


def weighted(results: Sequence[Result], names: Sequence[str]) -> list[float]:
    """Mean of each figure by the seconds of the recordings that have all of them; empty where none has."""
    having = [result for result in results if all(name in result.figures for name in names)]
    seconds = sum(result.seconds for result in having)
    return [sum(r.figures[name] * r.seconds for r in having) / seconds for name in names] if having else []


_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:100rem}table{border-collapse:collapse}
td,th{padding:.3rem .7rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}.scroll{overflow-x:auto}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}svg{background:#fff}td,th{border-color:#444}}"""


def page(report: Report, pictures: dict[str, str]) -> str:
    """The HTML report; `pictures` maps a title to SVG."""
    names = _names(report.results)
    head = "".join(f"<th scope=col>{html.escape(FIGURES[name].title)}</th>" for name in names)
    rows = "".join(
        f"<tr><th scope=row>{html.escape(label(result))}</th>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(result, names))
        + "</tr>"
        for result in report.results
    )
    wrong = [f"{label(result)}: {problem}" for result in report.results for problem in result.problems]
    sound = "<p>Every log keeps its promises: nothing committed was taken back, every segment closed once.</p>"
    listed = "".join(f"<li>{html.escape(problem)}</li>" for problem in wrong)
    figures = "".join(
        f"<h2>{html.escape(title)}</h2><div class=scroll>{svg[svg.index('<svg') :]}</div>"
        for title, svg in pictures.items()
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>tsuyaku bench</title><style>{_STYLE}</style>"
        f"<h1>tsuyaku bench</h1><p>{html.escape(caption(report))}</p>"
        f"<div class=scroll><table><thead><tr><th scope=col>result</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"</div>{f'<h2>Problems</h2><ul>{listed}</ul>' if wrong else sound}{figures}</html>\n"
    )


def write(report: Report, pictures: dict[str, str], folder: Path) -> list[Path]:
    """report.json, report.html and picture.svg (the first picture); returns what was written."""
    files = {"report.json": msgspec.json.format(msgspec.json.encode(report)).decode()}
    files["report.html"] = page(report, pictures)
    if pictures:
        files["picture.svg"] = next(iter(pictures.values()))
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]
