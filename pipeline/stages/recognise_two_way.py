"""Two people, two languages: each utterance is recognised in the one that it turns out to be in."""

from __future__ import annotations

from models.protocols import Hypothesis
from models.scheduler import Done
from pipeline.audio import ms
from pipeline.channel import Channel
from pipeline.events import StageTime
from pipeline.gate import Gate, GateItem, Onset
from pipeline.recognise import Update
from pipeline.route import Router
from pipeline.stages.live import LiveUtterance
from pipeline.stages.recognise import HandOn, Recognition
from pipeline.stages.shared import Shared
from pipeline.turn import HANDED_OVER_S, OPEN_S, patience_s


class TwoWayRecognition(Recognition):
    """`gate` waits for the end of a turn as long as what was said in it suggests."""

    def __init__(
        self, shared: Shared, gated: Channel[GateItem], hand_on: HandOn, *, router: Router, gate: Gate
    ) -> None:
        super().__init__(shared, gated, hand_on)
        self._router = router
        self._gate = gate

    async def run(self) -> None:
        """An utterance is primed with what was said before in its language."""
        prompts: dict[str, tuple[int, ...]] = {}
        while (item := await self._gated.get()) is not None:
            if isinstance(item, Onset):
                self._router.begin(ms(item.at) / 1000)
                live = self._begin(item)
                await self._follow_routed(live, prompts)
                self._router.end(ms(live.utterance.audio.end) / 1000)
                prompts[self._router.language] = live.utterance.prompt
                if self._router.handed_over:
                    self._gate.pause_s = OPEN_S
        await self._end(self._router.language)

    async def _follow_routed(self, live: LiveUtterance, prompts: dict[str, tuple[int, ...]]) -> None:
        router = self._router
        language = ""
        while not live.closed:
            await live.gather(self._pace.step_s)
            if not live.seconds or (live.seconds < router.config.first_s and not live.closed and not router.forced):
                continue
            if live.closed and live.settled:
                router.close()
            if language or (live.closed and live.settled):
                await self._advance(live, router.language)
                continue
            done = await self._weigh(live)
            if router.settled:
                language = router.language
                live.utterance.prime(prompts.get(language, ()))
            await self._heard(live, router.language, done, hold=not language)

    async def _weigh(self, live: LiveUtterance) -> Done[Hypothesis] | None:
        """Ask which language it is; the hypothesis of the likelier one, None where a pass failed."""
        router = self._router
        if not router.forced:
            router.hear(await self._identify(live.utterance.audio.samples), live.seconds, closed=live.closed)
        if router.forced or router.plain:
            return await self._hypothesis(live, router.language)
        done = {code: await self._hypothesis(live, code) for code in router.between}
        found = {code: one.result for code, one in done.items() if one is not None}
        if len(found) == len(done):
            router.read(found)
        return done[router.language]

    async def _take(self, live: LiveUtterance, update: Update, language: str, time: StageTime) -> None:
        await super()._take(live, update, language, time)
        self._gate.pause_s = HANDED_OVER_S if self._router.handed_over else patience_s(live.utterance.text, language)
