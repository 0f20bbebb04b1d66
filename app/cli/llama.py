"""`tsuyaku llama`: vLLM started for interpreting."""

from __future__ import annotations

import asyncio
import ipaddress
import shlex
import signal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from app.llama import gpus as devices
from app.llama.plan import Plan, Wish, describe, plan, plan_on_cpu
from app.settings import resolve
from models.errors import InputError

app = typer.Typer(help="Serve Llama 4 with vLLM.", no_args_is_help=True, add_completion=False)
DEFAULT = Wish()


@app.callback()
def llama() -> None:
    """A translator that knows the occasion, the terms and the register; it needs a GPU."""


@app.command()
def serve(
    model: Annotated[
        str, typer.Option(help="scout-fp8, scout-w4a16, maverick-fp8, or a folder; the best Scout that fits if none.")
    ] = DEFAULT.model,
    draft: Annotated[str, typer.Option(help="EAGLE head: auto, none, or a folder.")] = DEFAULT.draft,
    dummy: Annotated[
        bool, typer.Option("--dummy", help="Random weights: latency of the real size, and no sense.")
    ] = False,
    gpus: Annotated[str, typer.Option(help="Plan for these, as in h200 or 2xh100; needs --dry-run.")] = "",
    cpu: Annotated[
        bool, typer.Option("--cpu", help="On the CPU, with vLLM's build for it: for a tiny --model only.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need TSUYAKU_LLAMA_KEY.")
    ] = DEFAULT.host,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = DEFAULT.port,
    name: Annotated[str, typer.Option(help="Name under which the model is served.")] = DEFAULT.served_name,
    context: Annotated[int, typer.Option(min=512, help="Tokens of a prompt with its answer.")] = DEFAULT.context,
    sequences: Annotated[int, typer.Option(min=1, max=1024, help="Requests that run at once.")] = DEFAULT.sequences,
    vllm_env: Annotated[
        Path | None, typer.Option(help="Environment that has vLLM; ours, or vllm's on the PATH, if none.")
    ] = None,
    ready_s: Annotated[float, typer.Option(help="Longest time to load, in s.")] = 1800.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the command, with a reason for each flag.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The measured figures, for a program to read.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Measure, and end.")] = False,
) -> None:
    """Start vLLM with flags for this machine's GPUs, measure it, and serve until Ctrl-C.

    \b
        tsuyaku llama serve --dry-run --gpus h200
        tsuyaku llama serve
        tsuyaku llama serve --model /models/scout --host 10.0.0.5
        tsuyaku llama serve --model /models/scout --dummy --once --json
    """
    wish = Wish(model, draft, dummy, host, port, name, context, sequences)
    made = _plan(wish, gpus, cpu=cpu, dry_run=dry_run)
    if dry_run:
        typer.echo("\n".join([*describe(made), _command("python", made)]))
        return
    key = resolve().settings.llama_key
    _require_key(host, key)
    _run(made, key, vllm_env, ready_s, json=json, once=once)


def _plan(wish: Wish, described: str, *, cpu: bool, dry_run: bool) -> Plan:
    if described and not dry_run:
        raise InputError("gpu-unknown", "--gpus describes another machine; add --dry-run, or leave it out.")
    if cpu:
        return plan_on_cpu(wish)
    return plan(wish, devices.described(described) if described else devices.present())


def _require_key(host: str, key: str) -> None:
    """Raises `InputError` `llama-open`."""
    try:
        private = ipaddress.ip_address(host).is_loopback
    except ValueError:
        private = host == "localhost"
    if not private and not key:
        raise InputError(
            "llama-open", "Other machines could use this server: set TSUYAKU_LLAMA_KEY, here and where Tsuyaku runs."
        )


def _command(python: str, made: Plan) -> str:
    variables = [f"{variable.name}={shlex.quote(variable.value)}" for variable in made.environment]
    head, server = [*variables, python], made.arguments()[:2]
    return " \\\n  ".join([" ".join([*head, *server]), *map(str, made.flags)])


def _run(made: Plan, key: str, vllm_env: Path | None, ready_s: float, *, json: bool, once: bool) -> None:
    from app.llama.process import Vllm, interpreter

    python = interpreter(vllm_env)
    typer.echo("\n".join([*describe(made), _command(str(python), made)]), err=True)
    signal.signal(signal.SIGTERM, _interrupt)
    with Vllm(made, python, key) as server:
        ready = server.wait_until_healthy(ready_s)
        report = asyncio.run(_measure(f"{server.url}/v1", made, key))
        if json:
            typer.echo(msgspec.json.encode({"ready_s": round(ready, 1), **report}).decode())
        else:
            _show(report, ready)
        if once:
            return
        typer.echo(_how_to_use(server.url, made), err=True)
        server.wait()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


async def _measure(url: str, made: Plan, key: str) -> dict[str, Any]:
    from app.llama.measure import BUDGET_S, carried, client, climb

    llama = client(url, made.wish.served_name, key)
    try:
        loads = [load async for load in climb(llama, made.wish.sequences)]
    finally:
        await llama.close()
    return {
        "model": made.checkpoint.model,
        "gpus": [gpu.name for gpu in made.gpus],
        "dummy": made.wish.dummy,
        "budget_s": BUDGET_S,
        "carried": carried(loads),
        "loads": loads,
    }


def _show(report: dict[str, Any], ready_s: float) -> None:
    table = Table("requests at once", "first token", "p95", "a token", "tokens/s", "cached", "failed", box=None)
    for load in report["loads"]:
        table.add_row(
            str(load.callers),
            f"{load.first_token_s * 1000:.0f} ms",
            f"{load.first_token_p95_s * 1000:.0f} ms",
            f"{load.token_s * 1000:.1f} ms",
            f"{load.tokens_per_s:.0f}",
            f"{load.cached:.0%}",
            str(load.failed),
        )
    Console().print(table)
    typer.echo(
        f"Ready after {ready_s:.0f} s. It carries {report['carried']} requests at once with a first token within "
        f"{report['budget_s'] * 1000:.0f} ms (p95)."
    )


def _how_to_use(url: str, made: Plan) -> str:
    return (
        f"TSUYAKU_LLAMA_PRIORITY=true tsuyaku serve --translator llama --llama-url {url}/v1 "
        f"--llama-model {made.wish.served_name}\nCtrl-C ends it."
    )
