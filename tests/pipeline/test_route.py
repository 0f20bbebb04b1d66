"""Which of two languages an utterance is in, and when its turn ends: evidence in, decisions out."""

from __future__ import annotations

import numpy as np
import pytest

from models.protocols import Hypothesis, Word
from pipeline.config import SessionConfig
from pipeline.events import Speech, Translation, Words
from pipeline.route import RouteConfig, Router
from pipeline.turn import patience_s

from .test_session import SPEECH, Rig, final


def heard(text: str, mean_log_probability: float) -> Hypothesis:
    return Hypothesis((Word(text, 0, 1, 0.9),), 0.0, mean_log_probability)


def router(**evidence: float) -> Router:
    made = Router(("en", "pt"))
    made.begin(0.0)
    made.hear(evidence, 1.0, closed=False)
    return made


def test_plain_sound_settles_before_the_second_opinion() -> None:
    assert router(en=0.99, pt=0.003).settled
    assert router(en=0.99, pt=0.003).language == "en"


def test_leaning_of_whisper_to_english_is_taken_off() -> None:
    assert router(en=0.3, pt=0.1).language == "pt"
    assert not router(en=0.98, pt=0.01).settled
    even = Router(("en", "pt"), RouteConfig(lean=0.0))
    even.begin(0.0)
    even.hear({"en": 0.3, "pt": 0.1}, 1.0, closed=False)
    assert even.language == "en"


def test_sound_outside_of_the_pair_settles_nothing() -> None:
    unsure = router(en=0.2, pt=0.001)
    assert not unsure.plain
    assert not unsure.settled


def test_likelier_hypothesis_overrules_an_unsure_sound() -> None:
    made = router(en=0.5, pt=0.05)
    assert made.language == "en"
    made.read({"en": heard("Shankar City", -2.3), "pt": heard("Sem carros", -1.0)})
    assert made.language == "pt"


def test_text_is_a_second_opinion() -> None:
    made = Router(("en", "pt"), identify_text=lambda text, among: {"en": 0.001, "pt": 0.999})
    made.begin(0.0)
    made.hear({"en": 0.5, "pt": 0.4}, 1.0, closed=False)
    made.read({"en": heard("que", -1.0), "pt": heard("que", -1.0)})
    assert made.language == "pt"


def test_turn_before_decides_what_nothing_else_does() -> None:
    made = Router(("en", "pt"))
    made.begin(0.0)
    made.hear({"en": 0.01, "pt": 0.95}, 3.0, closed=True)
    made.end(3.0)
    made.begin(3.5)
    made.hear({"en": 0.8, "pt": 0.1}, 1.0, closed=True)
    assert made.language == "pt"
    made.end(5.0)
    made.begin(60.0)
    made.hear({"en": 0.8, "pt": 0.1}, 1.0, closed=True)
    assert made.language == "en"


def test_key_decides_against_all_evidence() -> None:
    made = router(en=0.98, pt=0.01)
    made.speaks("pt")
    assert made.language == "pt"
    assert made.settled


def test_utterance_keeps_its_language_where_the_key_is_let_go_or_another_is_pressed() -> None:
    made = router(en=0.98, pt=0.01)
    made.speaks("pt")
    for key in ("", "en"):
        made.speaks(key)
        assert made.language == "pt"
        assert made.handed_over
    made.begin(9.0)
    assert made.language == "en"


def test_key_does_not_change_what_is_known_already() -> None:
    made = router(en=0.98, pt=0.01)
    made.hear({"en": 0.98, "pt": 0.01}, 4.0, closed=False)
    made.speaks("pt")
    assert made.language == "en"
    made.begin(9.0)
    assert made.language == "pt"


def test_utterance_is_settled_at_its_longest_and_at_its_end() -> None:
    made = router(en=0.2, pt=0.19)
    assert not made.settled
    made.hear({"en": 0.2, "pt": 0.19}, 4.0, closed=False)
    assert made.settled
    made.begin(9.0)
    made.hear({"en": 0.2, "pt": 0.19}, 0.5, closed=True)
    assert made.settled


@pytest.mark.parametrize(
    ("shorter", "longer"), [("Yes.", "That is all."), ("That is all.", "I think"), ("I think", "I think that the")]
)
def test_patience_grows_with_what_is_open(shorter: str, longer: str) -> None:
    assert patience_s(shorter, "en") < patience_s(longer, "en")


async def test_both_sides_read_what_nobody_hears_again() -> None:
    languages = frozenset({"en", "pt"})
    config = SessionConfig(
        between=("en", "pt"), both_sides=True, speaks_source=False, captions=languages, voices=languages, live=False
    )
    events = await Rig().run(config, SPEECH)
    source = "".join(e.committed for e in events if isinstance(e, Words)).strip()
    assert final(events, "en") == source
    assert final(events, "pt") == source.upper()
    assert {e.language for e in events if isinstance(e, Speech)} == {"pt"}


async def test_each_utterance_goes_into_the_other_language_only() -> None:
    config = SessionConfig(
        between=("en", "pt"), captions=frozenset({"en", "pt"}), voices=frozenset({"en", "pt"}), live=False
    )
    events = await Rig().run(config, SPEECH)
    source = "".join(e.committed for e in events if isinstance(e, Words))
    assert source.count(".") == 2
    assert {e.language for e in events if isinstance(e, Translation)} == {"pt"}
    assert final(events, "pt") == source.strip().upper()
    assert np.all([e.language == "en" for e in events if isinstance(e, Words)])
