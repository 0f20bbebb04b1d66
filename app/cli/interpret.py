"""`tsuyaku interpret`: two people at one desk, or a person and a call, each heard in the other's language."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TextIO, TypeVar

import numpy as np
import typer

from app.desk.config import PATIENT_FIRST_AUDIO_S, PATIENT_SPEAK_MS, BargeIn, DeskConfig, Mode
from app.desk.devices import devices
from app.desk.echo import Echo
from app.desk.hangup import on_hangup
from app.desk.lines import Lines
from app.desk.script import load, play
from app.desk.set_up import Desk, Wish, set_up, with_voices
from app.engines import EngineConfig, build, warm, warm_text
from app.formats import DOCUMENTS, FORMATS, JsonLinesWriter
from app.media import output_errors
from app.presets import PRESETS, budgets, source_language
from app.settings import Settings, resolve
from app.translation import briefing, translation_config
from app.voices import FIRST_AUDIO_S
from models import scheduler
from models.errors import InputError
from models.protocols import SAMPLE_RATE, RecognitionRequest
from pipeline.budget import BacklogConfig
from pipeline.config import SessionConfig
from pipeline.engines import Engines, SpeechRequest
from pipeline.events import AnyEvent

ENGINES = ("piper", "kokoro", "espeak")
# Mean probabilities of words: less is what is left of the loudspeaker, or was heard in a sound of 0.3 s, which the gate
# hands on with the 0.3 s before it.
NOISE = {"noise_below": 0.12, "brief_s": 0.6, "brief_noise_below": 0.55}
SLOWEST, FASTEST = 0.5, 2.0


def interpret(
    between: Annotated[tuple[str, str] | None, typer.Option(help="The two languages, as in --between en pt.")] = None,
    microphone: Annotated[
        list[str] | None, typer.Option(help="Name or number; twice for one microphone each, in the order of --between.")
    ] = None,
    loudspeaker: Annotated[str | None, typer.Option(help="Name or number.")] = None,
    split: Annotated[bool, typer.Option("--split", help="Left channel: first language; right: second.")] = False,
    headphones: Annotated[bool, typer.Option("--headphones", help="No echo to expect; speak at once.")] = False,
    half_duplex: Annotated[bool, typer.Option("--half-duplex", help="Do not listen while speaking.")] = False,
    mode: Annotated[str | None, typer.Option(help="consecutive or simultaneous.")] = None,
    barge_in: Annotated[str, typer.Option(help="When a person speaks over the voice: duck or stop.")] = "duck",
    push_to_talk: Annotated[bool, typer.Option("--push-to-talk", help="Listen only after a talk key.")] = False,
    in_call: Annotated[bool, typer.Option("--in-call", help="Between you (first language) and a call.")] = False,
    file: Annotated[list[Path] | None, typer.Option(help="A turn of a scripted conversation; may be repeated.")] = None,
    speak: Annotated[Path | None, typer.Option(help="With --file: write the loudspeaker to this WAV file.")] = None,
    voice: Annotated[
        list[str] | None, typer.Option(help="piper, kokoro, espeak; pt=kokoro/jf_gongitsune for one.")
    ] = None,
    speed: Annotated[list[str] | None, typer.Option(help="Of the voices; 1 is normal; pt=0.8 for one.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write the transcript: .txt, .srt, .vtt, .json, .jsonl.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the full screen.")] = False,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Show the devices and stop.")] = False,
    preset: Annotated[str | None, typer.Option(help="fast, balanced or accurate.")] = None,
    whisper: Annotated[str | None, typer.Option(help="Size of the recogniser, as in tsuyaku models list.")] = None,
    translator: Annotated[str | None, typer.Option(help="firefox (embedded) or llama (a server).")] = None,
    llama_url: Annotated[str | None, typer.Option(help="Base URL of an OpenAI-compatible server.")] = None,
    glossary: Annotated[Path | None, typer.Option(help="Terms and their translations (TOML, CSV, TBX).")] = None,
) -> None:
    """Interpret both ways between two people: hands free, offline, aloud and on the screen.

    tsuyaku interpret --between en pt
    """
    if list_devices:
        _list_devices()
        return
    if between is None:
        raise InputError("no-target", "Name the two languages, as in --between en pt.")
    first, second = (source_language(code) for code in between)
    if first == second or "auto" in (first, second):
        raise InputError("unknown-language", "Name two different languages, as in --between en pt.")
    given = {
        "preset": preset,
        "whisper": whisper,
        "translator": translator,
        "llama_url": llama_url,
        "glossary": str(glossary) if glossary else None,
    }
    settings = resolve(given).settings
    echo = Echo.NONE if headphones else Echo.HALF_DUPLEX if half_duplex else Echo.CANCEL
    files = tuple(file or ())
    chosen = mode or (Mode.SIMULTANEOUS.value if headphones or in_call else Mode.CONSECUTIVE.value)
    config = DeskConfig(
        (first, second),
        _named(Mode, chosen, "--mode"),
        _named(BargeIn, barge_in, "--barge-in"),
        push_to_talk,
        _speeds(speed or [], (first, second)),
    )
    wish = Wish(tuple(microphone or ()), loudspeaker, split, echo, in_call, files, speak)
    voices = _voices(voice or [], (first, second))
    if save is not None and save.suffix[1:] not in FORMATS:
        raise InputError("unknown-format", f"'{save.name}' names no format; use one of {', '.join(FORMATS)}.")
    job = _Job(settings, config, wish, voices, save)
    scheduler.niceness = scheduler.POLITE
    try:
        asyncio.run(job.run(plain=plain or not sys.stdout.isatty()))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class _Job:
    def __init__(
        self, settings: Settings, config: DeskConfig, wish: Wish, voices: dict[str, str], save: Path | None
    ) -> None:
        self._settings, self._config, self._wish, self._voices, self._save = settings, config, wish, voices, save
        self._patient = config.mode is Mode.CONSECUTIVE
        """nobody is spoken over, so that a voice may take longer to sound better"""
        self._began = time.monotonic()

    async def run(self, *, plain: bool) -> None:
        turns = load(self._wish.files)
        engines = self._engines()
        allowed = budgets(self._settings.device)
        session = SessionConfig(
            budgets=replace(allowed, speak=PATIENT_SPEAK_MS) if self._patient else allowed,
            recognise=replace(PRESETS[self._settings.preset].recognise, **NOISE),
            briefing=briefing(self._settings),
            backlog=BacklogConfig(hurry_s=8.0, drop_s=float("inf")),
        )
        desk = set_up(self._wish, self._config, engines, session)
        typer.echo("tsuyaku: loading the engines", err=True)
        await self._warm(engines)
        with ExitStack() as stack:
            self._saving(desk, stack)
            if desk.recorder is not None:
                stack.callback(desk.recorder.close)
            script = asyncio.create_task(play(desk.script, turns, desk.conversation)) if desk.script else None
            try:
                if plain:
                    await self._plain(desk)
                else:
                    from app.desk.screen import show

                    await show(desk)
            finally:
                if script is not None:
                    script.cancel()
                    await asyncio.gather(script, return_exceptions=True)
        self._report(desk)

    def _engines(self) -> Engines:
        chosen = self._settings
        engines = build(
            EngineConfig(
                whisper=chosen.whisper,
                compute_type=chosen.compute_type,
                device=chosen.device,
                threads=chosen.threads,
                context=PRESETS[chosen.preset].context,
                voice=self._voices.get("", chosen.voice),
                first_audio_s=PATIENT_FIRST_AUDIO_S if self._patient else FIRST_AUDIO_S,
                translation=translation_config(chosen),
            )
        )
        first, second = self._config.between
        engines.translator.check(first, second)
        engines.translator.check(second, first)
        return with_voices(engines, {code: name for code, name in self._voices.items() if code})

    async def _warm(self, engines: Engines) -> None:
        """Load every engine and run it once, so that the first turn waits for nothing; say which voices speak."""
        first, second = self._config.between
        await warm(engines, first, [second], [first, second])
        await warm(engines, second, [first], [])
        await engines.identify.start()
        quiet = np.zeros(SAMPLE_RATE, np.float32)
        await engines.identify.submit(quiet, deadline=0.0)
        await warm_text(engines, self._config.between)
        spoken_by: list[str] = []
        for language in (first, second):
            await engines.recognizer.submit(RecognitionRequest(quiet, language, closed=True), deadline=0.0)
            voice = await engines.voice(language)
            done = await voice.submit(SpeechRequest("1", 1.0), deadline=0.0)
            spoken_by.append(f"{done.result.voice} ({language})")
        typer.echo(f"tsuyaku: the voices are {' and '.join(spoken_by)}", err=True)

    async def _plain(self, desk: Desk) -> None:
        conversation = desk.conversation
        lines = Lines(conversation.record, sys.stdout, sys.stderr)
        conversation.listeners.append(lines.add)
        conversation.on_notice = lines.notice
        loop = asyncio.get_running_loop()
        job, asked = asyncio.current_task(), False

        def stop() -> None:
            """Once: what was said is worked through. Twice: at once."""
            nonlocal asked
            if asked and job is not None:
                job.cancel()
            asked = True
            conversation.finish()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        on_hangup(lambda: loop.call_soon_threadsafe(conversation.finish))
        where = f"tsuyaku: listening to {desk.microphone}, speaking through {desk.loudspeaker}"
        conversation.on_open = lambda: typer.echo(where, err=True)
        await conversation.run(desk.loop)

    def _saving(self, desk: Desk, stack: ExitStack) -> None:
        """Events as they happen, or the whole transcript at the end, whatever ends it. What was in the file before is
        there until then, and for good where nothing was said."""
        if self._save is None:
            return
        path, kind = self._save, self._save.suffix[1:]
        with output_errors(path):
            stream = stack.enter_context(path.open("a", encoding="utf-8"))
        if kind == "jsonl":
            desk.conversation.listeners.append(_appending(stream))
            return

        def write() -> None:
            if desk.conversation.rows():
                text = DOCUMENTS[kind](desk.conversation.record.transcript(), None, True)
                with output_errors(path):
                    _replace(path.resolve(), text)

        stack.callback(write)

    def _report(self, desk: Desk) -> None:
        """One line of figures, for whoever wants to know how it went."""
        conversation, loop = desk.conversation, desk.loop
        usage = resource.getrusage(resource.RUSAGE_SELF)
        seconds = time.monotonic() - self._began
        voice = conversation.voice_latency_ms
        parts = [
            f"{len(conversation.rows())} clauses",
            f"first voice after {voice / 1000:.1f} s (median)" if voice is not None else "nothing spoken",
            f"{conversation.missed} budgets missed",
            f"{loop.overruns} samples lost",
            f"CPU {100 * (usage.ru_utime + usage.ru_stime) / seconds:.0f} % (sound {100 * loop.cpu_s / seconds:.1f} %)",
            f"{usage.ru_maxrss / 1024:.0f} MB at most",
        ]
        typer.echo(f"tsuyaku: {', '.join(parts)}", err=True)


def _replace(path: Path, text: str) -> None:
    """The whole of a file at once; a pipe or a device is written to."""
    if not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    whole = path.with_name(f"{path.name}.part")
    whole.write_text(text, encoding="utf-8")
    whole.replace(path)


def _appending(stream: TextIO) -> Callable[[int, AnyEvent], None]:
    """Events to the end of a file that the first of them empties."""
    writer, began = JsonLinesWriter(stream), False

    def add(channel: int, event: AnyEvent) -> None:
        nonlocal began
        if not began and Path(stream.name).is_file():  # a pipe or a device has nothing to empty
            stream.truncate(0)
        began = True
        writer.add(event)

    return add


def _list_devices() -> None:
    listed = devices()
    for kind in ("microphone", "loudspeaker"):
        typer.echo(f"{kind}s")
        for number, device in enumerate((d for d in listed if d.kind == kind), 1):
            marks = ", ".join(
                mark for mark, there in (("default", device.default), ("virtual", device.virtual)) if there
            )
            typer.echo(f"  {number:2} {device.name}  {device.label}{f'  ({marks})' if marks else ''}")


Choice = TypeVar("Choice", Mode, BargeIn)


def _named(kind: type[Choice], value: str, option: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(one.value for one in kind)
        raise InputError("unknown-choice", f"'{value}' is no {option}; use one of {names}.") from None


def _voices(given: list[str], between: tuple[str, str]) -> dict[str, str]:
    """By language, an engine and perhaps a voice of it; the empty language is for all."""
    voices: dict[str, str] = {}
    for one in given:
        language, _, name = one.rpartition("=")
        if name.split("/")[0] not in ENGINES or (language and language not in between):
            raise InputError(
                "unknown-choice", f"'{one}' is no --voice; write kokoro or {between[1]}=kokoro/jf_gongitsune."
            )
        voices[language] = name
    return voices


def _speeds(given: list[str], between: tuple[str, str]) -> dict[str, float]:
    """By language. One without a language is for both."""
    speeds: dict[str, float] = {}
    for one in sorted(given, key=lambda text: "=" in text):
        language, _, number = one.rpartition("=")
        try:
            speed = float(number)
        except ValueError:
            speed = 0.0
        if not SLOWEST <= speed <= FASTEST or (language and language not in between):
            raise InputError(
                "unknown-choice", f"'{one}' is no --speed; write 0.9 or {between[1]}=0.9, from {SLOWEST} to {FASTEST}."
            )
        speeds |= dict.fromkeys((language,) if language else between, speed)
    return speeds
