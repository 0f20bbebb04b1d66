"""The translator that the settings name, asked without a fallback: what it says is what is judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.settings import Settings
from app.translation import EmbeddedTranslation, translation_config
from benchmarks.translator.run import Answer, Ask
from models.errors import TsuyakuError
from models.protocols import TranslationRequest
from models.store import Store

if TYPE_CHECKING:  # an extra: imported where it is asked for
    from models.llama import LlamaTranslator

PATIENCE_S = 30.0  # quality is judged here; how long answers take is only told


@dataclass(frozen=True, slots=True)
class Subject:
    name: str
    ask: Ask
    supports: Callable[[str, str], bool]
    llama: LlamaTranslator | None = None

    def cached(self) -> float | None:
        """Share of the prompts' tokens that the server had in its cache; None where it does not say."""
        stats = self.llama.stats if self.llama else None
        return stats.cached_tokens / stats.prompt_tokens if stats and stats.prompt_tokens else None


def subject(settings: Settings) -> Subject:
    if settings.translator == "llama":
        return _llama(settings)
    return _embedded(EmbeddedTranslation(Store()))


def _embedded(engine: EmbeddedTranslation) -> Subject:
    def supports(source: str, target: str) -> bool:
        try:
            engine.check(source, target)
        except TsuyakuError:
            return False
        return True

    async def ask(request: TranslationRequest) -> Answer:
        return Answer((await engine.translate(request, deadline=time.monotonic(), key=None)).text)

    return Subject("firefox", ask, supports)


def _llama(settings: Settings) -> Subject:
    """Raises `LlamaError` where the server does not answer or lacks the model."""
    from models.llama import Deadlines, LlamaTranslator, require_url
    from models.llama_errors import LlamaError

    config = translation_config(settings)
    llama = LlamaTranslator(
        require_url(config.llama_url),
        config.llama_model,
        api_key=config.llama_key,
        max_concurrent=config.llama_concurrency,
        deadlines=Deadlines(total_s=2 * PATIENCE_S, stall_s=PATIENCE_S),
        server_priority=config.llama_priority,
    )
    health = asyncio.run(llama.health())
    if not health.ok:
        raise LlamaError(health.code, config.llama_url)

    async def ask(request: TranslationRequest) -> Answer:
        begun, first = asyncio.Event(), asyncio.get_running_loop().time()
        waiting = asyncio.create_task(_moment(begun))
        try:
            text = await llama.translate(request, first_token_deadline_s=PATIENCE_S, begun=begun)
            return Answer(text, (await waiting) - first if begun.is_set() else None)
        finally:
            waiting.cancel()

    name = config.llama_model or ", ".join(health.models)
    return Subject(f"llama: {name}", ask, llama.supports, llama)


async def _moment(event: asyncio.Event) -> float:
    await event.wait()
    return asyncio.get_running_loop().time()
