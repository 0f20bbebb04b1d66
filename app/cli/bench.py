"""`tsuyaku bench`: quality, lag and cost of this machine's pipeline, and of its peers in the same run."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.console import Console

from app.engines import detector
from app.presets import PRESETS
from app.settings import resolve
from benchmarks import compare as comparing
from benchmarks import passes as passing
from benchmarks import replay as replaying
from benchmarks import report as reporting
from benchmarks import room as simulated
from benchmarks import route as routing
from benchmarks import speakers as speaking
from benchmarks import voices as voicing
from benchmarks.alignment import align
from benchmarks.extra import require
from benchmarks.log import read as read_log
from benchmarks.long import joined
from benchmarks.manifest import Recording, load
from benchmarks.peers import whisperlivekit
from benchmarks.run import Plan, Report
from benchmarks.run import read as read_report
from benchmarks.run import report as report_of
from benchmarks.run import run as run_plan
from benchmarks.score import Result
from benchmarks.systems import PEERS, Options, at_presets, chosen
from benchmarks.translator import engine as asking
from benchmarks.translator import report as judging
from benchmarks.translator import run as translating
from benchmarks.translator import suite as suites
from models.errors import InputError
from models.glossary import load as load_glossary
from models.store import Store
from models.whisper import Context, WhisperRecognizer

app = typer.Typer(help="Measure quality, lag and cost.", no_args_is_help=True, add_completion=False)

_NEEDED = ("jiwer", "matplotlib", "omnisteval", "psutil", "sacrebleu", "whisper_normalizer")


def _known(preset: str) -> str:
    return resolve({"preset": preset}).settings.preset


_Preset = Annotated[str, typer.Option(help="fast, balanced or accurate.", callback=_known)]
_Ids = Annotated[list[str] | None, typer.Argument(help="Recordings of the manifest; those with a transcript if none.")]
_Manifest = Annotated[Path | None, typer.Option(help="Your own manifest.json; else that of TSUYAKU_TEST_AUDIO.")]
_Output = Annotated[Path, typer.Option("-o", "--output", help="Folder of the report, the logs and the exports.")]
_Repeat = Annotated[int, typer.Option(min=1, help="Runs of each; the medians are reported.")]
_Model = Annotated[Path | None, typer.Option(help="Whisper weights for alignment and peers; whisper-base if none.")]


@app.callback()
def bench() -> None:
    """Recordings go through the real pipeline at the pace of the voice; nothing else should load the machine."""


@app.command()
def run(
    ids: _Ids = None,
    to: Annotated[str, typer.Option("--to", help="Languages to translate into, as in pt,es; empty for none.")] = "pt",
    system: Annotated[str, typer.Option(help="Systems, as in tsuyaku,tsuyaku-offline,offline.")] = "tsuyaku",
    preset: _Preset = "balanced",
    speak: Annotated[bool, typer.Option("--speak", help="Speak too, and measure the ear-voice span.")] = False,
    manifest: _Manifest = None,
    output: _Output = Path("out/bench"),
    repeat: _Repeat = 1,
    model: _Model = None,
    minutes: Annotated[float, typer.Option(min=0, help="Recordings one after the other for so long; 0: each.")] = 0,
) -> None:
    """Measure the pipeline.

    \b
        tsuyaku bench run en_printing --to pt --repeat 3 -o out/bench
        tsuyaku bench run en_printing --to pt --speak --minutes 60 -o out/hour
    """
    recordings = _recordings(manifest, ids)
    if minutes:
        recordings = [joined(recordings, minutes, output)]
    options = Options(_model(model), preset=preset, speak=speak)
    _run(recordings, to, system.split(","), options, output, repeat)


@app.command()
def peers(
    ids: _Ids = None,
    install: Annotated[bool, typer.Option("--install", help="First put WhisperLiveKit into its environment.")] = False,
    system: Annotated[str, typer.Option(help="Peers to run beside tsuyaku.")] = ",".join(PEERS),
    threads: Annotated[int, typer.Option(min=1, help="Threads of each peer.")] = 2,
    manifest: _Manifest = None,
    output: _Output = Path("out/bench-peers"),
    repeat: _Repeat = 1,
    model: _Model = None,
) -> None:
    """Measure recognition beside WhisperLiveKit and plain faster-whisper: same weights, audio, cores and pace.

    \b
        tsuyaku bench peers en_printing -o out/peers
    """
    if install:
        typer.echo(f"WhisperLiveKit is in {whisperlivekit.install()}", err=True)
    systems = ["tsuyaku", *(name for name in system.split(",") if name != "tsuyaku")]
    _run(_recordings(manifest, ids), "", systems, Options(_model(model), threads=threads), output, repeat)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="A report.json.")],
    after: Annotated[Path, typer.Argument(help="Another.")],
) -> None:
    """Say what got better or worse, and by how much.

    \b
        tsuyaku bench compare out/before/report.json out/bench/report.json
    """
    Console().print(comparing.table(read_report(before), read_report(after)))


@app.command()
def translator(
    translator: Annotated[str | None, typer.Option(help="firefox (embedded) or llama (a server).")] = None,
    llama_url: Annotated[str | None, typer.Option(help="Base URL of an OpenAI-compatible server.")] = None,
    llama_model: Annotated[str | None, typer.Option(help="Its model; the only one it has if none.")] = None,
    suite: Annotated[Path, typer.Option(help="Utterances: a TOML file; its own if none.")] = suites.SUITE,
    glossary: Annotated[Path, typer.Option(help="Terms: a TOML, CSV or TBX file.")] = suites.TERMS,
    at_once: Annotated[int, typer.Option(min=1, max=256, help="Cases that are asked at once; 1 for times.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="The whole report, for a program to read.")] = False,
) -> None:
    """Whether questions, orders and "ignore your instructions" are translated, and terms kept.

    Exit status 1 where too few terms are kept. The engine is asked without a fallback.

    \b
        tsuyaku bench translator
        tsuyaku bench translator --translator llama --llama-url http://127.0.0.1:8000/v1 --json
    """
    require("sacrebleu")
    given = {"translator": translator, "llama_url": llama_url, "llama_model": llama_model}
    subject = asking.subject(resolve(given).settings)
    utterances = suites.load(suite)
    every = list(suites.cases(utterances, lambda source, target: True))
    cases = list(suites.cases(utterances, subject.supports))
    results = asyncio.run(translating.run(subject.ask, cases, load_glossary(glossary), at_once=at_once))
    made = judging.report(
        results,
        utterances,
        command=shlex.join(["tsuyaku", *sys.argv[1:]]),
        engine=subject.name,
        left_out=len(every) - len(cases),
        cached=subject.cached(),
    )
    if json:
        typer.echo(msgspec.json.encode(made).decode())
    else:
        Console().print(judging.table(made))
        typer.echo("\n".join(judging.complaints(made)))
    if not made.passed:
        raise typer.Exit(1)


@app.command()
def route(
    ids: _Ids = None,
    between: Annotated[tuple[str, str], typer.Option(help="The two languages.")] = ("en", "pt"),
    most: Annotated[int, typer.Option(min=1, help="Long and short cuts of each recording.")] = 12,
    gap: Annotated[float, typer.Option(help="s of quiet between two utterances.")] = 2.0,
    preset: _Preset = "balanced",
    manifest: _Manifest = None,
    model: _Model = None,
) -> None:
    """Measure how often an utterance is heard in the right one of two languages.

    \b
        tsuyaku bench route --between en pt
    """
    recordings = [r for r in load(manifest, ids or ()) if r.language in between]
    pieces = routing.shuffled(routing.cuts(recordings, detector(Store()), _model(model), most))
    routed = routing.route(pieces, between, preset=preset, gap_s=gap)
    console = Console()
    for wrong in (one for one in routed if not one.right):
        said = f" ({wrong.cut.text})" if wrong.cut.text else ""
        console.print(
            f"{wrong.cut.recording}{said}, {wrong.cut.seconds:.2f} s: "
            f"heard as {wrong.language or 'nothing'}, not {wrong.cut.language}"
        )
    console.print(routing.table(routing.tallies(routed, between)))


@app.command()
def passes(
    ids: _Ids = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each runtime.")] = 2,
    manifest: _Manifest = None,
    model: _Model = None,
) -> None:
    """Measure what a pass of live recognition costs on each of Whisper's runtimes, in turn, and whether batches gain.

    \b
        tsuyaku bench passes en_printing fleurs_pt_0
    """
    recordings, weights = _recordings(manifest, ids), _model(model)
    Console().print(passing.table(passing.measure(recordings, weights, threads)))
    Console().print(passing.batch_table(passing.measure_batches(recordings, weights, threads)))


@app.command()
def voices(
    languages: Annotated[list[str] | None, typer.Argument(help="en, pt; both if none.")] = None,
) -> None:
    """Measure how soon each embedded voice speaks here, and how well a second recogniser understands it.

    \b
        tsuyaku bench voices pt
    """
    Console().print(voicing.table(voicing.measure(languages or list(voicing.TEXTS))))


@app.command()
def replay(
    ids: _Ids = None,
    preset: _Preset = "balanced",
    set: Annotated[list[str] | None, typer.Option("--set", help="A setting of recognition, as in longest_s=9.")] = None,
    pace: Annotated[float, typer.Option(help="s of a pass for each second that it hears.")] = replaying.PACE,
    marks: Annotated[
        float, typer.Option(help="Log odds that are added to commas and stops where there are few.")
    ] = replaying.MARK_BONUS,
    greedy: Annotated[bool, typer.Option("--greedy", help="Follow one hypothesis, not several.")] = False,
    manifest: _Manifest = None,
    model: _Model = None,
) -> None:
    """Measure recognition on a virtual clock: the same figures on every machine, however busy it is.

    \b
        tsuyaku bench replay en_printing --set longest_s=9
    """
    _require_all()
    settings = replaying.changed(PRESETS[preset], set or ())
    aligned = [(recording, align(recording, _model(model))) for recording in _recordings(manifest, ids)]
    Console().print(replaying.table(replaying.replay(aligned, settings, pace, marks, greedy=greedy)))


@app.command()
def speakers(
    ids: _Ids = None,
    counts: Annotated[str, typer.Option(help="How many at once, as in 1,2,4.")] = "1,2,4",
    to: Annotated[str, typer.Option("--to", help="Language to translate into.")] = "pt",
    preset: _Preset = "balanced",
    manifest: _Manifest = None,
    model: _Model = None,
) -> None:
    """Measure several speakers at once in one process, and how many stay within the budgets.

    \b
        tsuyaku bench speakers fleurs_en_0 fleurs_en_1 --counts 1,2,4
    """
    _require_all()
    recordings = [recording for recording in load(manifest, ids or ()) if recording.transcript]
    aligned = [(recording, align(recording, _model(model))) for recording in recordings]
    results = speaking.measure(aligned, to, [int(count) for count in counts.split(",")], preset)
    Console().print(speaking.table(results))
    for problem in (problem for one in results for problem in one.problems):
        typer.echo(problem)


@app.command()
def room(
    ids: _Ids = None,
    minutes: Annotated[float, typer.Option(help="Of conversation, in which the voice may get through.")] = 60.0,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each person speaks over the voice.")] = 2,
    noise: Annotated[float, typer.Option(help="dB of the room's own noise, against full scale.")] = -74.0,
    drift: Annotated[
        float, typer.Option(help="Millionths by which the microphone's clock runs faster than the loudspeaker's.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of all that is drawn by chance.")] = 1,
    manifest: _Manifest = None,
    model: _Model = None,
) -> None:
    """Measure the desk's echo canceller in a simulated room: a person over the voice, and the voice alone.

    \b
        tsuyaku bench room fleurs_en_0 fleurs_en_3 fleurs_pt_4 pt_cheetah
    """
    _require_all()
    require("livekit", "desk")
    recordings = _recordings(manifest, ids)
    people, voices = simulated.people(recordings), simulated.voices(recordings)
    recognizer = WhisperRecognizer(_model(model), context=Context(8.0, 1.0), threads=2)

    def scene() -> simulated.Scene:
        return simulated.Scene(np.random.default_rng(seed), noise, drift)

    known, changed, faltered = (
        simulated.understood(scene(), people, voices, recognizer, rounds=rounds, changes=changes, falters=falters)
        for changes, falters in ((False, False), (True, False), (False, True))
    )
    through, faltering = (
        simulated.openings(scene(), people, voices, detector(Store()), minutes=minutes, falters=falters)
        for falters in (False, True)
    )
    Console().print(simulated.table(known, changed, faltered, through, faltering, minutes))


@app.command()
def frontier(
    ids: _Ids = None,
    to: Annotated[str, typer.Option("--to", help="Languages to translate into; empty for none.")] = "pt",
    presets: Annotated[str, typer.Option(help="Named settings to compare.")] = "fast,balanced,accurate",
    manifest: _Manifest = None,
    output: _Output = Path("out/frontier"),
    repeat: _Repeat = 1,
    model: _Model = None,
) -> None:
    """Measure the named settings, and draw quality against lag against cost.

    \b
        tsuyaku bench frontier en_printing fleurs_pt_0 -o out/frontier
    """
    _require_all()
    recordings = [recording for recording in load(manifest, ids or ()) if recording.transcript]
    plan = Plan(recordings, at_presets(presets.split(",")), _targets(to), Options(_model(model)), output, repeat)
    _measured(plan, lambda report: {"frontier": reporting.frontier(report)})


def _require_all() -> None:
    for module in _NEEDED:
        require(module)


def _recordings(manifest: Path | None, ids: list[str] | None) -> list[Recording]:
    return [recording for recording in load(manifest, ids or ()) if ids or recording.transcript]


def _run(recordings: list[Recording], to: str, systems: list[str], options: Options, output: Path, repeat: int) -> None:
    _require_all()
    plan = Plan(recordings, chosen(systems), _targets(to), options, output, repeat)
    _measured(plan, lambda report: _pictures(report, recordings, options.model, output))


def _targets(to: str) -> list[str]:
    return [target for target in dict.fromkeys(part.strip() for part in to.split(",")) if target]


def _measured(plan: Plan, pictures: Callable[[Report], dict[str, str]]) -> None:
    """Report what was measured, also where a later run fails or is stopped."""
    if not plan.recordings:
        raise InputError("unknown-recording", "The manifest has no recording with a transcript; name those to measure.")
    results: list[Result] = []
    try:
        results.extend(run_plan(plan, lambda line: typer.echo(line, err=True)))
    finally:
        if results:
            report = report_of(results, shlex.join(["tsuyaku", *sys.argv[1:]]))
            reporting.write(report, {}, plan.folder)  # pictures take long, and may be stopped
            written = reporting.write(report, pictures(report), plan.folder)
            Console().print(reporting.table(report))
            typer.echo("\n".join(str(path) for path in written), err=True)


def _pictures(report: Report, recordings: list[Recording], model: Path, folder: Path) -> dict[str, str]:
    """A timeline of each streaming result; none of one that was joined, which no eye could read."""
    known = {recording.id: recording for recording in recordings}
    made: dict[str, str] = {}
    for result in report.results:
        if "commit_lag_median" in result.figures and not known[result.recording].parts:
            spoken = align(known[result.recording], model)
            log = read_log(folder / result.log)
            made[comparing.label(result)] = reporting.timeline(log, spoken, result.language, result.target)
    return made


def _model(given: Path | None) -> Path:
    return given or Store().ensure("whisper-base")
