"""Figures for Prometheus. Labels name stages and languages, never what was said or by whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from app.outbox import Drops
from models.scheduler import Load
from pipeline.events import AnyEvent, Miss, Speech, Trace

SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
LOOP_LAG_EVERY_S = 0.5


class Metrics:
    """One a process."""

    def __init__(self) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        self.drops = Drops()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._stages = Histogram(
            "tsuyaku_stage_seconds",
            "Time of a clause in a stage, its wait included",
            ["stage", "language"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._end_to_end = Histogram(
            "tsuyaku_end_to_end_seconds",
            "From the end of a clause's last word to the whole of its translation",
            ["language"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._voice = Histogram(
            "tsuyaku_voice_seconds",
            "From the end of a clause's last word to the begin of its speech",
            ["language"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._misses = Counter("tsuyaku_budget_misses", "Budgets missed", ["stage", "language"], registry=self.registry)
        self._unspoken = Counter(
            "tsuyaku_unspoken_clauses", "Clauses left unspoken to catch up", ["language"], registry=self.registry
        )
        self.fan_out = Histogram(
            "tsuyaku_fan_out_seconds",
            "From a session's event to a listener's socket",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
            registry=self.registry,
        )
        self.refused = Counter(
            "tsuyaku_connections_closed",
            "Sockets closed by the server, by close code",
            ["code"],
            registry=self.registry,
        )
        self._loop_lag = Gauge("tsuyaku_event_loop_lag_seconds", "How late a timer fired last", registry=self.registry)
        self._loop_lag_most = Gauge(
            "tsuyaku_event_loop_lag_most_seconds", "The latest that a timer fired so far", registry=self.registry
        )

    def event(self, event: AnyEvent) -> None:
        match event:
            case Trace():
                for name, stage in event.stages.items():
                    self._stages.labels(name, event.language).observe((stage.queue_ms + stage.compute_ms) / 1000)
                self._end_to_end.labels(event.language).observe(max(0.0, event.end_to_end_ms) / 1000)
                if event.spoken_ms is not None:
                    self._voice.labels(event.language).observe(max(0.0, event.spoken_ms - event.captured_ms) / 1000)
            case Miss():
                self._misses.labels(event.stage, event.language).inc()
            case Speech() if event.dropped:
                self._unspoken.labels(event.language).inc()
            case _:
                pass

    def exposition(self) -> bytes:
        return generate_latest(self.registry)

    async def watch_loop(self) -> None:
        """Measure for ever how late the event loop is."""
        most = 0.0
        while True:
            due = time.perf_counter() + LOOP_LAG_EVERY_S
            await asyncio.sleep(LOOP_LAG_EVERY_S)
            late = max(0.0, time.perf_counter() - due)
            most = max(most, late)
            self._loop_lag.set(late)
            self._loop_lag_most.set(most)


class Present(Collector):
    """What is read when somebody asks: rooms, listeners, queues."""

    def __init__(
        self,
        drops: Drops,
        gauges: Callable[[], dict[str, float]],
        loads: Callable[[], Iterable[tuple[str, Load]]],
    ) -> None:
        self._drops = drops
        self._gauges = gauges
        self._loads = loads

    def collect(self) -> Iterable[Metric]:
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(f"tsuyaku_{name}", f"Present number of {name.replace('_', ' ')}", value)
        dropped = CounterMetricFamily(
            "tsuyaku_dropped_frames", "Frames that slow listeners did not get", labels=["kind"]
        )
        dropped.add_metric(["tentative"], self._drops.tentative)
        dropped.add_metric(["audio"], self._drops.audio)
        yield dropped
        yield CounterMetricFamily(
            "tsuyaku_dropped_speech_seconds", "Speech that arrived and no recogniser heard", self._drops.speech_s
        )
        waiting = GaugeMetricFamily("tsuyaku_engine_waiting", "Requests that wait for an engine", labels=["engine"])
        done = CounterMetricFamily("tsuyaku_engine_done", "Requests that an engine served", labels=["engine"])
        busy = CounterMetricFamily("tsuyaku_engine_compute_seconds", "Time an engine worked", labels=["engine"])
        for name, load in self._loads():
            waiting.add_metric([name], load.waiting)
            done.add_metric([name], load.done)
            busy.add_metric([name], load.compute_s)
        yield from (waiting, done, busy)
