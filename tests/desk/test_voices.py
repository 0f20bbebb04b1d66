"""Each embedded voice that the desk chooses or is told to use, read back by a second recogniser."""

from __future__ import annotations

import jiwer
import pytest

from app.voices import Voices
from benchmarks.voices import TEXTS, SecondRecognizer
from models.errors import TsuyakuError
from models.store import Store

pytestmark = pytest.mark.desk

READ_BACK = 0.15
VOICES = (("piper", "en"), ("espeak", "en"), ("kokoro", "pt"), ("kokoro/jf_gongitsune", "pt"))


@pytest.fixture(scope="module")
def second() -> SecondRecognizer:
    return SecondRecognizer(Store())


@pytest.mark.parametrize(("voice", "language"), VOICES)
def test_voice_is_understood_and_its_first_and_last_words_are_whole(
    voice: str, language: str, second: SecondRecognizer
) -> None:
    try:
        synthesizer = Voices(Store(), voice).load(language)
    except TsuyakuError as error:
        pytest.skip(error.message)
    said = [second.normalised(text) for text in TEXTS[language]]
    read = [second.read(synthesizer.synthesize(text), synthesizer.sample_rate, language) for text in TEXTS[language]]
    wer = jiwer.wer(said, read)
    print(f"{voice}, {language}: WER {100 * wer:.1f} %")
    assert wer <= READ_BACK, read
    whole = [(a.split()[0], a.split()[-1]) == (b.split()[0], b.split()[-1]) for a, b in zip(said, read, strict=True)]
    assert sum(whole) >= len(whole) - 1, list(zip(said, read, strict=True))
