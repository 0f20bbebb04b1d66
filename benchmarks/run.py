"""Recordings through systems, one process each, paced by the clock; medians of several runs; the report."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.media import output_errors
from benchmarks import alignment, metrics
from benchmarks.manifest import Recording
from benchmarks.metrics import Spoken
from benchmarks.process import measure
from benchmarks.score import Result, score
from benchmarks.systems import Options, System
from models.errors import InputError

VERSION = 1  # of a report's form
SPARE_S = 300.0  # beyond twice the recording: to load, and to catch up for systems that fall behind


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `bench run` writes as report.json and `bench compare` reads."""

    version: int = VERSION
    command: str
    machine: str
    cores: int
    when: str
    """UTC, ISO 8601"""
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    recordings: Sequence[Recording]
    systems: Sequence[System]
    targets: Sequence[str]
    """languages to translate into; recognition alone where empty"""
    options: Options
    folder: Path
    repeat: int = 1


Say = Callable[[str], None]


def run(plan: Plan, say: Say) -> Iterator[Result]:
    """Run everything in turn; nothing else should load the machine. What was measured is handed out at once: whatever
    ends a later run says nothing about it."""
    with output_errors(plan.folder):
        plan.folder.mkdir(parents=True, exist_ok=True)
    for recording in plan.recordings:
        spoken = alignment.align(recording, plan.options.model)
        for system in plan.systems:
            for target in _targets(plan, system, recording):
                say(f"{system.name} on {recording.id}{f' → {target}' if target else ''} ({recording.seconds:.0f} s)")
                yield _measure(plan, system, recording, target, spoken)


def report(results: Sequence[Result], command: str) -> Report:
    import os

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    machine = f"{platform.machine()} {platform.system()}, Python {platform.python_version()}"
    return Report(command=command, machine=machine, cores=os.cpu_count() or 0, when=now, results=tuple(results))


def read(path: Path) -> Report:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise InputError("report-unreadable", f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError("report-invalid", f"{path} is no report of tsuyaku bench: {error}.") from error
    if found.version != VERSION:
        raise InputError("report-invalid", f"{path} is a report of another version of tsuyaku bench; measure again.")
    return found


def _targets(plan: Plan, system: System, recording: Recording) -> list[str]:
    wanted = [target for target in plan.targets if target != recording.language]
    return wanted if wanted and system.translates else [""]


def _measure(plan: Plan, system: System, recording: Recording, target: str, spoken: Sequence[Spoken]) -> Result:
    name = "-".join(part for part in (system.name, recording.id, target) if part)
    runs: list[dict[str, float]] = []
    found: list[str] = []
    for number in range(plan.repeat):
        measured = measure(
            system.command(recording, target, plan.options),
            plan.folder / "logs" / f"{name}.{number}.jsonl",
            limit_s=2 * recording.seconds + SPARE_S,
            children_only=system.children_only,
        )
        exports = plan.folder / "exports" / (f"{system.name}.{number}" if number else system.name)
        figures = score(measured.log, recording, target, spoken, exports, timed=system.timed)
        runs.append(figures | measured.figures(recording.seconds))
        found.extend(f"run {number}: {problem}" for problem in metrics.problems(measured.log) if system.timed)
    return _result(system.name, recording, target, runs, found, f"logs/{name}.0.jsonl")


def _result(
    system: str, recording: Recording, target: str, runs: Sequence[dict[str, float]], found: Sequence[str], log: str
) -> Result:
    return Result(
        system=system,
        recording=recording.id,
        language=recording.language,
        target=target,
        seconds=recording.seconds,
        figures=medians(runs),
        runs=len(runs),
        problems=tuple(found),
        log=log,
    )


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each figure over the runs that have it."""
    names = dict.fromkeys(name for figures in runs for name in figures)
    return {name: statistics.median(figures[name] for figures in runs if name in figures) for name in names}
