"""Which of two known languages an utterance is in, decided as it begins and held to its end.

Evidence is added up as log odds: Whisper's own language probabilities, how likely each language's hypothesis is, what
the text of the hypotheses looks like, and the turn before. Until the sum is sure nothing is committed, so that a wrong
first guess retracts without having misled; once it is sure, a name or a borrowed word cannot flip it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.protocols import Hypothesis

HEARD_HOURS = {
    "en": 438_218, "zh": 23_446, "de": 13_344, "es": 11_100, "ru": 9_761, "fr": 9_752, "pt": 8_573, "ko": 7_993,
    "ja": 7_054, "tr": 4_333, "pl": 4_278, "it": 2_585, "sv": 2_119, "nl": 2_077, "ca": 1_883, "fi": 1_066,
}  # fmt: skip
"""of speech with transcripts that Whisper was trained on (Radford et al. 2022, appendix E): it leans towards these"""
FEW_HOURS = 700

TextIdentifier = Callable[[str, tuple[str, ...]], Mapping[str, float]]
"""Probability of each of the languages that are given, for a text"""


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """Log odds, unless another unit is named."""

    first_s: float = 0.8
    """of an utterance, before the first guess"""
    settle_s: float = 2.0
    """from here on a sure sum settles it"""
    longest_s: float = 4.0
    """here any sum does"""
    sure: float = 3.0
    likely: float = 3.9
    """of the sound alone, that needs no second opinion and no `settle_s` if it is sure without its leaning, too"""
    lean: float = 0.5
    """of the log ratio of the hours that Whisper heard of each language, which is taken off: in a conversation between
    two languages neither is rare"""
    in_pair: float = 0.6
    """probability that the sound is in either of the two, for the same"""
    hypothesis_weight: float = 3.0
    """of a difference in mean log probability"""
    text_weight: float = 0.2
    continued: float = 0.8
    """towards the language of the turn before, where that ended just now"""
    continued_s: float = 1.5


class Router:
    """One conversation between two languages. No clock, no I/O."""

    def __init__(
        self, between: tuple[str, str], config: RouteConfig | None = None, identify_text: TextIdentifier | None = None
    ) -> None:
        self.between = between
        self.config = config or RouteConfig()
        self._identify_text = identify_text
        self.forced = ""
        """the language that a person said this utterance is in; empty leaves the choice to the evidence"""
        self._wanted = ""  # the same, of the next one
        self._before = ""
        self._ended_s = -math.inf
        self._prior = 0.0
        first, second = (HEARD_HOURS.get(code, FEW_HOURS) for code in between)
        self._leaning = self.config.lean * math.log(first / second)
        self._sound = 0.0
        self._in_pair = 0.0
        self._odds = 0.0
        self._seconds = 0.0
        self._closed = False

    def speaks(self, language: str) -> None:
        """What begins from now on is in `language`; empty leaves that to the evidence. The present utterance is, too,
        unless its language is known already."""
        self._wanted = language
        if language and not self.settled:
            self.forced = language

    @property
    def handed_over(self) -> bool:
        """Somebody said that another speaks now: this utterance ends as soon as it can."""
        return bool(self.forced) and self._wanted != self.forced

    @property
    def language(self) -> str:
        """The likelier one so far."""
        return self.forced or self.between[0 if self._odds > 0 else 1]

    @property
    def settled(self) -> bool:
        if self.forced or self._closed or self._seconds >= self.config.longest_s:
            return True
        if self._seconds >= self.config.settle_s:
            return abs(self._odds) >= self.config.sure
        return self.plain and self._sound * self._odds > 0

    @property
    def plain(self) -> bool:
        """The sound alone says it: no second opinion is needed."""
        config, upright = self.config, self._sound - self._leaning
        likely = abs(self._sound) >= config.likely and abs(upright) >= config.sure and self._sound * upright > 0
        return likely and self._in_pair >= config.in_pair

    def begin(self, at_s: float) -> None:
        """An utterance begins `at_s` into the source."""
        self._prior = 0.0
        if self._before and at_s - self._ended_s < self.config.continued_s:
            self._prior = self.config.continued * (1 if self._before == self.between[0] else -1)
        self._odds, self._closed, self._seconds = self._prior, False, 0.0
        self.forced = self._wanted

    def hear(self, probabilities: Mapping[str, float], seconds: float, *, closed: bool) -> None:
        """Language probabilities of the utterance so far."""
        first, second = (probabilities.get(code, 0.0) for code in self.between)
        self._sound = _odds(first, second)
        self._in_pair = first + second
        self._odds = self._prior + self._sound - self._leaning
        self._seconds, self._closed = seconds, closed

    def read(self, hypotheses: Mapping[str, Hypothesis]) -> None:
        """The second opinion: what each language makes of the same sound."""
        first, second = (hypotheses[code] for code in self.between)
        if first.words and second.words:
            difference = first.mean_log_probability - second.mean_log_probability
            self._odds += self.config.hypothesis_weight * max(-3.0, min(3.0, difference))
        if self._identify_text is not None:
            for hypothesis in (first, second):
                text = "".join(word.text for word in hypothesis.words)
                if text.strip():
                    found = self._identify_text(text, self.between)
                    odds = _odds(*(found.get(code, 0.0) for code in self.between))
                    self._odds += self.config.text_weight * odds

    def close(self) -> None:
        """Nothing follows in this utterance."""
        self._closed = True

    def end(self, at_s: float) -> None:
        """The utterance ended `at_s` into the source."""
        self._before, self._ended_s = self.language, at_s


def _odds(first: float, second: float) -> float:
    return math.log(max(first, 1e-4) / max(second, 1e-4)) if first + second > 0 else 0.0
