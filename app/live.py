"""What a person sees while a session runs: columns that grow in a terminal, finished lines in a pipe.

Both know nothing but events. What was said is shown as text: no markup in it is obeyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pipeline.events import End, Event, Miss, Trace, Translation, Words
from pipeline.transcript import Line, Transcript

_KEPT = 4000  # characters of a column; more than any screen shows
_AGED = "dim"


@dataclass(slots=True)
class _Column:
    """One language."""

    title: str
    committed: str = ""
    tentative: str = ""
    age_ms: float | None = None
    """of the newest committed word when it was shown"""
    segment: int = -1

    def grow(self, committed: str, tentative: str, age_ms: float) -> None:
        self.committed = (self.committed + committed)[-_KEPT:]
        self.tentative = tentative
        if committed:
            self.age_ms = age_ms


class LiveView:
    """One column per language, the source first; committed text bright, tentative dim; latency at the foot."""

    def __init__(self, source: str, targets: Sequence[str]) -> None:
        self._source = _Column(source)
        self._targets = {language: _Column(language) for language in targets}
        self._stages: dict[str, float] = {}
        self._end_to_end_ms: float | None = None
        self._misses = 0
        self._last_miss = ""
        self._end = ""

    def handle(self, event: Event) -> None:
        match event:
            case Words():
                self._source.title = event.language
                self._source.grow(event.committed, event.tentative, event.emitted_ms - event.source_end_ms)
            case Translation():
                self._translated(event)
            case Trace():
                self._stages = {name: time.queue_ms + time.compute_ms for name, time in event.stages.items()}
                self._end_to_end_ms = event.end_to_end_ms
            case Miss():
                self._misses += 1
                self._last_miss = f"{event.stage} {event.actual_ms:.0f}/{event.budget_ms:.0f} ms: {event.action}"
            case End():
                self._end = event.message
            case _:
                pass

    def render(self, height: int = 12) -> RenderableType:
        """`height` lines of text below the names of the languages; the newest ones."""
        columns = [self._source, *self._targets.values()]
        table = Table.grid(expand=True, padding=(0, 2, 0, 0))
        for _ in columns:
            table.add_column(ratio=1)
        table.add_row(*(_title(column) for column in columns))
        table.add_row(*(_Tail(_text(column), height) for column in columns))
        return Group(table, Text(self._footer(), style=_AGED, no_wrap=True, overflow="ellipsis"))

    def _translated(self, event: Translation) -> None:
        column = self._targets.setdefault(event.language, _Column(event.language))
        if event.segment < column.segment and not event.committed:
            return
        column.segment = max(column.segment, event.segment)
        column.grow(event.committed, event.tentative, event.emitted_ms - event.source_end_ms)

    def _footer(self) -> str:
        parts = [f"{stage} {ms:.0f} ms" for stage, ms in self._stages.items()]
        if self._end_to_end_ms is not None:
            parts.append(f"end to end {_seconds(self._end_to_end_ms)}")
        newest = [column.age_ms for column in self._targets.values() if column.age_ms is not None]
        if newest or self._source.age_ms is not None:
            parts.append(f"newest word {_seconds(min(newest) if newest else self._source.age_ms or 0.0)} old")
        if self._misses:
            parts.append(f"{self._misses} missed (last {self._last_miss})")
        if self._end:
            parts.append(self._end)
        return " · ".join(parts)


class PlainView:
    """`[00:12] en: … / pt: …` for each clause once it is final in every one of `targets`."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._targets = frozenset(targets)
        self._transcript = Transcript()
        self._ready: list[str] = []
        self._shown: set[int] = set()
        self._shown_unclaimed = 0

    def handle(self, event: Event) -> None:
        self._transcript.add(event)
        match event:
            case Translation() if event.final:
                self._show_final(event.segment)
            case Words() if not self._targets and event.committed:
                self._show_unclaimed(open_too=False)
            case End():
                self._show_rest()
            case _:
                pass

    def render(self) -> str:
        """The lines that became final since the last call, each with its line feed."""
        ready, self._ready = self._ready, []
        return "".join(line + "\n" for line in ready)

    def _show_final(self, segment: int) -> None:
        line = self._transcript.line(segment)
        if line and segment not in self._shown and self._transcript.final_in(segment) >= self._targets:
            self._shown.add(segment)
            self._ready.append(_plain(line))

    def _show_unclaimed(self, *, open_too: bool) -> None:
        lines = [line for line in self._transcript.lines() if line.segment is None]
        ready = lines if open_too else lines[:-1]
        self._ready.extend(_plain(line) for line in ready[self._shown_unclaimed :])
        self._shown_unclaimed = max(self._shown_unclaimed, len(ready))

    def _show_rest(self) -> None:
        if not self._targets:
            self._show_unclaimed(open_too=True)
            return
        for line in self._transcript.lines():
            if line.segment is None or line.segment not in self._shown:
                self._ready.append(_plain(line))
                self._shown.add(-1 if line.segment is None else line.segment)


class _Tail:
    """The last lines of a text, as wide as its column turns out to be."""

    def __init__(self, text: Text, height: int) -> None:
        self._text = text
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self._text.wrap(console, options.max_width)
        yield from lines[-self._height :]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)


def _title(column: _Column) -> Text:
    age = "" if column.age_ms is None else f"  {_seconds(column.age_ms)}"
    return Text.assemble((column.title, "bold"), (age, _AGED))


def _text(column: _Column) -> Text:
    committed = column.committed.lstrip()
    tentative = column.tentative if committed else column.tentative.lstrip()
    return Text.assemble((committed, "bright_white"), (tentative, "dim"))


def _plain(line: Line) -> str:
    minutes, seconds = divmod(int(line.start_ms // 1000), 60)
    texts = [f"{line.language}: {line.source}"] if line.source else []
    texts += [f"{language}: {text}" for language, text in line.targets.items() if text]
    return f"[{minutes:02}:{seconds:02}] {' / '.join(texts)}"


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.1f} s"
