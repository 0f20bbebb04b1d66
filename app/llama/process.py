"""vLLM as a child process: started, waited for until it answers, and ended with us."""

from __future__ import annotations

import http.client
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType

from app.llama.plan import Plan
from models.errors import InputError, UnavailableError

END_S = 20.0  # that vLLM has to end by itself
LOOK_S = 0.25
INSTALL = "uv venv vllm && uv pip install -p vllm/bin/python vllm"


def interpreter(environment: Path | None) -> Path:
    """Python of the environment that has vLLM: the one that is named, ours, or the one of `vllm` on the PATH.

    Raises `UnavailableError` `vllm-missing`.
    """
    if environment is not None:
        python = environment.expanduser() / "bin" / "python"
        if python.exists():
            return python
        raise UnavailableError("vllm-missing", f"{environment} is no environment with Python; make one: {INSTALL}")
    if importlib.util.find_spec("vllm"):
        return Path(sys.executable)
    if command := shutil.which("vllm"):
        return Path(command).resolve().with_name("python")
    raise UnavailableError("vllm-missing", f"vLLM is not installed here: {INSTALL}, then add --vllm-env vllm.")


class Vllm:
    """Enter to start it; leaving ends it. Its log goes to standard error, so that ours is for programs."""

    def __init__(self, made: Plan, python: Path, key: str) -> None:
        self._command = [str(python), *made.arguments()]
        self._environment = {**os.environ, **{variable.name: variable.value for variable in made.environment}}
        if key:  # in the environment: other users can read a command line
            self._environment["VLLM_API_KEY"] = key
        self._host = "127.0.0.1" if made.wish.host in ("0.0.0.0", "::") else made.wish.host
        self._port = made.wish.port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def __enter__(self) -> Vllm:
        """Raises `InputError` `port-taken`."""
        _require_free(self._host, self._port)
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        for number in (signal.SIGINT, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    continue

    def wait_until_healthy(self, timeout_s: float) -> float:
        """s until it answers. Raises `UnavailableError` `vllm-ended`, `vllm-slow`."""
        begin = time.monotonic()
        while time.monotonic() - begin < timeout_s:
            self._require_running()
            if _answers(f"{self.url}/health"):
                return time.monotonic() - begin
            time.sleep(LOOK_S)
        raise UnavailableError(
            "vllm-slow",
            f"vLLM did not answer within {timeout_s:.0f} s; give it more with --ready-s, or see its lines above.",
        )

    def wait(self) -> None:
        """Until it ends, which nobody asked for. Raises `UnavailableError` `vllm-ended`."""
        assert self._process is not None
        self._process.wait()
        self._require_running()

    def _require_running(self) -> None:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            raise UnavailableError("vllm-ended", f"vLLM ended with status {status}; its lines above say why.")


def _answers(url: str) -> bool:
    """Asked of this machine: never through a proxy."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2.0) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                "port-taken", f"Port {port} is in use; end what uses it or choose another --port."
            ) from error
