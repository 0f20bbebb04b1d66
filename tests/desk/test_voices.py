"""Each embedded voice that the desk chooses or is told to use, read back by a second recogniser."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
import soxr
from whisper_normalizer.basic import BasicTextNormalizer

from app.voices import Voices
from models.errors import TsuyakuError
from models.protocols import SAMPLE_RATE, RecognitionRequest
from models.store import Store
from models.whisper import Context, WhisperRecognizer

pytestmark = pytest.mark.desk

READ_BACK = 0.15
TEXTS = {
    "en": (
        "The train to the coast leaves in half an hour. Please wait on the second platform.",
        "Yes, of course.",
        "Where is the nearest pharmacy?",
        "I would like a room with two beds for three nights.",
        "Thank you very much, that was delicious.",
    ),
    "pt": (
        "O trem para a costa sai em meia hora. Por favor, espere na segunda plataforma.",
        "Sim, claro.",
        "Onde fica a farmácia mais próxima?",
        "Eu gostaria de um quarto com duas camas para três noites.",
        "Muito obrigado, estava delicioso.",
    ),
}
VOICES = (("piper", "en"), ("espeak", "en"), ("kokoro", "pt"), ("kokoro/jf_gongitsune", "pt"))


@pytest.fixture(scope="module")
def recognizer() -> WhisperRecognizer:
    return WhisperRecognizer(Store().ensure("whisper-base"), context=Context(30.0), beam_size=5, threads=2)


@pytest.mark.parametrize(("voice", "language"), VOICES)
def test_voice_is_understood_and_its_first_and_last_words_are_whole(
    voice: str, language: str, recognizer: WhisperRecognizer
) -> None:
    try:
        synthesizer = Voices(Store(), voice).load(language)
    except TsuyakuError as error:
        pytest.skip(error.message)
    normalise = BasicTextNormalizer(remove_diacritics=True)
    wanted: list[str] = []
    read: list[str] = []
    for text in TEXTS[language]:
        samples = soxr.resample(synthesizer.synthesize(text), synthesizer.sample_rate, SAMPLE_RATE).astype(np.float32)
        found = recognizer.recognize(RecognitionRequest(samples, language, closed=True))
        wanted.append(normalise(text).strip())
        read.append(normalise("".join(word.text for word in found.words)).strip())
    wer = jiwer.wer(wanted, read)
    print(f"{voice}, {language}: WER {100 * wer:.1f} %")
    assert wer <= READ_BACK, read
    whole = [(a.split()[0], a.split()[-1]) == (b.split()[0], b.split()[-1]) for a, b in zip(wanted, read, strict=True)]
    assert sum(whole) >= len(whole) - 1, list(zip(wanted, read, strict=True))
