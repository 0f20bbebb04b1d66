"""`tsuyaku translate`: a file, a video or standard input, interpreted."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.engines import EngineConfig, build
from app.formats import writer
from app.interpret import Outcome, PlaySink, Sink, SpeechSink, interpret
from app.media import MediaFile, RawPcm, Source
from app.outputs import STDIN, Guarded, Place, Streams, places
from app.play import Player
from app.presets import FILE_BEAMS, OFFLINE, PRESETS, budgets, source_language, target_languages
from app.settings import Settings, resolve
from app.translation import briefing, translation_config
from app.views import PlainSink, TerminalSink
from models.catalog import Catalog
from models.errors import InputError
from pipeline.config import SessionConfig
from pipeline.engines import Engines
from pipeline.translate import TranslateConfig

STATUS = {"internal": 1, "unknown-language": 2}
"""of what ended a session early; anything else is something missing"""

FORMATS = ("live", "txt", "srt", "vtt", "json", "jsonl")


def translate(
    files: Annotated[list[Path], typer.Argument(help="Audio or video files; - is raw PCM (s16le, mono) on stdin.")],
    source: Annotated[str | None, typer.Option("--from", help="Language spoken, or auto.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Languages to translate into, as in pt,es.")] = None,
    speak: Annotated[Path | None, typer.Option(help="Write the spoken translation to this WAV file.")] = None,
    play: Annotated[bool, typer.Option("--play", help="Play the first language's speech.")] = False,
    format: Annotated[str, typer.Option("--format", help=", ".join(FORMATS) + ".")] = "live",
    bilingual: Annotated[bool, typer.Option("--bilingual", help="Source and translation in txt, srt, vtt.")] = False,
    realtime: Annotated[bool, typer.Option("--realtime", help="At the pace of the voice.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of to stdout.")] = None,
    preset: Annotated[str | None, typer.Option(help="fast, balanced or accurate.")] = None,
    whisper: Annotated[str | None, typer.Option(help="Size of the recogniser, as in tsuyaku models list.")] = None,
    voice: Annotated[str | None, typer.Option(help="piper, kokoro, espeak or auto.")] = None,
    translator: Annotated[str | None, typer.Option(help="firefox (embedded) or llama (a server).")] = None,
    llama_url: Annotated[str | None, typer.Option(help="Base URL of an OpenAI-compatible server.")] = None,
    llama_model: Annotated[str | None, typer.Option(help="Its model; the only one it has if none.")] = None,
    glossary: Annotated[Path | None, typer.Option(help="Terms: a TOML, CSV or TBX file.")] = None,
    context: Annotated[str | None, typer.Option(help="The occasion in a line, for Llama.")] = None,
    register: Annotated[str | None, typer.Option(help="formal or informal, or as in de=formal,pt=informal.")] = None,
    rate: Annotated[int, typer.Option(min=1000, max=384_000, help="Hz of raw PCM on stdin.")] = 16_000,
) -> None:
    """Interpret recordings: subtitles as they grow, subtitle files, events for a program, speech.

    \b
    In a terminal it shows text as it grows; in a pipe, a line for each clause. Several recordings share one txt or
    jsonl; srt, vtt and json of several go to a folder.

    \b
        tsuyaku translate talk.mp4 --from en --to pt
        tsuyaku translate talk.mp4 --from en --to pt,es --format srt --bilingual -o talk.srt
        tsuyaku translate monday.mp3 tuesday.mp3 --to en --format vtt -o subtitles
        tsuyaku translate talk.mp4 --from auto --to en --realtime --speak spoken.wav --play
        tsuyaku translate talk.mp4 --from en --to pt --format jsonl | jq -r .committed
        arecord -f S16_LE -r 16000 -t raw | tsuyaku translate - --from en --to pt --realtime
    """
    given = {
        "source_language": source,
        "preset": preset,
        "whisper": whisper,
        "voice": voice,
        "translator": translator,
        "llama_url": llama_url,
        "llama_model": llama_model,
        "glossary": str(glossary) if glossary else None,
        "context": context,
        "register": tuple(register.split(",")) if register else None,
    }
    settings = resolve(given).settings
    if format not in FORMATS:
        raise InputError("unknown-format", f"'{format}' is no format; use one of {', '.join(FORMATS)}.")
    targets = target_languages(to) if to is not None else list(settings.target_languages)
    if (speak is not None or play) and not targets:
        raise InputError("no-target", "Nothing can be spoken without a target language; add one, as in --to pt.")
    job = _Job(settings, source_language(settings.source_language), targets, realtime)
    sources = [_open(path, rate) for path in files]
    chosen = places(files, format, output, speak, targets)
    streams = Streams()
    engines = job.engines()
    player = Player() if play else None
    outcomes: list[Outcome] = []
    for recording, place in zip(sources, chosen, strict=True):
        sinks = _sinks(format, streams.get(place.text), job, bilingual, place, player)
        outcomes.append(job.run(engines, recording, sinks))
        if outcomes[-1].interrupted:
            break
    streams.close()
    _report(outcomes)


class _Job:
    """What all files of one command share."""

    def __init__(self, settings: Settings, source: str, targets: list[str], realtime: bool) -> None:
        self.settings, self.source, self.targets, self.realtime = settings, source, targets, realtime
        self.briefing = briefing(settings)

    def engines(self) -> Engines:
        chosen = self.settings
        _check_recogniser(chosen.whisper, self.source)
        engines = build(
            EngineConfig(
                whisper=chosen.whisper,
                compute_type=chosen.compute_type,
                device=chosen.device,
                threads=chosen.threads,
                # CTranslate2, which follows several, tells languages apart less well in 8 bits.
                beam_size=None if self.realtime or self.source == "auto" else FILE_BEAMS,
                context=PRESETS[chosen.preset].context,
                voice=chosen.voice,
                translation=translation_config(chosen),
            )
        )
        if self.source != "auto":
            for target in self.targets:
                if target != self.source:
                    engines.translator.check(self.source, target)
        for note in asyncio.run(engines.translator.notes(self.source, self.targets)):
            typer.echo(f"tsuyaku: {note}", err=True)
        return engines

    def run(self, engines: Engines, source: Source, sinks: list[Sink]) -> Outcome:
        spoken = any(isinstance(sink, SpeechSink | PlaySink) for sink in sinks)
        config = SessionConfig(
            source_language=self.source,
            captions=frozenset(self.targets),
            voices=frozenset(self.targets) if spoken else frozenset(),
            live=self.realtime,
            budgets=budgets(self.settings.device),
            recognise=PRESETS[self.settings.preset].recognise if self.realtime else OFFLINE,
            translate=TranslateConfig(whole_clauses=not self.realtime),
            briefing=self.briefing,
        )
        try:
            return asyncio.run(interpret(source, engines, config, sinks))
        finally:
            for sink in sinks:
                sink.close()


def _check_recogniser(size: str, source: str) -> None:
    """Raises `InputError`: some sizes of Whisper know but one language, and cannot identify any."""
    languages = Catalog.load().entry(f"whisper-{size}").languages
    if languages and source not in languages:
        only = " ".join(languages)
        raise InputError(
            "unknown-language", f"Whisper {size} knows only '{only}'; add --from {only}, or choose another."
        )


def _open(path: Path, rate: int) -> Source:
    return RawPcm(sys.stdin.buffer, rate) if path == STDIN else MediaFile(path)


def _sinks(format: str, stream: Guarded, job: _Job, bilingual: bool, place: Place, player: Player | None) -> list[Sink]:
    sinks: list[Sink] = []
    if format != "live":
        sinks.append(writer(format, stream, bilingual=bilingual, languages=job.targets))
    elif stream.isatty():
        sinks.append(TerminalSink(job.source, job.targets))
    else:
        sinks.append(PlainSink(job.targets, stream))
    if place.speech is not None:
        sinks.append(SpeechSink(place.speech, job.targets))
    if player is not None:
        sinks.append(PlaySink(player, job.targets[0]))
    return sinks


def _report(outcomes: list[Outcome]) -> None:
    """Say what was not whole, and end with the status that it deserves."""
    status = 0
    for outcome in outcomes:
        if outcome.truncated:
            typer.echo(f"tsuyaku: {outcome.truncated} [file-truncated]", err=True)
            status = 2
        if outcome.end is not None and outcome.end.reason != "end":
            typer.echo(f"tsuyaku: {outcome.end.message} [{outcome.end.reason}]", err=True)
            status = STATUS.get(outcome.end.reason, 3)
        if outcome.interrupted:
            typer.echo("tsuyaku: stopped; what was said until then is written. [interrupted]", err=True)
            status = 130
    if status:
        raise typer.Exit(status)
