"""Events as JSON lines: the schema in docs is the code's, and every event has a sample that survives the trip."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from app.formats import decode, encode, json_schema
from pipeline.events import AnyEvent, End, Event, Miss, Speech, StageTime, Trace, Translation, Voice, Words

SPAN = {"source_start_ms": 10.0, "source_end_ms": 20.0}
SAMPLES: list[AnyEvent] = [
    Voice(emitted_ms=1.0, active=True, source_ms=0.5),
    Words(emitted_ms=1.0, language="en", committed=" Hi", tentative=" there", confidence=0.9, **SPAN),
    Translation(
        emitted_ms=1.0, language="pt", segment=0, committed="Olá", tentative="", final=True, engine="firefox", **SPAN
    ),
    Speech(
        emitted_ms=1.0,
        language="pt",
        segment=0,
        text="Olá",
        sample_rate=22_050,
        duration_ms=5.0,
        play_ms=1.0,
        rate=1.0,
        last=True,
        dropped=False,
        **SPAN,
    ),
    Miss(emitted_ms=1.0, stage="speak", language="pt", segment=0, budget_ms=300.0, actual_ms=400.0, action="rate"),
    Trace(
        emitted_ms=1.0,
        language="pt",
        segment=0,
        source_start_ms=0.0,
        captured_ms=1.0,
        committed_ms=2.0,
        translated_ms=3.0,
        spoken_ms=None,
        stages={"recognise": StageTime(0.5, 1.0)},
        unaccounted_ms=0.5,
        end_to_end_ms=2.0,
    ),
    End(emitted_ms=1.0, source_ms=1.0, segments=1, misses=0),
]


def test_every_kind_of_event_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(Event.__subclasses__())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_event_survives_a_line_and_fits_the_schema(sample: AnyEvent) -> None:
    line = encode(sample)
    assert "\n" not in line.strip()
    assert decode(line) == sample
    jsonschema.validate(json.loads(line), json_schema())


def test_schema_in_docs_is_the_one_of_the_code() -> None:
    written = json.loads((Path(__file__).parents[2] / "docs" / "events.schema.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(json_schema()))


def test_sound_itself_is_not_written() -> None:
    speech = next(sample for sample in SAMPLES if isinstance(sample, Speech))
    assert "pcm" not in json.loads(encode(speech))
