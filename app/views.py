"""What a session looks like while it runs: in a terminal, or as lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.live import Live

from app.formats import TextStream
from app.live import LiveView, PlainView
from pipeline.events import AnyEvent


class TerminalSink:
    """Redraws a `LiveView` a few times a second."""

    def __init__(self, source: str, targets: Sequence[str]) -> None:
        self._view = LiveView(source, targets)
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=8, get_renderable=self._render)
        self._live.start()

    def _render(self) -> RenderableType:
        return self._view.render(max(4, self._console.height - 6))

    def add(self, event: AnyEvent) -> None:
        self._view.handle(event)

    def close(self) -> None:
        self._live.refresh()
        self._live.stop()


class PlainSink:
    """Writes each clause once it is final."""

    def __init__(self, targets: Sequence[str], stream: TextStream | None = None) -> None:
        self._view = PlainView(targets)
        self._stream = stream or sys.stdout

    def add(self, event: AnyEvent) -> None:
        self._view.handle(event)
        if lines := self._view.render():
            self._stream.write(lines)
            self._stream.flush()

    def close(self) -> None:
        self._stream.flush()
