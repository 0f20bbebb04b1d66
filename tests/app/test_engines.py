"""What engines are made of settings."""

from __future__ import annotations

from typing import Any

import pytest

from app import engines
from app.engines import PATIENT_BEAMS, EngineConfig, build


@pytest.mark.parametrize(
    ("patient", "compute_type", "beam_size"),
    [(True, "int8", None), (True, "float32", PATIENT_BEAMS), (False, "float32", None)],
    ids=["a runtime that follows several anyway", "one that would follow one", "one that is to be quick"],
)
async def test_hypotheses_are_asked_for_where_nobody_waits_and_the_runtime_follows_one(
    patient: bool, compute_type: str, beam_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    class Recognizer:
        run = None

        def __init__(self, path: object, **kind: Any) -> None:
            asked.append(kind["beam_size"])

    monkeypatch.setattr(engines, "WhisperRecognizer", Recognizer)
    await build(EngineConfig(patient=patient, compute_type=compute_type)).recognizer.start()
    assert asked == [beam_size]
