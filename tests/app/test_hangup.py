"""A terminal that is gone before the signal says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WRITES = """
import sys
from app.desk.hangup import on_hangup
on_hangup(lambda: None)
print("ready", flush=True)
sys.stdin.readline()
for stream in (sys.stderr, sys.__stderr__):
    print("lost", file=stream)
    stream.flush()
print("went on")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals, and ends the process")
def test_what_is_written_to_a_terminal_that_is_gone_is_lost_without_an_error() -> None:
    ours, terminal = os.openpty()
    command = [sys.executable, "-c", WRITES]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.close(ours)  # it is the terminal of no session, so that no signal comes
    out, _ = process.communicate("\n", timeout=60)
    assert out.strip() == "went on"
    assert process.returncode == 0
