"""One source through one session into the outputs that a person asked for: a view, a file of subtitles, speech."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.engines import warm
from app.media import MediaFile, Source, SpeechFile
from app.outputs import speech_paths
from app.play import Player
from models.errors import InputError
from models.protocols import SAMPLE_RATE, Samples
from pipeline.config import SessionConfig
from pipeline.engines import Engines
from pipeline.events import AnyEvent, End, Speech
from pipeline.session import Session

PORTION = SAMPLE_RATE // 25  # samples: 40 ms, as our page sends them (web/js/uplink.js)


class Sink(Protocol):
    """Takes every event of a session in order."""

    def add(self, event: AnyEvent) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Outcome:
    """How a session ended."""

    end: End | None = None
    interrupted: bool = False
    truncated: str = ""
    """a sentence where the source ended before it should"""


class SpeechSink:
    """Writes what is spoken, one WAV file a language."""

    def __init__(self, path: Path, languages: Sequence[str]) -> None:
        self._paths = speech_paths(path, languages)
        self._files: dict[str, SpeechFile] = {}

    def add(self, event: AnyEvent) -> None:
        if isinstance(event, Speech) and event.pcm:
            if event.language not in self._files:
                self._files[event.language] = SpeechFile(self._paths[event.language], event.sample_rate)
            self._files[event.language].write(event.pcm, event.play_ms, event.sample_rate)

    def close(self) -> None:
        for file in self._files.values():
            file.close()


class PlaySink:
    """Plays what is spoken in one language, at once; `close` waits until it was heard."""

    def __init__(self, player: Player, language: str) -> None:
        self._player = player
        self._language = language

    def add(self, event: AnyEvent) -> None:
        if isinstance(event, Speech) and event.language == self._language and event.pcm:
            self._player.play(event.pcm, event.sample_rate)

    def close(self) -> None:
        self._player.drain()


async def interpret(source: Source, engines: Engines, config: SessionConfig, sinks: Iterable[Sink]) -> Outcome:
    """Feed `source` to a session, its events to `sinks`; Ctrl-C ends the source, what was said is worked through."""
    session = Session(engines, config)
    outcome = Outcome()
    stop = asyncio.Event()
    await warm(engines, config.source_language, config.captions, config.voices)
    with _on_interrupt(stop, outcome):
        feeder = asyncio.create_task(_feed(source, session, stop, paced=config.live))
        try:
            async for event in session.events():
                for sink in sinks:
                    sink.add(event)
                if isinstance(event, End):
                    outcome.end = event
                    stop.set()
            await feeder
        except InputError:
            if not outcome.interrupted:  # a source that was interrupted before it gave anything is not to blame
                raise
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
    if isinstance(source, MediaFile):
        outcome.truncated = source.truncated
    return outcome


async def _feed(source: Source, session: Session, stop: asyncio.Event, *, paced: bool) -> None:
    """Until the source ends or `stop` is set, also while the source gives nothing."""
    blocks = aiter(paced_portions(source) if paced else source)
    stopped = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            following = asyncio.ensure_future(anext(blocks, None))
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                following.cancel()
            elif (samples := following.result()) is None:
                break
            else:
                await session.send(samples)
    finally:
        stopped.cancel()
        await session.finish()


async def paced_portions(source: Source) -> AsyncIterator[Samples]:
    """A file in portions as long as a microphone's (`PORTION`), when it would give them: each at its end."""
    begin: float | None = None
    sent = 0
    async for block in source:
        begin = time.monotonic() if begin is None else begin
        for samples in portions(block):
            sent += len(samples)
            await asyncio.sleep(max(0.0, begin + sent / SAMPLE_RATE - time.monotonic()))
            yield samples


def portions(samples: Samples) -> Iterator[Samples]:
    """`PORTION` samples each; the last has what is left."""
    return (samples[start : start + PORTION] for start in range(0, len(samples), PORTION))


@contextlib.contextmanager
def _on_interrupt(stop: asyncio.Event, outcome: Outcome) -> Generator[None]:
    """The first Ctrl-C asks to end; the second one ends at once."""
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        outcome.interrupted = True
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except (NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
