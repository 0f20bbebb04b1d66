"""Who has the floor: when the voice speaks, waits, is quieter, stops, or steps back for a person."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.desk.channel import Channel
from app.desk.config import BargeIn, Mode
from app.desk.loop import Mouth
from pipeline.gate import GateConfig

PRE_ROLL_S = GateConfig().pre_roll_s  # from where an onset is said to be to the first sound of speech
TOGETHER_S = 0.3  # after a phrase began: a person who begins by then went on, and did not answer it
STIRRED_S = 0.4  # after a phrase began: who stirs by then began together with it
STIR_S = 0.4  # what stirs is taken for a person so long, or until the gate opens
BENEATH_S = 1.3  # the same beneath an echo, which has to end first
NOISE_S = 2.0  # after that what stirs is noise
TAIL_S = 0.2  # of what was said: it may stir after the last speech
WORDLESS_S = 1.5  # who opened the gate is taken for a person so long, or until their first words: else it was noise


@dataclass(slots=True)
class _Heard:
    """What is known of one microphone's person. Monotonic s."""

    stirs: int = 0
    stirred: float = 0.0
    until: float = 0.0
    """whoever is heard without words is taken for a person"""
    noise_until: float = 0.0
    """what stirs is none"""


class Floor:
    """Between the people of some channels and the voices of `mouths`.

    Consecutive: no phrase begins while a person speaks, and one that begins as a person goes on is taken back and
    spoken when they have ended. One who begins later speaks over it: the voice is quieter meanwhile, or stops.
    """

    def __init__(self, mode: Mode, barge_in: BargeIn, mouths: Mapping[str, Mouth]) -> None:
        self.mode = mode
        self._barge_in = barge_in
        self._mouths = list(dict.fromkeys(mouths.values()))  # one may speak both languages
        self._people: list[tuple[Channel, _Heard]] = []

    def join(self, channels: Sequence[Channel]) -> None:
        self._people = [(channel, _Heard()) for channel in channels]

    def begins(self, channel: Channel, onset_s: float) -> set[int]:
        """The gate opened for `channel`'s person, at an onset so many s ago. Returns the turns of phrases that were
        taken back."""
        channel.active, channel.words = True, False
        back = self._step_back(max(0.0, onset_s - PRE_ROLL_S) + channel.ear.latency_s + TOGETHER_S)
        spoken_over = not back and any(mouth.player.sounding for mouth in self._mouths)
        if spoken_over and self._barge_in is BargeIn.STOP:
            self.hush()
        heard = self._heard(channel)
        heard.until, heard.noise_until = 0.0 if spoken_over else time.monotonic() + WORDLESS_S, 0.0
        self._judge()
        return back

    def ends(self, channel: Channel, quiet_s: float) -> None:
        """`channel`'s person ended, or paused, so many s ago."""
        channel.active = channel.words = False
        heard, now = self._heard(channel), time.monotonic()
        heard.until = now + STIR_S if now - heard.stirred < quiet_s - TAIL_S else 0.0
        self._judge()

    def passes(self) -> set[int]:
        """Time passes: whether somebody stirs, and whether what waits may be spoken. Returns turns as `begins` does."""
        back: set[int] = set()
        for channel, heard in self._people:
            stirs, heard.stirs = heard.stirs, channel.ear.stir.count
            if heard.stirs > stirs and channel.ear.open:
                heard.stirred = time.monotonic()
                if not channel.active and heard.stirred > heard.noise_until:
                    back |= self._stir(heard)
        self._judge()
        return back

    def change(self, mode: Mode) -> None:
        self.mode = mode
        self._judge()

    def hush(self) -> None:
        """Stop what is being spoken."""
        for mouth in self._mouths:
            mouth.player.stop()

    def _heard(self, channel: Channel) -> _Heard:
        return next(heard for each, heard in self._people if each is channel)

    def _stir(self, heard: _Heard) -> set[int]:
        back = self._step_back(STIRRED_S)
        heard.until = heard.stirred + (BENEATH_S if back else STIR_S)
        heard.noise_until = heard.until + NOISE_S
        return back

    def _step_back(self, most_s: float) -> set[int]:
        if self.mode is Mode.SIMULTANEOUS:
            return set()
        turns = [mouth.player.step_back(most_s + mouth.port.ahead_s) for mouth in self._mouths]
        return {turn for turn in turns if turn is not None}

    def _judge(self) -> None:
        consecutive, now = self.mode is Mode.CONSECUTIVE, time.monotonic()
        someone = any(channel.active for channel, _ in self._people)
        speaks = any((channel.active and channel.words) or now < heard.until for channel, heard in self._people)
        for mouth in self._mouths:
            mouth.player.duck(consecutive and someone)
            mouth.player.hold(consecutive and speaks)
