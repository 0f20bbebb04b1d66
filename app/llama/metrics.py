"""Figures of the Llama client for Prometheus: whether it is asked, who stands in and why, what is cached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.llama_breaker import State

if TYPE_CHECKING:  # an extra: imported where it is asked for
    from models.llama_hedge import HedgedTranslator


class LlamaMetrics(Collector):
    """Labels are engines and error codes; never a text or an address."""

    def __init__(self, hedged: HedgedTranslator) -> None:
        self._hedged = hedged

    def collect(self) -> Iterator[Metric]:
        stats = self._hedged.llama.stats
        in_use = self._hedged.breaker.state is State.CLOSED
        yield GaugeMetricFamily(
            "tsuyaku_llama_in_use",
            "1 while Llama is asked, 0 while the embedded engine stands in for it",
            float(in_use),
        )
        yield GaugeMetricFamily(
            "tsuyaku_llama_waiting", "Requests that wait for one of ours to end", self._hedged.llama.waiting
        )
        for name, value, meaning in (
            ("requests", stats.requests, "Requests for Llama"),
            ("answers", stats.answers, "Whole translations that Llama gave"),
            ("cancelled", stats.cancelled, "Requests that newer words made obsolete"),
            ("retries", stats.retries, "Requests that were sent again, as nothing had come"),
            ("queue_seconds", stats.queue_s, "Wait for one of our requests to end, of answers"),
            ("first_token_seconds", stats.first_token_s, "Time to the first token, of requests that had one"),
            ("answer_seconds", stats.total_s, "Time to the whole translation, of answers"),
            ("prompt_tokens", stats.prompt_tokens, "Tokens of prompts"),
            ("cached_tokens", stats.cached_tokens, "Tokens of prompts that the server had in its cache"),
            ("completion_tokens", stats.completion_tokens, "Tokens that Llama wrote"),
        ):
            yield CounterMetricFamily(f"tsuyaku_llama_{name}", meaning, value)
        yield self._translations()

    def _translations(self) -> Metric:
        """One for each request of a clause."""
        made = CounterMetricFamily(
            "tsuyaku_translations",
            "Translations by who made them, and why it was not Llama",
            labels=["engine", "reason"],
        )
        for name, count in sorted(self._hedged.answers.items()):
            engine, _, reason = name.partition(" ")
            made.add_metric([engine, reason], count)
        return made
