"""`tsuyaku serve` as people start it: a process of its own, on a free port of loopback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TSUYAKU = str(Path(sys.executable).with_name("tsuyaku"))


@dataclass
class Serve:
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> bytes:
        request = urllib.request.Request(self.base + path, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            self.base + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def ready(self) -> bool:
        try:
            return self.get("/readyz") == b"ready\n"
        except (urllib.error.URLError, ConnectionError):
            return False

    def metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").decode(), re.MULTILINE)
        assert found, name
        return float(found[1])


@contextlib.contextmanager
def serve(folder: Path, *arguments: str, wait_s: float = 120.0) -> Generator[Serve]:
    """A server that is ready."""
    log = folder / "serve.log"
    environment = {**os.environ, "TSUYAKU_LOG_LEVEL": "debug"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [TSUYAKU, "serve", "--port", "0", *arguments], stdout=stream, stderr=stream, env=environment
        )
        try:
            yield _started(process, log, wait_s)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _started(process: subprocess.Popen[bytes], log: Path, wait_s: float) -> Serve:
    begin = time.monotonic()
    while time.monotonic() - begin < wait_s and process.poll() is None:
        if found := re.search(r"://[^ ]*:(\d+)", log.read_text("utf-8", "replace")):
            server = Serve(int(found[1]), process, log)
            if server.ready():
                return server
        time.sleep(0.1)
    raise AssertionError(f"tsuyaku serve did not start: {log.read_text('utf-8', 'replace')}")
