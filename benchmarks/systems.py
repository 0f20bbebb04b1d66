"""What can be benchmarked: each system is a command that writes events as JSON lines for one recording."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.manifest import Recording
from models.errors import InputError

Command = Callable[[Recording, str, "Options"], list[str]]


@dataclass(frozen=True, slots=True)
class Options:
    """What all systems of a run share."""

    model: Path
    """the weights, in CTranslate2's format"""
    threads: int = 2
    preset: str = "balanced"
    speak: bool = False
    extra: tuple[str, ...] = field(default=())
    """further arguments of `tsuyaku translate`"""


@dataclass(frozen=True, slots=True)
class System:
    name: str
    command: Command
    timed: bool = True
    """False for offline systems, whose emissions mean nothing"""
    translates: bool = False
    children_only: bool = False
    """the adapter is a client: measure only what it starts"""


def _tsuyaku(*flags: str, preset: str = "") -> Command:
    """`preset` where it is not that of the run."""

    def command(recording: Recording, target: str, options: Options) -> list[str]:
        run = "import sys; from app.cli import main; main()"
        to = ["--to", target] if target else ["--to", recording.language]
        speak = ["--speak", "/dev/null"] if options.speak and target and flags else []
        given = ["--from", recording.language, *to, "--format", "jsonl", "--preset", preset or options.preset]
        return [sys.executable, "-c", run, "translate", str(recording.path), *given, *speak, *flags, *options.extra]

    return command


def _peer(module: str) -> Command:
    def command(recording: Recording, target: str, options: Options) -> list[str]:
        given = ["--model", str(options.model), "--language", recording.language, "--threads", str(options.threads)]
        to = ["--to", target] if target else []
        return [sys.executable, "-m", f"benchmarks.peers.{module}", str(recording.path), *given, *to]

    return command


SYSTEMS = {
    system.name: system
    for system in (
        System("tsuyaku", _tsuyaku("--realtime"), translates=True),
        System("tsuyaku-offline", _tsuyaku(), timed=False, translates=True),
        System("offline", _peer("offline"), timed=False, translates=True),
        System("chunked", _peer("chunked")),
        System("whisperlivekit", _peer("whisperlivekit"), children_only=True),
    )
}
PEERS = ("offline", "chunked", "whisperlivekit")


def chosen(names: Sequence[str]) -> list[System]:
    if not names:
        raise InputError("unknown-system", f"No system is named; use {', '.join(SYSTEMS)}.")
    for name in names:
        if name not in SYSTEMS:
            raise InputError("unknown-system", f"'{name}' is no system; use {', '.join(SYSTEMS)}.")
    return [SYSTEMS[name] for name in names]


def at_presets(names: Sequence[str]) -> list[System]:
    """One system for each of the named settings, paced by the clock."""
    return [System(f"tsuyaku {name}", _tsuyaku("--realtime", preset=name), translates=True) for name in names]
