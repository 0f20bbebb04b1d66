"""A speaker who changes language: after a pause, and within an utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from models.protocols import SAMPLE_RATE, Hypothesis, RecognitionRequest, Samples, Word
from models.scheduler import Scheduler
from pipeline.config import SessionConfig
from pipeline.events import AnyEvent, Words
from pipeline.language import LanguageChoice
from pipeline.session import Session

from .test_session import Rig, _fed

LEVELS = {"en": 0.9, "pt": 0.6}
"""A language is a loudness here."""
AUTO = SessionConfig(source_language="auto", live=False)


def said(language: str, seconds: float) -> Samples:
    return np.full(round(seconds * SAMPLE_RATE), LEVELS[language], np.float32)


def quiet(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def shares(audio: Samples) -> dict[str, float]:
    loud = {code: float(np.isclose(audio, level).sum()) for code, level in LEVELS.items()}
    return {code: amount / max(1.0, sum(loud.values())) for code, amount in loud.items()}


class Listener:
    """Hears a word in each half second: its number where it is in the language asked for, else what nobody said."""

    def __init__(self) -> None:
        self.identified: list[Samples] = []
        self.requests: list[RecognitionRequest] = []

    def identify(self, batch: Sequence[Samples]) -> list[Mapping[str, float]]:
        self.identified.extend(batch)
        return [shares(audio) for audio in batch]

    def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis]:
        self.requests.extend(batch)
        return [Hypothesis(tuple(self._words(request)), 0.0, -0.1) for request in batch]

    def _words(self, request: RecognitionRequest) -> list[Word]:
        half = SAMPLE_RATE // 2
        found: list[Word] = []
        for number in range(len(request.audio) // half):
            piece = request.audio[number * half : (number + 1) * half]
            if np.abs(piece).mean() > 0.4:
                right = shares(piece)[request.language] > 0.5
                text = f" {request.language if right else 'nonsense'}{len(found)}"
                found.append(Word(text, number / 2, number / 2 + 0.4, 0.9, (number,)))
        return found[len(request.prefix) :]


async def heard(listener: Listener, audio: Sequence[Samples], config: SessionConfig = AUTO) -> list[AnyEvent]:
    engines = replace(
        Rig().engines(),
        identify=Scheduler[Samples, Mapping[str, float]]("identify", lambda: listener.identify),
        recognizer=Scheduler("recognise", lambda: listener.recognise),
    )
    whole = np.concatenate(audio)
    portions = [whole[at : at + 1600] for at in range(0, len(whole), 1600)]
    return [event async for event in _fed(Session(engines, config), portions)]


def committed(events: list[AnyEvent]) -> list[tuple[str, str]]:
    return [(e.language, e.committed) for e in events if isinstance(e, Words) and e.committed]


@pytest.mark.parametrize("gap_s", [0.3, 1.0])
@pytest.mark.parametrize("end", [[quiet(2)], []], ids=["then quiet", "to the very end"])
async def test_change_of_language_is_noticed_with_and_without_a_pause(gap_s: float, end: list[Samples]) -> None:
    """The second language is never written in the first one's words, and neither loses any."""
    audio = [quiet(1), said("en", 4), quiet(gap_s), said("pt", 4), quiet(gap_s), said("en", 4), *end]
    words = committed(await heard(Listener(), audio))
    parts = [(language, "".join(text for _, text in part)) for language, part in groupby(words, lambda word: word[0])]
    assert [language for language, _ in parts] == ["en", "pt", "en"]
    # A word may fall into the quiet: the listener's half seconds begin with its audio.
    assert all(7 <= len(text.split()) <= 8 for _, text in parts), parts
    assert "nonsense" not in "".join(text for _, text in words)


async def test_change_shortly_before_the_end_is_noticed() -> None:
    words = committed(await heard(Listener(), [quiet(1), said("en", 4), quiet(0.3), said("pt", 1.2), quiet(1)]))
    assert "".join(text for language, text in words if language == "pt").lower().split() == ["pt0", "pt1"]
    assert "nonsense" not in "".join(text for _, text in words)


async def test_utterance_in_one_language_stays_one_through_its_lulls() -> None:
    listener = Listener()
    audio = [quiet(1), *[part for _ in range(4) for part in (said("pt", 2), quiet(0.3))], quiet(2)]
    words = committed(await heard(listener, audio))
    assert {language for language, _ in words} == {"pt"}
    assert len("".join(text for _, text in words).split()) >= 14
    assert listener.requests[-1].prefix, "it goes on from what is committed"


async def test_given_language_is_never_identified() -> None:
    listener = Listener()
    audio = [quiet(1), said("en", 3), quiet(0.3), said("pt", 3), quiet(1)]
    await heard(listener, audio, replace(AUTO, source_language="en"))
    assert listener.identified == []


def choice(*candidates: str) -> LanguageChoice:
    made = LanguageChoice("auto", candidates)
    made.heard({"en": 0.9})
    return made


@pytest.mark.parametrize(
    ("probabilities", "seconds", "closed", "verdict"),
    [
        ({"en": 0.2, "pt": 0.8}, 0.8, False, "kept"),
        ({"en": 0.1, "pt": 0.9}, 0.8, False, "unsure"),
        ({"en": 0.1, "pt": 0.9}, 2.1, False, "changed"),
        ({"en": 0.1, "pt": 0.9}, 0.8, True, "changed"),
        ({"en": 0.1, "pt": 0.5, "es": 0.4}, 2.1, False, "unsure"),
        ({"en": 0.1, "pt": 0.5, "es": 0.4}, 2.6, False, "kept"),
        ({"en": 0.1, "pt": 0.5, "es": 0.4}, 0.8, True, "kept"),
        ({}, 3.1, False, "kept"),
    ],
)
def test_language_within_an_utterance_changes_only_where_it_is_sure(
    probabilities: dict[str, float], seconds: float, closed: bool, verdict: str
) -> None:
    languages = choice()
    assert languages.heard_on(probabilities, seconds, closed=closed) == verdict
    assert languages.current == ("pt" if verdict == "changed" else "en")


def test_language_that_is_no_candidate_is_never_changed_to() -> None:
    languages = choice("en", "es")
    assert languages.heard_on({"en": 0.05, "es": 0.05, "pt": 0.9}, 3.0, closed=False) == "kept"
