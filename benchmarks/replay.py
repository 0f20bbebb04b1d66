"""Recognition on a virtual clock: what settings do to quality and lag, the same on every machine and sooner than live.

The session, the gate and the engine are the real ones. Time passes only while all of them wait, and a pass lasts as
long as its audio says, not as long as it took here.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from rich.table import Table

from app.engines import EngineConfig, build
from app.interpret import portions
from app.presets import Preset
from benchmarks import metrics
from benchmarks.alignment import decode
from benchmarks.log import Log
from benchmarks.manifest import Recording
from benchmarks.metrics import Point, Spoken
from models.errors import InputError
from models.protocols import SAMPLE_RATE, Hypothesis, RecognitionRequest, Samples
from models.scheduler import Done, Scheduler
from models.store import Store
from models.whisper import Context, WhisperRecognizer
from models.whisper_onnx import MARK_BONUS
from pipeline.clock import Clock
from pipeline.config import SessionConfig
from pipeline.engines import Engines
from pipeline.events import AnyEvent
from pipeline.session import Session

PACE = (
    0.037  # s that a pass lasts for each second that the encoder hears: Whisper base, two threads of two shared cores
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recording. Lags in ms."""

    recording: Recording
    text: str
    lags: tuple[Point, ...]
    passes: int


class _Impatient(selectors.DefaultSelector):
    """Where nothing is ready, the next timer is due at once."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits and no timer is set")
        if not ready and timeout:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock begins at 0 and stands still while anything runs."""

    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        return self._impatient.now_s


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on a virtual clock. Raises `RuntimeError` where `main` would wait for ever."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class _Charged(Scheduler[RecognitionRequest, Hypothesis]):
    """The recogniser on the loop's own thread; its time is charged to the virtual clock. A session asks for
    one pass at a time."""

    def __init__(self, engine: WhisperRecognizer, context: Context, pace: float) -> None:
        super().__init__("recognise", lambda: engine.run)
        self._engine = engine
        self._context = context
        self._pace = pace
        self.passes = 0

    async def start(self) -> None:
        pass

    async def submit(
        self, request: RecognitionRequest, *, deadline: float, key: Hashable | None = None
    ) -> Done[Hypothesis]:
        found = self._engine.recognize(request)
        self.passes += 1
        taken_s = self._pace * self._context.seconds(len(request.audio) / SAMPLE_RATE)
        await asyncio.sleep(taken_s)
        return Done(found, 0.0, taken_s)


def changed(preset: Preset, settings: Sequence[str]) -> Preset:
    """`settings`, as in longest_s=9, are fields of `pipeline.recognise.RecogniseConfig` or of `models.whisper.Context`.
    Raises `InputError`."""
    parts = (preset.recognise, preset.context)
    owners = {field.name: part for part in parts for field in fields(part)}
    values: dict[str, float] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in owners:
            raise InputError("unknown-setting", f"'{name}' is no setting; use {', '.join(sorted(owners))}.")
        try:
            values[name] = type(getattr(owners[name], name))(value)
        except ValueError:
            raise InputError("unknown-setting", f"'{setting}' has no number; write it as in longest_s=9.") from None
    of_context = {name: values.pop(name) for name in list(values) if owners[name] is preset.context}
    return Preset(replace(preset.recognise, **values), replace(preset.context, **of_context))


def replay(
    recordings: Sequence[tuple[Recording, Sequence[Spoken]]],
    preset: Preset,
    pace: float,
    mark_bonus: float = MARK_BONUS,
    *,
    greedy: bool = False,
) -> list[Replayed]:
    """Each of `recordings`, which come with their aligned words, through a session of its own."""
    store = Store()
    engine = WhisperRecognizer(
        store.ensure("whisper-base"),
        context=preset.context,
        beam_size=1 if greedy else None,
        mark_bonus=mark_bonus,
    )
    built = build(EngineConfig(context=preset.context), store)

    async def one(recording: Recording, spoken: Sequence[Spoken]) -> Replayed:
        charged = _Charged(engine, preset.context, pace)
        log = await _listen(decode(recording.path), recording.language, replace(built, recognizer=charged), preset)
        lags = metrics.commit_lags(spoken, log.source_words(recording.language))
        return Replayed(recording, log.source_text(), tuple(lags), charged.passes)

    return [run_virtual(one(recording, spoken)) for recording, spoken in recordings]


async def _listen(audio: Samples, language: str, engines: Engines, preset: Preset) -> Log:
    config = SessionConfig(source_language=language, recognise=preset.recognise)
    loop = asyncio.get_running_loop()
    session = Session(engines, config, Clock(live=True, now=loop.time))

    async def feed() -> None:
        for samples in portions(audio):
            await asyncio.sleep(len(samples) / SAMPLE_RATE)
            await session.send(samples)
        await session.finish()

    feeder = asyncio.create_task(feed())
    events: list[AnyEvent] = [event async for event in session.events()]
    await feeder
    return Log(tuple(events))


def table(results: Sequence[Replayed]) -> Table:
    shown = Table(box=None)
    for title in ("recording", "WER", "stop F1", "comma F1", "lag", "p90", "p99", "passes a second"):
        shown.add_column(title, justify="left" if title == "recording" else "right")
    for one in results:
        shown.add_row(one.recording.id, *_row([one]))
    if len(results) > 1:
        shown.add_row("all", *_row(results))
    return shown


def _row(results: Sequence[Replayed]) -> list[str]:
    """Rates are means, weighted by the words that were said."""
    rates: list[tuple[int, float]] = []
    stops: list[tuple[int, float]] = []
    commas: list[tuple[int, float]] = []
    for one in results:
        said, language = one.recording.text, one.recording.language
        words = len(metrics.normalise(said, language).split())
        rates.append((words, metrics.word_errors(said, one.text, language)["wer"]))
        if (stop := metrics.stop_f1(said, one.text, language)) is not None:
            stops.append((words, stop))
        if (comma := metrics.comma_f1(said, one.text, language)) is not None:
            commas.append((words, comma))
    lags = metrics.distribution([point for one in results for point in one.lags], "lag")
    passes, seconds = sum(one.passes for one in results), sum(one.recording.seconds for one in results)
    return [
        f"{100 * _mean(rates):.1f} %",
        f"{_mean(stops):.2f}" if stops else "",
        f"{_mean(commas):.2f}" if commas else "",
        *(f"{lags[name]:.2f} s" if lags else "" for name in ("lag_median", "lag_p90", "lag_p99")),
        f"{passes / seconds:.2f}",
    ]


def _mean(weighted: Sequence[tuple[int, float]]) -> float:
    return sum(weight * value for weight, value in weighted) / sum(weight for weight, _ in weighted)
