"""A terminal that is closed ends the command as its own key does: what was said is worked through and saved."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

STREAMS = (0, 1, 2)
WRITERS = ("stdout", "stderr", "__stdout__", "__stderr__")


def on_hangup(finish: Callable[[], object]) -> None:
    """Call `finish` on the main thread, between any two of its instructions, once the terminal is gone. What is written
    to it from then on is lost without an error, and reading from it gives its end at once: nobody waits for a key.

    Takes the place of the handler of SIGHUP, which is a plain one: asyncio's would come after that of SIGCONT, which
    the kernel sends together with it. Nothing answers that one any more: Textual would open the terminal again.
    """
    if not hasattr(signal, "SIGHUP"):
        return  # Windows ends the process
    terminals = [stream for stream in STREAMS if os.isatty(stream)]
    for name in WRITERS:
        stream: TextIO | None = getattr(sys, name)
        if stream is not None and stream.isatty():
            setattr(sys, name, _Lasting(stream))

    def stay_gone(*_: object) -> None: ...

    def gone(*_: object) -> None:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in terminals:
            os.dup2(nowhere, stream)
        signal.signal(signal.SIGCONT, stay_gone)
        finish()

    signal.signal(signal.SIGHUP, gone)


class _Lasting:
    """A terminal's stream. What is written after the terminal is gone and before the signal says so is lost as well:
    Textual's thread for writing would end with an error, and its screen wait for it for ever."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
