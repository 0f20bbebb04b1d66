"""Flags of vLLM chosen for the first token of short answers, each with its reason, and the memory they take.

Everything here is arithmetic: nothing is started, and no GPU is touched. What the flags do on a GPU is measured by
`make bench-gpu`; docs/llama.md has what it said.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.llama.checkpoints import AUTOMATIC, Checkpoint, find
from app.llama.gpus import Gpu
from models.errors import UnavailableError

GIB = 2**30
UTILISATION = 0.92  # of a GPU's memory, that vLLM takes
TYPICAL_TOKENS = 1024  # of a request: most are shorter, and the cache is shared
WORKING_BYTES = 5 * GIB  # a GPU: activations and graphs (2.6 GiB on an H200), and what weights exceed their estimate
FP8_CAPABILITY = 8.9  # Ada, Hopper and later compute in FP8
CAPTURED_TOKENS = 512  # of a step; vLLM's own limit for 64 requests is 128, which four of them exceed together
PARALLEL = (8, 4, 2, 1)  # divides Llama 4's 40 heads and 8 key-value heads
REASON_AT = 44  # column, of the lines that give reasons
SERVER = "vllm.entrypoints.openai.api_server"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person may choose; the rest follows from the GPUs."""

    model: str = ""
    """the best that fits where empty"""
    draft: str = "auto"
    """auto, none, or another head by name or folder"""
    dummy: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    served_name: str = "llama-4"
    context: int = 4096
    """tokens of prompt and answer"""
    sequences: int = 64
    """requests that run at once"""


@dataclass(frozen=True, slots=True)
class Flag:
    name: str
    value: str
    """empty for a switch"""
    reason: str

    def __str__(self) -> str:
        return f"{self.name} {shlex.quote(self.value)}" if self.value else self.name


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes a GPU."""

    weights: int
    draft: int
    cache: int
    """of the keys and values of all requests that may run, each of `TYPICAL_TOKENS`"""
    working: int
    usable: int
    free: int

    @property
    def needed(self) -> int:
        return self.weights + self.draft + self.cache + self.working

    @property
    def fits(self) -> bool:
        return self.needed <= min(self.usable, self.free)


@dataclass(frozen=True, slots=True)
class Plan:
    checkpoint: Checkpoint
    gpus: tuple[Gpu, ...]
    """that it runs on; none is the CPU"""
    flags: tuple[Flag, ...]
    environment: tuple[Flag, ...]
    memory: Memory | None
    wish: Wish

    def arguments(self) -> list[str]:
        """After the interpreter of vLLM's environment."""
        return ["-m", SERVER, *(part for flag in self.flags for part in (flag.name, flag.value) if part)]


def plan(wish: Wish, gpus: Sequence[Gpu]) -> Plan:
    """Raises `UnavailableError` `gpu-missing`, `llama-memory`, and what `checkpoints.find` raises."""
    if not gpus:
        raise UnavailableError(
            "gpu-missing",
            "There is no NVIDIA GPU here; --dry-run --gpus h200 shows what another machine would run, and --cpu takes "
            "a tiny model.",
        )
    if wish.model:
        made = _on_gpus(find(wish.model, dummy=wish.dummy), wish, gpus)
        if made.memory is not None and not made.memory.fits:
            raise UnavailableError("llama-memory", _too_much(made))
        return made
    tried = [_on_gpus(find(name), wish, gpus) for name in AUTOMATIC]
    for made in tried:
        suited = made.checkpoint.least_capability <= min(gpu.capability for gpu in made.gpus)
        if made.memory is not None and made.memory.fits and suited:
            return made
    raise UnavailableError("llama-memory", _too_much(tried[-1]))


def _on_gpus(checkpoint: Checkpoint, wish: Wish, gpus: Sequence[Gpu]) -> Plan:
    count = next(count for count in PARALLEL if count <= len(gpus))
    used = tuple(gpus[:count])
    fp8 = min(gpu.capability for gpu in used) >= FP8_CAPABILITY
    total = min(gpu.total for gpu in used)
    draft = checkpoint.draft if wish.draft == "auto" and not wish.dummy else None
    memory = Memory(
        weights=checkpoint.weight_bytes // count,
        draft=(draft.bytes if draft else 0) // count,
        cache=checkpoint.shape.cache_bytes(8 if fp8 else 16)
        * min(wish.context, TYPICAL_TOKENS)
        * wish.sequences
        // count,
        working=WORKING_BYTES,
        usable=int(UTILISATION * total),
        free=min(gpu.free for gpu in used),
    )
    flags = (*_common(checkpoint, wish), *_gpu_flags(checkpoint, wish, count, fp8=fp8), *_draft(checkpoint, wish))
    return Plan(checkpoint, used, flags, tuple(_environment(checkpoint)), memory, wish)


def plan_on_cpu(wish: Wish) -> Plan:
    """For trying the plumbing with a tiny model, and for our own tests."""
    checkpoint = find(wish.model, dummy=wish.dummy)
    cache = max(64 * 2**20, checkpoint.shape.cache_bytes(16) * wish.context * min(wish.sequences, 16))
    flags = (
        *_common(checkpoint, wish),
        Flag("--dtype", "bfloat16", "what the CPU build computes in"),
        Flag("--enforce-eager", "", "nothing is compiled for a tiny model"),
        Flag(
            "--distributed-executor-backend", "uni", "one process: through another, tokens arrive in bursts of a second"
        ),
        Flag("--kv-cache-memory-bytes", str(cache), "the cache of what may run, instead of a share of the machine"),
        Flag("--block-size", "32", "the CPU's 128 would leave short prompts uncached: only whole blocks are"),
    )
    environment = (
        *_environment(checkpoint),
        Flag(
            "VLLM_ENABLE_V1_MULTIPROCESSING",
            "0",
            "the engine in the server's process: a request that is dropped ends at once",
        ),
        Flag("OMP_NUM_THREADS", "1", "more threads on a loaded machine wait for each other"),
    )
    return Plan(checkpoint, (), flags, environment, None, wish)


def _common(checkpoint: Checkpoint, wish: Wish) -> Iterator[Flag]:
    yield Flag("--model", checkpoint.model, "the weights")
    if wish.dummy:
        yield Flag("--load-format", "dummy", "random weights of the real size: latency, and no sense")
    yield Flag("--served-model-name", wish.served_name, "one short name, whatever the weights are called")
    yield Flag("--host", wish.host, "loopback unless a key guards it: the key does not guard every route")
    yield Flag("--port", str(wish.port), "where clients find it")
    yield Flag(
        "--max-model-len",
        str(min(wish.context, checkpoint.longest)),
        "a clause, its glossary and three pairs before it are short: more cache for more requests",
    )
    yield Flag(
        "--max-num-seqs", str(wish.sequences), "beyond it requests wait, and clients have their fallback by then"
    )
    yield Flag("--scheduling-policy", "priority", "a closed clause goes before an open one, which will be asked again")
    yield Flag("--enable-prefix-caching", "", "a clause's prompt grows at its end: what was read is not read again")
    yield Flag("--enable-chunked-prefill", "", "a new prompt does not hold up the answers that are being written")
    yield Flag("--enable-prompt-tokens-details", "", "answers say how much of the prompt was cached")
    if checkpoint.pictures:
        yield Flag("--limit-mm-per-prompt", '{"image": 0}', "text alone: no memory is set aside for pictures")
    yield Flag(
        "--generation-config", "vllm", "no sampling defaults from the model's folder: the client asks for greedy"
    )


def _gpu_flags(checkpoint: Checkpoint, wish: Wish, count: int, *, fp8: bool) -> Iterator[Flag]:
    yield Flag("--tensor-parallel-size", str(count), "all GPUs work on each token: for its time, not for most requests")
    if fp8:
        yield Flag("--kv-cache-dtype", "fp8", "half of the cache: twice the requests, and less to read a token")
    yield Flag(
        "--max-num-batched-tokens", "2048", "what one step reads at most: running answers wait less than by the default"
    )
    yield Flag(
        "--gpu-memory-utilization", str(UTILISATION), "the rest stays for the driver; the weights need nearly all"
    )
    yield Flag(
        "--max-cudagraph-capture-size",
        str(CAPTURED_TOKENS),
        "steps that read the new words of several prompts are CUDA graphs as well, not those that only write",
    )
    if wish.context <= checkpoint.chunk:
        whole = {"attention_chunk_size": None}
        yield Flag(
            "--hf-overrides",
            json.dumps({"text_config": whole} if checkpoint.nested else whole),
            "all that is seen lies in one chunk, and without chunks a whole step is one CUDA graph",
        )


def _draft(checkpoint: Checkpoint, wish: Wish) -> Iterator[Flag]:
    if wish.draft == "none" or (wish.draft == "auto" and (checkpoint.draft is None or wish.dummy)):
        return
    known = checkpoint.draft
    config = {
        "method": known.method if known else "eagle",
        "model": known.model if known and wish.draft == "auto" else wish.draft,
        "num_speculative_tokens": known.tokens if known else 3,
    }
    yield Flag(
        "--speculative-config", json.dumps(config), "an EAGLE head proposes tokens that one step checks: fewer steps"
    )


def _environment(checkpoint: Checkpoint) -> Iterator[Flag]:
    yield Flag("VLLM_NO_USAGE_STATS", "1", "nothing is reported to anybody")
    yield Flag("DO_NOT_TRACK", "1", "nor by the libraries beneath")
    if checkpoint.local:
        yield Flag("HF_HUB_OFFLINE", "1", "the folder has all that is needed")


def _too_much(made: Plan) -> str:
    memory, name = made.memory, made.checkpoint.name
    assert memory is not None
    where = f"{len(made.gpus)} × {made.gpus[0].name}"
    if memory.needed <= memory.usable:
        return (
            f"{name} needs {_gib(memory.needed)} a GPU and {where} has {_gib(memory.free)} free; "
            "end what uses the rest."
        )
    smaller = "" if made.checkpoint.name == AUTOMATIC[-1] else f"{AUTOMATIC[-1]}, "
    return (
        f"{name} needs {_gib(memory.needed)} a GPU and {where} has {_gib(memory.usable)} to use; "
        f"take {smaller}more GPUs, --draft none, or fewer --sequences."
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.0f} GiB"


def describe(made: Plan) -> Iterator[str]:
    """Lines for a shell: comments that give the reasons, then the command."""
    if made.gpus:
        yield f"# {len(made.gpus)} × {made.gpus[0].name}, {_gib(made.gpus[0].total)} each"
    if (memory := made.memory) is not None:
        source = "files" if made.checkpoint.measured else "estimated"
        yield (
            f"# a GPU: weights {_gib(memory.weights)} ({source}), draft {_gib(memory.draft)}, cache "
            f"{_gib(memory.cache)}, working memory {_gib(memory.working)} (an allowance): "
            f"{_gib(memory.needed)} of {_gib(memory.usable)}"
        )
    for variable in made.environment:
        yield f"# {f'{variable.name}={variable.value}':<{REASON_AT}}  {variable.reason}"
    for flag in made.flags:
        yield f"# {flag!s:<{REASON_AT}}  {flag.reason}"
