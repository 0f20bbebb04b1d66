"""The table of voices, and a language that has no texts."""

from __future__ import annotations

import pytest
from rich.console import Console

from benchmarks.voices import Spoken, measure, table
from models.errors import InputError


def test_table_says_how_soon_and_how_well_a_voice_speaks() -> None:
    pytest.importorskip("jiwer")
    spoken = Spoken(0.25, [2.0, 2.0], [0.5, 0.7], [1.0, 1.2], ["one two", "three four"], ["one two", "free four"])
    console = Console(record=True, width=120)
    console.print(table({("en", "piper"): spoken}))
    shown = console.export_text()
    for figure in ("piper", "250 ms", "0.30", "0.55", "25.0 %"):
        assert figure in shown


def test_language_without_texts_is_refused_with_those_that_have_some() -> None:
    with pytest.raises(InputError, match="en, pt"):
        measure(["xx"])
