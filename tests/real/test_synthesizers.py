"""Every embedded voice is read back by a second recogniser, word for word."""

from __future__ import annotations

import time

import jiwer
import numpy as np
import pytest
import soxr
from piper import espeakbridge
from whisper_normalizer.basic import BasicTextNormalizer

from app.voices import Voices
from benchmarks.voices import PUBLISHED, SecondRecognizer, each_voice
from models.piper import phonemizer
from models.protocols import RecognitionRequest, StreamingSynthesizer, Synthesizer
from models.store import Store
from models.whisper import Context, WhisperRecognizer

pytestmark = pytest.mark.real

TEXTS = {
    "en": "The train to the coast leaves in half an hour. Please wait on the second platform.",
    "pt": "O trem para a costa sai em meia hora. Por favor, espere na segunda plataforma.",
    "ja": "おはようございます。今日はとてもいい天気です。明日は雨が降るでしょう。",
}


@pytest.fixture(scope="module")
def recognizer() -> WhisperRecognizer:
    return WhisperRecognizer(Store().ensure("whisper-base"), context=Context(30.0), beam_size=5)


def synthesizer(engine: str, language: str) -> Synthesizer:
    return Voices(Store(), engine).load(language)


def read_back(engine: str, language: str, recognizer: WhisperRecognizer) -> str:
    voice = synthesizer(engine, language)
    samples = soxr.resample(voice.synthesize(TEXTS[language]), voice.sample_rate, 16_000)
    heard = recognizer.recognize(RecognitionRequest(samples.astype(np.float32), language, closed=True))
    return "".join(word.text for word in heard.words)


@pytest.mark.parametrize(("engine", "language"), [("piper", "en"), ("kokoro", "pt")])
def test_spoken_text_is_read_back(engine: str, language: str, recognizer: WhisperRecognizer) -> None:
    normalise = BasicTextNormalizer()
    text = normalise(read_back(engine, language, recognizer))
    assert jiwer.wer(normalise(TEXTS[language]), text) <= 0.15
    assert text.split()[0] == normalise(TEXTS[language]).split()[0]
    assert text.split()[-1] == normalise(TEXTS[language]).split()[-1]


def test_kokoro_is_read_back_as_it_was_published() -> None:
    """As it runs where the products of signed bytes overflow."""
    voice, second = dict(each_voice(Store(), "pt"))[PUBLISHED], SecondRecognizer(Store())
    read = second.read(voice.synthesize(TEXTS["pt"]), voice.sample_rate, "pt")
    assert jiwer.wer(second.normalised(TEXTS["pt"]), read) <= 0.15


def test_kokoro_is_heard_before_all_of_it_is_made() -> None:
    """Joined, its parts are understood; each ends in the quiet between two words, and the first comes early."""
    voice, second = synthesizer("kokoro", "pt"), SecondRecognizer(Store())
    assert isinstance(voice, StreamingSynthesizer)
    voice.synthesize("1, 2, 3.")
    parts, after = [], []
    begin = time.perf_counter()
    for part in voice.stream(TEXTS["pt"]):
        parts.append(part)
        after.append(time.perf_counter() - begin)
    assert [part.more for part in parts] == [True] * (len(parts) - 1) + [False]
    assert len(parts) > 2
    assert after[0] < 0.5 * after[-1]
    whole = np.concatenate([part.samples for part in parts])
    assert jiwer.wer(second.normalised(TEXTS["pt"]), second.read(whole, voice.sample_rate, "pt")) <= 0.15
    loud = np.sqrt(np.mean(np.square(whole)))
    for part in parts:
        assert 0.5 < np.sqrt(np.mean(np.square(part.samples))) / loud < 2
    edges = np.cumsum([len(part.samples) for part in parts])[:-1]
    steps = np.abs(np.diff(whole))
    assert all(steps[at - 1] <= np.quantile(steps, 0.99) for at in edges), "no click where one part follows another"


def test_voices_share_one_phonemizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """eSpeak NG that is initialised again goes on using tables that it has freed: nonsense, and then a crash."""
    phonemizer.cache_clear()
    begun: list[str] = []
    initialize = espeakbridge.initialize

    def counted(data: str) -> None:
        begun.append(data)
        initialize(data)

    monkeypatch.setattr(espeakbridge, "initialize", counted)
    for engine, language in (("piper", "en"), ("kokoro", "pt"), ("kokoro/jf_alpha", "pt"), ("piper", "en")):
        assert len(synthesizer(engine, language).synthesize("1, 2."))
    assert len(begun) == 1


def test_spoken_japanese_is_read_back(recognizer: WhisperRecognizer) -> None:
    """By character, as Japanese has no spaces."""
    normalise = BasicTextNormalizer(remove_diacritics=False)
    said, heard = normalise(TEXTS["ja"]), normalise(read_back("kokoro", "ja", recognizer))
    assert jiwer.cer(said, heard) <= 0.1, heard


@pytest.mark.parametrize(("engine", "language"), [("piper", "en"), ("kokoro", "pt"), ("espeak", "pt")])
def test_rate_shortens_the_speech(engine: str, language: str) -> None:
    voice = synthesizer(engine, language)
    normal, fast = (len(voice.synthesize(TEXTS[language], rate)) for rate in (1.0, 1.3))
    assert 1.1 < normal / fast < 1.5


@pytest.mark.parametrize("language", ["en", "pt", "es", "fr", "de", "it", "ja", "zh", "no", "ru", "ar"])
def test_espeak_speaks_without_silence_at_the_ends(language: str) -> None:
    voice = synthesizer("espeak", language)
    samples = voice.synthesize("1 2 3")
    edge = round(0.06 * voice.sample_rate)
    assert np.abs(samples[:edge]).max() > 0.003
    assert np.abs(samples[-edge:]).max() > 0.003
