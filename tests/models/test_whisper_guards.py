"""What keeps Whisper from inventing: a real tokenizer, and a decoder that writes what the test tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from models import whisper
from models.protocols import SAMPLE_RATE, RecognitionRequest
from models.store import Store
from models.whisper import ECHO_TOKENS, MAX_TOKENS_PER_SECOND, RETRY_MORE_S, TOKEN_ALLOWANCE, Context, WhisperRecognizer
from models.whisper_runtime import FRAMES_PER_SECOND, Aligned, Generated, Prompt, Spectrogram, Until


class Scripted:
    """Answers pass after pass with the next of `texts`, as tokens, until it is told to stop."""

    mels = 80
    multilingual = True

    def __init__(self) -> None:
        self.texts: list[list[int]] = []
        self.asked: list[tuple[float, Prompt, int]] = []
        self.written: list[int] = []
        """tokens of each pass"""
        self._context_s = 0.0

    def encode(self, features: Spectrogram) -> float:
        return features.shape[1] / FRAMES_PER_SECOND

    def generate(
        self, encoded: float, prompt: Prompt, length: int, suppressed: Sequence[int], until: Until
    ) -> Generated:
        self.asked.append((encoded, prompt, length))
        text = self.texts.pop(0)
        end = next((count for count in range(1, len(text)) if until(text[:count])), len(text))
        self.written.append(end)
        return Generated(text[:end], -0.1, 0.0)

    def align(self, encoded: float, prompt: Prompt, tokens: Sequence[int], seconds: float) -> Aligned:
        begins = list(np.linspace(0, seconds, len(tokens) + 1))
        return Aligned(begins, [0.9] * len(tokens))

    def identify(self, encoded: float) -> Mapping[str, float]:
        return {"en": 1.0}


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def recognizer(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> WhisperRecognizer:
    def runtime(*_: Any) -> Scripted:
        return scripted

    monkeypatch.setattr(whisper, "_runtime", runtime)
    return WhisperRecognizer(Store().ensure("whisper-base"), context=Context(6.0, 1.0))


def request(seconds: float = 4.0, **more: Any) -> RecognitionRequest:
    return RecognitionRequest(np.zeros(round(seconds * SAMPLE_RATE), np.float32), "en", **more)


def test_tokens_are_limited_by_the_seconds_of_audio(scripted: Scripted, recognizer: WhisperRecognizer) -> None:
    for seconds in (1.0, 8.0):
        scripted.texts = [list(recognizer.encode_text(" Good morning.", "en"))]
        recognizer.recognize(request(seconds))
        _, prompt, length = scripted.asked[-1]
        assert length - len(prompt.tokens) == int(TOKEN_ALLOWANCE + MAX_TOKENS_PER_SECOND * seconds)
    scripted.texts = [[]]
    recognizer.recognize(request(8.0, prefix=tuple(range(500, 600))))
    _, prompt, length = scripted.asked[-1]
    assert length - len(prompt.tokens) == int(TOKEN_ALLOWANCE + MAX_TOKENS_PER_SECOND * 8) - 100, (
        "what is committed counts"
    )


def test_pass_that_repeats_itself_is_made_again_with_more_context_and_no_prompt(
    scripted: Scripted, recognizer: WhisperRecognizer
) -> None:
    loop = list(recognizer.encode_text(" the harbour" * 8, "en"))
    scripted.texts = [loop, list(recognizer.encode_text(" the harbour is closed.", "en"))]
    found = recognizer.recognize(request(prompt=tuple(loop[:4])))
    assert "".join(word.text for word in found.words) == " the harbour is closed."
    assert not found.looped
    (first_s, first, _), (second_s, second, _) = scripted.asked
    assert second_s == pytest.approx(first_s + RETRY_MORE_S, abs=0.02)
    assert first.before
    assert not second.before
    assert scripted.written[0] < len(loop), "the rest of the loop is not waited for"


def test_passage_that_is_written_again_is_heard_again_with_more_context(
    scripted: Scripted, recognizer: WhisperRecognizer
) -> None:
    said = recognizer.encode_text(" the boats come back to the harbour", "en")
    scripted.texts = [list(recognizer.encode_text(" at night", "en") + said + said), [*said]]
    recognizer.recognize(request(prefix=said))
    assert scripted.written == [2 + ECHO_TOKENS, len(said)]


def test_passage_that_is_said_twice_is_believed_the_second_time(
    scripted: Scripted, recognizer: WhisperRecognizer
) -> None:
    said = recognizer.encode_text(" the boats come back to the harbour", "en")
    scripted.texts = [[*said], [*said]]
    found = recognizer.recognize(request(prefix=said))
    assert "".join(word.text for word in found.words) == " the boats come back to the harbour"
    assert not found.looped


def test_loop_that_stays_is_cut_and_said(scripted: Scripted, recognizer: WhisperRecognizer) -> None:
    loop = list(recognizer.encode_text(" we wait" + " and wait" * 8, "en"))
    scripted.texts = [loop, loop]
    found = recognizer.recognize(request())
    assert found.looped
    assert "".join(word.text for word in found.words) == " we wait and"


def test_character_whose_bytes_are_incomplete_is_held_back(scripted: Scripted, recognizer: WhisperRecognizer) -> None:
    whole = recognizer.encode_text("今日は鱈", "ja")
    assert len(recognizer.encode_text("鱈", "ja")) > 1, "a character of several tokens"
    texts: list[str] = []
    for count in range(1, len(whole) + 1):
        scripted.texts = [list(whole[:count])]
        found = recognizer.recognize(RecognitionRequest(np.zeros(4 * SAMPLE_RATE, np.float32), "ja"))
        texts.append("".join(word.text for word in found.words))
    assert texts[-1] == "今日は鱈"
    assert texts[-2] == "今日は"
    assert all("\N{REPLACEMENT CHARACTER}" not in text for text in texts)
