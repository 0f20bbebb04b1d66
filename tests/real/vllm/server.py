"""Starts, watches, freezes and kills a real vLLM server on the CPU.

    python -m tests.real.vllm.server [PORT]      serves the tiny Llama 4 until Ctrl-C: `make vllm-cpu`

`TSUYAKU_VLLM` is the environment with vLLM and the folder `tiny` in it, both made by tests/real/vllm/install.sh.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "tiny"
READY_S = 300.0

# vLLM's CPU build: with a process of its own for the engine, or the default executor, tokens arrive in bursts of a
# second and an abort comes too late; with more than one thread a loaded machine does a few tokens a second.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
# A prompt's blocks are cached whole: 32 tokens, where the CPU's default of 128 would leave short prompts uncached.
FLAGS = (
    *("--dtype", "bfloat16", "--max-model-len", "2048", "--enforce-eager", "--distributed-executor-backend", "uni"),
    *("--kv-cache-memory-bytes", "67108864", "--scheduling-policy", "priority", "--block-size", "32"),
    *("--enable-prompt-tokens-details", "--disable-uvicorn-access-log"),
)


def environment() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TSUYAKU_VLLM") or cache / "tsuyaku" / "vllm-cpu")


@dataclass
class VllmServer:
    """One process; `start` again after `kill` serves at the same address."""

    port: int
    log: Path
    sequences: int = 16
    flags: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        folder = environment()
        command = [folder / "bin" / "python", "-m", "vllm.entrypoints.openai.api_server", "--model", folder / "tiny"]
        command += ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--max-num-seqs", str(self.sequences), *FLAGS, *self.flags]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **ENVIRONMENT}, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_healthy(self) -> None:
        assert self._process is not None
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"vLLM ended with {self._process.returncode}; see {self.log}")
            try:
                self._get("/health", 1.0)
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise TimeoutError(f"vLLM was not healthy within {READY_S:.0f} s; see {self.log}")

    def freeze(self) -> None:
        """It accepts connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._signal(signal.SIGINT)
            try:
                self._wait()
            except subprocess.TimeoutExpired:
                self.kill()

    def metric(self, name: str) -> float:
        """The sum of a metric of vLLM over its labels; `vllm:` is put before `name`."""
        text = self._get("/metrics", 5.0).decode()
        found = re.findall(rf"^vllm:{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))

    def tokens(self, messages: list[dict[str, str]], **fields: object) -> list[int]:
        """Ids of a chat prompt, by the server's own tokeniser."""
        return self._post("/tokenize", {"messages": messages, **fields})["tokens"]

    def text(self, tokens: list[int]) -> str:
        return self._post("/detokenize", {"tokens": tokens})["prompt"]

    def _post(self, path: str, fields: dict[str, object]) -> Any:
        body = json.dumps({"model": NAME, **fields}).encode()
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(
            urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=10
        ) as answer:
            return json.load(answer)

    def _get(self, path: str, timeout_s: float) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout_s) as answer:
            return answer.read()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    log = environment() / "vllm.log"
    server = VllmServer(port, log)
    server.start()
    try:
        server.wait_until_healthy()
        print(f"A tiny random Llama 4 answers at {server.url} (log: {log}); Ctrl-C ends it.", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


if __name__ == "__main__":
    main()
