"""What was said: heard again, slowly, said as it was meant, or taken back, as a person asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping

from app.desk.health import Notice
from app.desk.loop import Mouth
from app.desk.player import Piece
from app.desk.record import Key, Record, Row
from app.desk.sound import to_desk
from models.errors import TsuyakuError
from models.protocols import Samples, TranslationRequest
from pipeline.engines import Engines, SpeechRequest

SLOWER = 0.75
KEPT_TURNS = 20  # whose sound can be repeated
SEGMENTS = 1_000_000  # of a channel, at most


class Said:
    """The clauses of `record` with the sound of their translations, for the voices of `mouths`."""

    def __init__(
        self,
        engines: Engines,
        mouths: Mapping[str, Mouth],
        record: Record,
        speeds: Mapping[str, float],
        notice: Callable[[Notice], None],
        change: Callable[[], None],
    ) -> None:
        self.record = record
        self.muted = False
        """nothing is spoken"""
        self._engines, self._mouths, self._speeds = engines, mouths, speeds
        self._notice, self._change = notice, change
        self._sound: dict[int, list[Samples]] = {}
        self._said_before: dict[int, list[Samples]] = {}
        """of clauses that were typed anew, as they were spoken first"""
        self._asked: dict[Key, asyncio.Task[None]] = {}
        """what a person asked for, of which clause, that is under way"""
        self._untold: list[Key] = []
        """of clauses that are typed anew, and not translated yet; the newest last"""

    def speed(self, language: str) -> float:
        return self._speeds.get(language, 1.0)

    async def told(self) -> None:
        """What was asked for is done."""
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    def repeat(self) -> bool:
        """Speak the last translation again."""
        row = self.record.last()
        if row is None or row.key is None or self.muted:
            return False
        number = turn_number(row.key)
        sound = self._sound.get(number, [])
        for samples in sound:
            self._mouths[row.target_language].player.play(Piece(number, samples))
        return bool(sound)

    def slower(self) -> bool:
        """Speak the last translation again, slowly."""
        row = self.record.last()
        if row is None or row.key is None or self.muted:
            return False
        self._start(row.key, self._speak(row.target_language, row.target, turn_number(row.key), SLOWER, keep=False))
        return True

    def correct(self, key: Key, text: str) -> None:
        """The clause `key` was meant as `text`: it is translated and spoken in its place."""
        row = next((row for row in self.record.rows() if row.key == key), None)
        if row is not None and text.strip():
            self._untold = [*(other for other in self._untold if other != key), key]
            self._start(key, self._correct(key, row, text.strip()))

    async def _correct(self, key: Key, row: Row, text: str) -> None:
        request = TranslationRequest(text, row.language, row.target_language, final=True)
        try:
            answer = await self._engines.translator.translate(request, deadline=time.monotonic() + 1, key=None)
        except TsuyakuError as error:
            self._untold.remove(key)
            self._notice(Notice(error.code, error.message))
            return
        self._untold.remove(key)
        number = turn_number(key)
        self._mouths[row.target_language].player.stop(number)
        self.record.correct(key, text, answer.text)
        self._said_before.setdefault(number, self._sound.get(number, []))
        self._sound[number] = []
        self._change()
        await self._speak(row.target_language, answer.text, number, 1.0)

    def undo(self) -> None:
        """Take back what was typed last where it is the newest thing, else the newest clause: it is not spoken, shown
        or saved."""
        if self._untold:
            self._cancel(self._untold.pop())
        elif (key := self.record.undo()) is not None:
            self._cancel(key)
            number = turn_number(key)
            for mouth in self._mouths.values():
                mouth.player.stop(number)
            if number in self._said_before:
                self._sound[number] = self._said_before.pop(number)
        self._change()

    async def _speak(self, language: str, text: str, number: int, rate: float, *, keep: bool = True) -> None:
        rest: SpeechRequest | None = SpeechRequest(text, rate * self.speed(language))
        try:
            voice = await self._engines.voice(language)
            while rest is not None:
                voiced = (await voice.submit(rest, deadline=time.monotonic() + 0.3)).result
                goes_on, rest = rest.begun is not None, voiced.rest
                samples = to_desk(voiced.samples, voiced.sample_rate)
                if keep:
                    self.keep(number, samples)
                if not self.muted:
                    self._mouths[language].player.play(Piece(number, samples, goes_on=goes_on))
        except TsuyakuError as error:
            self._notice(Notice(error.code, error.message))

    def keep(self, number: int, samples: Samples) -> None:
        self._sound.setdefault(number, []).append(samples)
        for kept in (self._sound, self._said_before):
            while len(kept) > KEPT_TURNS:
                del kept[next(iter(kept))]

    def _start(self, key: Key, work: Coroutine[None, None, None]) -> None:
        """In place of what was asked for of the same clause before."""
        self._cancel(key)
        task = self._asked[key] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda ended: self._asked.pop(key) if self._asked.get(key) is ended else None)

    def _cancel(self, key: Key) -> None:
        if (task := self._asked.pop(key, None)) is not None:
            task.cancel()


def turn_number(key: Key) -> int:
    """What the pieces of a clause have in common."""
    return key[0] * SEGMENTS + key[1]
