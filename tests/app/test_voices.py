"""Kokoro is measured once where it is quick enough or plainly too slow, else again: other work may have slowed it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app import voices
from app.voices import FIRST_AUDIO_S, Voices
from models.catalog import Catalog
from models.espeak import EspeakSynthesizer
from models.protocols import SAMPLE_RATE, Samples, SpeechPart, Synthesizer
from models.store import Store
from pipeline.engines import SpeechRequest


class Measured(Voices):
    """Counts how often Kokoro was loaded; each takes as long as it is told to."""

    loaded = 0

    def _kokoro(self, language: str, name: str = "") -> Synthesizer:
        self.loaded += 1
        return EspeakSynthesizer(language)


@pytest.fixture
def own(tmp_path: Path) -> Measured:
    return Measured(Store(tmp_path, Catalog([])), pace_path=tmp_path / "pace" / "pace.json")


def takes(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(voices, "first_audio_s", lambda _: seconds)


def test_quick_voice_is_chosen(own: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    takes(monkeypatch, FIRST_AUDIO_S)
    assert own._quick_kokoro("pt")
    assert own._quick_kokoro("ja")


def test_far_too_slow_voice_is_not_loaded_again(own: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    takes(monkeypatch, 4 * FIRST_AUDIO_S)
    own.load("pt")
    own.load("ja")
    assert own.loaded == 1


def test_quick_voice_is_not_measured_again(own: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    takes(monkeypatch, FIRST_AUDIO_S)
    assert own._quick_kokoro("pt")
    takes(monkeypatch, 2 * FIRST_AUDIO_S)
    assert own._quick_kokoro("pt")


def test_who_has_longer_is_spoken_to_by_a_slower_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    takes(monkeypatch, 2 * FIRST_AUDIO_S)
    store, pace = Store(tmp_path, Catalog([])), tmp_path / "pace.json"
    assert Measured(store, pace_path=pace)._quick_kokoro("pt") is None
    assert Measured(store, first_audio_s=2 * FIRST_AUDIO_S, pace_path=pace)._quick_kokoro("pt")
    assert Measured(store, pace_path=pace)._quick_kokoro("pt") is None


def test_voice_near_the_limit_is_measured_again(own: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    takes(monkeypatch, 1.4 * FIRST_AUDIO_S)
    own.load("pt")
    takes(monkeypatch, FIRST_AUDIO_S)
    assert own._quick_kokoro("pt")


@pytest.mark.parametrize("kept", [b"", b"{", b'{"machine":"another 1","first_audio_s":9.0}'])
def test_what_another_machine_or_nobody_wrote_is_not_believed(
    kept: bytes, own: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pace").mkdir()
    (tmp_path / "pace" / "pace.json").write_bytes(kept)
    takes(monkeypatch, FIRST_AUDIO_S)
    assert own._quick_kokoro("pt")


def test_folder_that_cannot_be_written_only_measures_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    takes(monkeypatch, 4 * FIRST_AUDIO_S)
    own = Measured(Store(tmp_path, Catalog([])), pace_path=tmp_path / "file" / "pace.json")
    own.load("pt")
    own.load("pt")
    assert own.loaded == 2


async def test_the_rest_of_a_phrase_is_asked_for_part_by_part(own: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "load", lambda _: _InParts())
    voice = await own.get("pt")
    rest: SpeechRequest | None = SpeechRequest("one two three", 1.5)
    lengths: list[int] = []
    while rest is not None:
        other = (await voice.submit(SpeechRequest("another", 1.0), deadline=0.0)).result
        assert (len(other.samples), other.rest) == (1, None), "whoever speaks between two parts disturbs neither"
        voiced = (await voice.submit(rest, deadline=0.0)).result
        lengths.append(len(voiced.samples))
        rest = voiced.rest
    assert lengths == [1, 2, 3]


async def test_faster_voice_is_espeak_where_another_speaks_and_none_where_nothing_is_faster(
    own: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await own.faster("fi") is None
    monkeypatch.setattr(own, "load", lambda _: _Silent())
    found = await own.faster("pt")
    assert found is not None
    spoken = await found.submit(SpeechRequest("Bom dia.", 1.0), deadline=0.0)
    assert np.abs(spoken.result.samples).max() > 0.1
    assert spoken.result.voice == "eSpeak NG"


async def test_voice_that_was_asked_for_by_name_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Measured(Store(tmp_path, Catalog([])), "kokoro")
    monkeypatch.setattr(named, "load", lambda _: _Silent())
    assert await named.faster("pt") is None


class _Silent:
    name = "silent"
    sample_rate = SAMPLE_RATE

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        return np.zeros(1600, np.float32)


class _InParts(_Silent):
    """Says as many parts as a text has words."""

    def stream(self, text: str, rate: float = 1.0) -> Iterator[SpeechPart]:
        words = text.split()
        for number, _ in enumerate(words, 1):
            yield SpeechPart(np.full(number, rate, np.float32), number < len(words))
