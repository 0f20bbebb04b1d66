"""A server of the real size on this machine's GPUs, measured in one go: `make bench-gpu`.

With weights: latency, requests carried, and the suite of utterances. Without: random weights of Scout's size in FP8,
which cost the same time and translate nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
import typer

from app.llama.process import interpreter
from benchmarks.process import ROOT
from benchmarks.translator.suite import SUITE
from models.errors import TsuyakuError, UnavailableError

RUN = "import sys; from app.cli import main; main()"
SHAPES = ROOT / "tests" / "real" / "vllm" / "tiny.py"
END_S = 60.0


def main(
    model: Annotated[
        str, typer.Option(help="scout-fp8 or another name, or a folder of weights; random ones if none.")
    ] = "",
    vllm_env: Annotated[Path | None, typer.Option(help="Environment that has vLLM.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the report.")] = Path("out/bench-gpu"),
    port: Annotated[int, typer.Option(help="Port for the server.")] = 8000,
    suite: Annotated[Path, typer.Option(help="Utterances: a TOML file; those of bench translator if none.")] = SUITE,
    cpu: Annotated[bool, typer.Option("--cpu", help="Try this on the CPU with a tiny model.")] = False,
) -> None:
    """Write report.json: the figures of `tsuyaku llama serve`, and with weights those of `tsuyaku bench translator`."""
    output.mkdir(parents=True, exist_ok=True)
    try:
        report = _measure(model, vllm_env, output.resolve(), port, suite, cpu=cpu)
    except TsuyakuError as error:
        typer.echo(f"tsuyaku: {error.message} [{error.code}]", err=True)
        raise typer.Exit(error.exit_status) from error
    path = output / "report.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    typer.echo(path.read_text("utf-8"))


def _measure(model: str, vllm_env: Path | None, output: Path, port: int, suite: Path, *, cpu: bool) -> dict[str, Any]:
    python = interpreter(vllm_env)
    options = ["--port", str(port), *(["--vllm-env", str(vllm_env)] if vllm_env else []), *(["--cpu"] if cpu else [])]
    if model:
        options += ["--model", model]
    else:
        folder = output / "scout-fp8"
        subprocess.run([python, SHAPES, folder, "scout-fp8"], check=True, stdout=sys.stderr)
        options += ["--model", str(folder), "--dummy"]
    begin = time.monotonic()
    command = [sys.executable, "-c", RUN, "llama", "serve", "--json", "--draft", "none" if cpu else "auto", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as server:
        try:
            served = _report(server.stdout)
            translator = _translate(port, served, suite.resolve()) if model else None
        finally:
            server.terminate()
            server.wait(END_S)
    return {
        "vllm": _version(python),
        "seconds": round(time.monotonic() - begin),
        "serve": served,
        "translator": translator,
    }


def _report(lines: IO[bytes] | None) -> dict[str, Any]:
    assert lines is not None
    line = lines.readline()
    if not line:
        raise UnavailableError("benchmark-failed", "The server did not start; its lines above say why.")
    return msgspec.json.decode(line)


def _translate(port: int, served: dict[str, Any], suite: Path) -> dict[str, Any]:
    where = ["--translator", "llama", "--llama-url", f"http://127.0.0.1:{port}/v1", "--llama-model", "llama-4"]
    where += ["--suite", str(suite)]
    command = [
        sys.executable,
        "-c",
        RUN,
        "bench",
        "translator",
        *where,
        "--at-once",
        str(max(1, served["carried"])),
        "--json",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=False)
    if not done.stdout:
        raise UnavailableError("benchmark-failed", "The suite of utterances was not run; the lines above say why.")
    return msgspec.json.decode(done.stdout)


def _version(python: Path) -> str:
    """Of vLLM's distribution, which has other names for other builds."""
    script = (
        "from importlib.metadata import packages_distributions as of, version;"
        "print(*(f'{name} {version(name)}' for name in of()['vllm']))"
    )
    return subprocess.run([python, "-c", script], capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    typer.run(main)
