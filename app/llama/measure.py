"""What a server carries: the first token and the time of a token with ever more requests at once."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass

from models.errors import TsuyakuError
from models.llama import Deadlines, LlamaTranslator
from models.protocols import TranslationRequest

BUDGET_S = 0.25  # of the translate stage, for the first token
ROUNDS = 4  # requests that each caller makes, one after another
TOKENS = 24  # of an answer: a clause
PATIENCE_S = 60.0
LADDER = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# Written for this measurement; each caller takes its own place, so that no two prompts at once are the same.
SENTENCES = (
    "The train to the coast leaves at half past nine from platform four.",
    "Good morning, everyone, and thank you for coming so early today.",
    "The results are better than any of us had expected a year ago.",
    "Please take this medicine twice a day, after breakfast and before you go to bed.",
    "We found that the new method needs half of the energy, but takes a little longer.",
    "If you have lost your passport, go to the office on the second floor.",
    "The museum opens at ten and closes at six, except on Mondays.",
    "The next talk begins in ten minutes in the large hall.",
)
PAIRS = (
    ("Good morning.", "Bom dia."),
    ("Please sit down.", "Sentem-se, por favor."),
    ("We begin now.", "Começamos agora."),
)


@dataclass(frozen=True, slots=True)
class Load:
    """What `callers` requests at once got."""

    callers: int
    first_token_s: float
    """median"""
    first_token_p95_s: float
    token_s: float
    """between two tokens of an answer, mean"""
    tokens_per_s: float
    """of all answers together"""
    cached: float
    """share of the prompts"""
    failed: int

    @property
    def in_time(self) -> bool:
        return not self.failed and self.first_token_p95_s <= BUDGET_S


def client(url: str, model: str, key: str) -> LlamaTranslator:
    """Takes any answer, of a fixed length, however long it takes: also of random weights."""
    return LlamaTranslator(
        url,
        model,
        api_key=key,
        max_concurrent=max(LADDER),
        deadlines=Deadlines(connect_s=5.0, total_s=PATIENCE_S, stall_s=PATIENCE_S),
        guard=None,
        extra_body={"ignore_eos": True, "max_tokens": TOKENS, "stop": None},
    )


async def climb(llama: LlamaTranslator, most: int) -> AsyncIterator[Load]:
    """With ever more callers, up to `most` or until first tokens come too late."""
    await _load(llama, 1)  # the connection, and what the server compiles or caches at its first request
    for callers in LADDER:
        if callers > most:
            return
        load = await _load(llama, callers)
        yield load
        if not load.in_time:
            return


def carried(loads: list[Load]) -> int:
    """Callers of the last load that was in time."""
    return max((load.callers for load in loads if load.in_time), default=0)


async def _load(llama: LlamaTranslator, callers: int) -> Load:
    stats = llama.stats
    before = stats.completion_tokens, stats.prompt_tokens, stats.cached_tokens
    loop = asyncio.get_running_loop()
    begin = loop.time()
    made = await asyncio.gather(*(_call(llama, number) for number in range(callers)))
    seconds = loop.time() - begin
    answers = [answer for of_caller in made for answer in of_caller]
    good = [answer for answer in answers if answer is not None]
    tokens = stats.completion_tokens - before[0]
    prompt = stats.prompt_tokens - before[1]
    firsts = sorted(first for first, _ in good) or [float("inf")]
    return Load(
        callers=callers,
        first_token_s=statistics.median(firsts),
        first_token_p95_s=firsts[round(0.95 * (len(firsts) - 1))],
        token_s=sum(whole - first for first, whole in good) / max(1, tokens - len(good)),
        tokens_per_s=tokens / seconds,
        cached=(stats.cached_tokens - before[2]) / prompt if prompt else 0.0,
        failed=len(answers) - len(good),
    )


async def _call(llama: LlamaTranslator, number: int) -> list[tuple[float, float] | None]:
    """s to the first token and to the end of each answer; None where there was none."""
    made: list[tuple[float, float] | None] = []
    for turn in range(ROUNDS):
        sentence = SENTENCES[(number + turn) % len(SENTENCES)]
        request = TranslationRequest(f"{number + 1}. {sentence}", "en", "pt", final=True, context=PAIRS)
        made.append(await _answer(llama, request))
    return made


async def _answer(llama: LlamaTranslator, request: TranslationRequest) -> tuple[float, float] | None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    begin = loop.time()
    answer = asyncio.create_task(llama.translate(request, first_token_deadline_s=PATIENCE_S, begun=begun))
    first = asyncio.create_task(begun.wait())
    await asyncio.wait({answer, first}, return_when=asyncio.FIRST_COMPLETED)
    first_s = loop.time() - begin
    try:
        await answer
    except TsuyakuError:
        return None
    finally:
        first.cancel()
    return first_s, loop.time() - begin
