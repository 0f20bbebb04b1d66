"""`tsuyaku listen`: a room read, or heard, in a terminal."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, TextIO

import typer

from app import protocol, wire
from app.formats import JsonLinesWriter
from app.frames import Voice
from app.interpret import PlaySink, Sink, SpeechSink
from app.listen import Cut, Gone, Link, Listener, Lost
from app.mqtt import Broker, Publisher, Speaker
from app.play import Player
from app.presets import target_languages
from app.protocol import Wanted
from app.speaking import shifted
from app.views import PlainSink
from models.errors import InputError
from pipeline.events import End, Speech, Translation, Words

FORMATS = ("live", "jsonl")


def listen(
    url: Annotated[str, typer.Argument(help="The listener's link, in quotes: http://…/listen#…")],
    lang: Annotated[str, typer.Option("--lang", help="Languages to read, as in pt,es.")],
    speak: Annotated[bool, typer.Option("--speak", help="Also hear it, in the first of the languages.")] = False,
    record: Annotated[Path | None, typer.Option(help="Write what is spoken to this WAV file.")] = None,
    format: Annotated[str, typer.Option("--format", help="live or jsonl.")] = "live",
    mqtt: Annotated[
        str | None, typer.Option(help="Also publish it: mqtt://HOST/TOPIC, or mqtts for TLS (docs/mqtt.md).")
    ] = None,
    code: Annotated[str, typer.Option(help="The room's code, where it has one.")] = "",
    certificate: Annotated[
        Path | None,
        typer.Option(help="Certificate of a server with --lan, in place of the system's."),
    ] = None,
) -> None:
    """Follow a room in your language. Comes back by itself when the network breaks, and misses nothing.

    \b
        tsuyaku listen 'http://127.0.0.1:8080/listen#TOKEN' --lang pt
        tsuyaku listen 'http://127.0.0.1:8080/listen#TOKEN' --lang pt,es --mqtt mqtt://127.0.0.1/hall
    """
    languages = target_languages(lang)
    if not languages or len(languages) > protocol.MAX_LANGUAGES:
        raise InputError("no-target", f"Name one to {protocol.MAX_LANGUAGES} languages, as in --lang pt.")
    if format not in FORMATS:
        raise InputError("unknown-format", f"'{format}' is no format; use one of {', '.join(FORMATS)}.")
    voices = (languages[0],) if speak or record else ()
    hearers: list[Sink] = [PlaySink(Player(), languages[0])] if speak else []
    if record:
        hearers.append(SpeechSink(record, voices))
    listener = Listener(
        Link.parse(url),
        Wanted(captions=tuple(languages), voices=voices, tentative=False),
        code=code,
        trust=_trust(certificate),
    )
    publisher = Publisher(Broker.parse(mqtt)) if mqtt else None
    reader = _Reader(languages, format, publisher=publisher)
    try:
        ended = asyncio.run(_publish(publisher, _follow(listener, reader, hearers)))
    finally:
        for hearer in hearers:
            hearer.close()
    typer.echo(f"tsuyaku: the room is over ({ended}).", err=True)


class _Reader:
    """Writes what was committed: each channel on its own, all of them on the room's clock."""

    def __init__(
        self, languages: list[str], format: str, stream: TextIO | None = None, publisher: Publisher | None = None
    ) -> None:
        self._languages = languages
        self._format = format
        self._stream = stream or sys.stdout
        self._publisher = publisher
        self._begins: dict[int, float] = {}
        self._channels: dict[int, list[PlainSink | JsonLinesWriter | Speaker]] = {}

    def add(self, message: protocol.ServerMessage) -> None:
        match message:
            case protocol.Opened():
                self._begins[message.channel] = message.room_ms
            case protocol.Words():
                self._add(message.channel, self._on_clock(message.channel, wire.words(message)))
            case protocol.Caption():
                self._add(message.channel, self._on_clock(message.channel, wire.translation(message)))
            case protocol.Closed():
                self._add(message.channel, _end(message))
            case _:
                pass

    def _on_clock(self, channel: int, event: Words | Translation) -> Words | Translation:
        return shifted(event, self._begins.get(channel, 0), 0)

    def _add(self, channel: int, event: Words | Translation | End) -> None:
        if channel not in self._channels:
            plain = self._format == "live"
            shown = PlainSink(self._languages, self._stream) if plain else JsonLinesWriter(self._stream)
            self._channels[channel] = [shown, *([self._publisher.speaker()] if self._publisher else [])]
        for sink in self._channels[channel]:
            sink.add(event)


async def _publish(publisher: Publisher | None, following: Coroutine[None, None, str]) -> str:
    """Follow a room while what it reads is published; the one that fails ends the other."""
    if publisher is None:
        return await following
    tasks = asyncio.create_task(following), asyncio.create_task(publisher.run())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            await tasks[1]
        publisher.finish()
        await tasks[1]
        return await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(listener: Listener, reader: _Reader, hearers: list[Sink]) -> str:
    """Until the room ends; why it did."""
    play_ms = 0.0
    async with aclosing(listener.messages()) as messages:
        async for message in messages:
            match message:
                case Lost():
                    typer.echo("tsuyaku: connection lost; trying again, nothing will be missing", err=True)
                case Gone():
                    typer.echo("tsuyaku: some of what was said meanwhile is gone", err=True)
                case Cut():
                    typer.echo("tsuyaku: the beginning of what was said is gone; the newest of it follows", err=True)
                case Voice():
                    speech = _speech(message, play_ms)
                    play_ms += speech.duration_ms
                    for hearer in hearers:
                        hearer.add(speech)
                case protocol.Refused() | protocol.Trouble():
                    typer.echo(f"tsuyaku: [{message.code}]", err=True)
                case protocol.Ended():
                    return message.code
                case _:
                    reader.add(message)
    return "end"


def _speech(voice: Voice, play_ms: float) -> Speech:
    return Speech(
        emitted_ms=play_ms,
        language=voice.language,
        segment=voice.segment,
        text="",
        sample_rate=voice.sample_rate,
        duration_ms=len(voice.payload) / 2 / voice.sample_rate * 1000,
        play_ms=play_ms,
        rate=1.0,
        last=voice.last,
        dropped=False,
        source_start_ms=0.0,
        source_end_ms=voice.source_end_ms,
        pcm=voice.payload,
    )


def _end(message: protocol.Closed) -> End:
    return End(emitted_ms=0.0, source_ms=0.0, segments=0, misses=0, reason=message.code, message=message.message)


def _trust(certificate: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(certificate) if certificate else None)
    except OSError as error:
        raise InputError("certificate-unreadable", f"{certificate} is no certificate that can be read.") from error
