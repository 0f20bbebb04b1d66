"""The conversation as plain lines: one a clause when its translation is complete, notices on standard error."""

from __future__ import annotations

from typing import TextIO

from app.desk.health import Notice
from app.desk.record import Key, Record
from pipeline.events import AnyEvent, Translation


class Lines:
    def __init__(self, record: Record, out: TextIO, err: TextIO) -> None:
        self._record, self._out, self._err = record, out, err
        self._shown: set[Key] = set()

    def add(self, channel: int, event: AnyEvent) -> None:
        if isinstance(event, Translation) and event.final and (channel, event.segment) not in self._shown:
            for row in reversed(self._record.rows()):
                if row.key == (channel, event.segment):
                    minutes, seconds = divmod(int(row.start_ms // 1000), 60)
                    text = f"{row.language}: {row.source} / {row.target_language}: {row.target}"
                    self._out.write(f"[{minutes:02}:{seconds:02}] {text}\n")
                    self._out.flush()
                    self._shown.add((channel, event.segment))
                    return

    def notice(self, notice: Notice) -> None:
        self._err.write(f"tsuyaku: {notice.text} [{notice.code}]\n")
        self._err.flush()
