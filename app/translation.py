"""The translators of this process: the embedded engine, or Llama on a server with the embedded engine beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import Settings
from models.briefing import Briefing, parse_registers
from models.errors import InputError, TsuyakuError, UnavailableError
from models.firefox import FirefoxTranslator
from models.glossary import Glossary, load, translate_with_terms
from models.protocols import TargetText, TranslationRequest
from models.scheduler import Scheduler
from models.store import Store
from pipeline.engines import Translated, TranslationEngine

if TYPE_CHECKING:  # an extra: imported where it is asked for
    from models.llama import LlamaTranslator

WARM_UP_S = 5.0  # for the first answer of a server, which has nothing cached
HANDOVER_S = 0.02  # of the stage's budget, for the embedded engine's answer to be taken up


@dataclass(frozen=True, slots=True)
class TranslationConfig:
    engine: str = "auto"
    """auto and firefox are the embedded engine; llama is a server, with the embedded engine as its fallback"""
    llama_url: str = ""
    llama_model: str = ""
    """the only one the server has where empty"""
    llama_key: str = ""
    llama_priority: bool = False
    """the server schedules by priority"""
    llama_concurrency: int = 16


def translation_config(settings: Settings) -> TranslationConfig:
    return TranslationConfig(
        settings.translator,
        settings.llama_url,
        settings.llama_model,
        settings.llama_key,
        settings.llama_priority,
        settings.llama_concurrency,
    )


def briefing(settings: Settings) -> Briefing:
    """Raises `InputError`: `register-invalid` and those of `models.glossary.load`."""
    glossary = load(Path(settings.glossary).expanduser()) if settings.glossary else Glossary()
    return Briefing(glossary, settings.context, parse_registers(settings.register))


def translation(config: TranslationConfig, store: Store) -> TranslationEngine:
    embedded = EmbeddedTranslation(store)
    if config.engine != "llama":
        return embedded
    from models.llama import LlamaTranslator, require_url

    llama = LlamaTranslator(
        require_url(config.llama_url),
        config.llama_model,
        api_key=config.llama_key,
        max_concurrent=config.llama_concurrency,
        server_priority=config.llama_priority,
    )
    return LlamaTranslation(llama, embedded)


class EmbeddedTranslation(TranslationEngine):
    """Firefox Translations: every pair that is in the store, pivoting through English."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scheduler = Scheduler[TranslationRequest, TargetText]("translate", self._create)
        self._pairs: dict[tuple[str, str], Path] = {}

    def _create(self) -> Callable[[Sequence[TranslationRequest]], Sequence[TargetText]]:
        return FirefoxTranslator(self._pairs).translate

    def check(self, source: str, target: str) -> None:
        """Raises `pair-missing`, which names every model that is to be pulled, or what `Store.ensure` raises."""
        if (source, target) in self._pairs:
            return
        legs = [(source, target)] if "en" in (source, target) else [(source, "en"), ("en", target)]
        missing = [leg for leg in legs if leg not in self._pairs and not self._found(*leg)]
        if missing:
            pairs = " and ".join(f"from '{a}' to '{b}'" for a, b in missing)
            subject = f"The model {pairs} is" if len(missing) == 1 else f"The models {pairs} are"
            command = " ".join(["tsuyaku models pull", *(_name(*leg) for leg in missing)])
            raise UnavailableError("pair-missing", f"{subject} not on this machine: {command}")

    def _found(self, source: str, target: str) -> bool:
        """Whether the pair's weights are here. Raises `InputError` where there are none to be had, and what the store
        raises of weights that it refuses."""
        try:
            self._pairs[source, target] = self._store.ensure(_name(source, target))
        except TsuyakuError as error:
            if error.code == "unknown-model":
                raise InputError(
                    "pair-missing", f"There is no embedded model from '{source}' to '{target}'; use --translator llama."
                ) from error
            if error.code != "model-missing":
                raise
            return False
        return True

    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        """With the briefing's terms put in; context line and register are beyond this engine."""
        queue_s = compute_s = 0.0

        async def ask(asked: TranslationRequest) -> TargetText:
            nonlocal queue_s, compute_s
            done = await self._scheduler.submit(asked, deadline=deadline, key=None if request.final else key)
            queue_s += done.queue_s
            compute_s += done.compute_s
            return done.result

        async def with_terms(text: str) -> str:
            """Stand-ins for terms are not in what is committed, which nothing can go on from then."""
            plain = replace(request, committed="", context=(), final=True)

            async def run(piece: str) -> str:
                return (await ask(replace(plain, source=piece))).text

            terms = request.briefing.glossary
            return await translate_with_terms(terms, run, text, request.source_language, request.target_language)

        source = request.source + request.ahead
        if not request.briefing.glossary.mask(source, request.source_language, request.target_language).targets:
            found = await ask(replace(request, source=source))
            if found.pieces or not request.ahead:
                return Translated(found.text, "firefox", queue_s, compute_s, pieces=found.pieces)
            shorter = await ask(request)
            return Translated(found.text, "firefox", queue_s, compute_s, without_ahead=shorter.text)
        text = await with_terms(request.source)
        further = await with_terms(source) if request.ahead else None
        without = text if further is not None else None
        return Translated(further or text, "firefox", queue_s, compute_s, without_ahead=without)


def _name(source: str, target: str) -> str:
    return f"firefox-{source}-{target}"


class LlamaTranslation(TranslationEngine):
    """Llama on a server by its deadline, else the embedded engine. Pairs that the latter lacks are Llama's alone."""

    def __init__(self, llama: LlamaTranslator, embedded: EmbeddedTranslation) -> None:
        from models.llama_hedge import HedgedTranslator

        self._embedded = embedded
        self._supported: dict[tuple[str, str], bool] = {}
        self.hedged = HedgedTranslator(llama, self._fall_back, supports=self._supports)

    def check(self, source: str, target: str) -> None:
        """Every pair may be asked for; `notes` says what is wrong with the server."""

    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        begin = time.monotonic()
        patience = max(0.0, deadline - begin - HANDOVER_S)
        answer = await self.hedged.translate(request, first_token_deadline_s=patience)
        return Translated(answer.text, answer.engine, 0.0, time.monotonic() - begin, answer.reason)

    async def warm(self, source: str, target: str) -> None:
        """The connection, the server's cache of the prompt, and the embedded model that may have to stand in.

        Raises `LlamaError` where the server does not answer and no other engine has the pair.
        """
        from models.llama_errors import LlamaError

        request = TranslationRequest("Hello.", source, target, final=True)
        alone = self.hedged.alone(source, target)
        if not alone:
            await self._embedded.warm(source, target)
        try:
            await self.hedged.llama.translate(request, first_token_deadline_s=WARM_UP_S)
        except LlamaError as error:
            if alone and error.code != "llama-rejected":
                raise

    async def notes(self, source: str, targets: Iterable[str]) -> list[str]:
        """What a person should know before they begin, a sentence each: a server that does not answer, pairs that
        only Llama has, languages that Llama 4 does not name."""
        from models.llama_prompt import OFFICIAL, language_name

        found: list[str] = []
        health = await self.hedged.llama.health()
        others = [target for target in targets if target != source]
        alone = [language_name(t) for t in others if source != "auto" and self.hedged.alone(source, t)]
        if not health.ok:
            found.append(f"{health.message} The embedded engine translates meanwhile, where it can. [{health.code}]")
        if alone:
            found.append(f"Llama alone translates into {', '.join(alone)}: nothing stands in where it does not answer.")
        if beyond := [language_name(target) for target in others if target.split("-")[0] not in OFFICIAL]:
            found.append(f"Llama 4 was trained on {', '.join(beyond)}, but does not name it as supported.")
        return found

    def _supports(self, source: str, target: str) -> bool:
        pair = source, target
        if pair not in self._supported:
            try:
                self._embedded.check(source, target)
            except TsuyakuError:
                self._supported[pair] = False
            else:
                self._supported[pair] = True
        return self._supported[pair]

    async def _fall_back(self, request: TranslationRequest) -> str:
        alone = replace(request, ahead="")  # the server's answer, which this one stands in for, has no look-ahead
        answer = await self._embedded.translate(alone, deadline=time.monotonic(), key=None)
        return answer.text
