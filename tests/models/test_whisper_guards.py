"""What keeps Whisper from inventing: a real tokenizer, and a decoder that writes what the test tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models import whisper
from models.protocols import SAMPLE_RATE, Hypothesis, IdentificationRequest, RecognitionRequest
from models.store import Store
from models.whisper import ECHO_TOKENS, MAX_TOKENS_PER_SECOND, RETRY_MORE_S, TOKEN_ALLOWANCE, Context, WhisperRecognizer
from models.whisper_runtime import FRAMES_PER_SECOND, Aligned, Generated, Prompt, Span, Spectrograms, Task


class Scripted:
    """Answers pass after pass with the next of `texts`, as tokens, until it is told to stop."""

    mels = 80
    multilingual = True
    least_s = 0.0

    def __init__(self) -> None:
        self.texts: list[list[int]] = []
        self.asked: list[tuple[float, Prompt, int]] = []
        self.batches: list[int] = []
        """pieces of audio that were given at once"""
        self.written: list[int] = []
        """tokens of each pass"""
        self._context_s = 0.0

    def encode(self, features: Spectrograms) -> float:
        return features.shape[2] / FRAMES_PER_SECOND

    def generate(self, encoded: float, tasks: Sequence[Task], suppressed: Sequence[int]) -> list[Generated]:
        self.batches.append(len(tasks))
        return [self._write(encoded, task) for task in tasks]

    def _write(self, encoded: float, task: Task) -> Generated:
        self.asked.append((encoded, task.prompt, task.length))
        text = self.texts.pop(0)
        end = next((count for count in range(1, len(text)) if task.until(text[:count])), len(text))
        self.written.append(end)
        return Generated(text[:end], -0.1, 0.0)

    def align(self, encoded: float, spans: Mapping[int, Span]) -> dict[int, Aligned]:
        return {
            piece: Aligned(list(np.linspace(0, span.seconds, len(span.tokens) + 1)), [0.9] * len(span.tokens))
            for piece, span in spans.items()
        }

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


def test_requests_that_wait_together_are_one_batch_where_their_prompts_are_alike(
    scripted: Scripted, recognizer: WhisperRecognizer
) -> None:
    said = [recognizer.encode_text(text, "en") for text in (" One.", " Two.", " Three.", " Four.", " Five.")]
    scripted.texts = [[*said[0]], [*said[2]], [*said[1]], [*said[4]]]
    before = tuple(range(500, 520))
    first = replace(request(5.0), prompt=before)
    asked = [
        first,
        replace(first, prompt=before[1:]),
        IdentificationRequest(first.audio),
        first,
        request(prefix=said[3]),
    ]
    found = recognizer.run(asked)
    texts = ["".join(word.text for word in one.words) if isinstance(one, Hypothesis) else one for one in found]
    assert texts == [" One.", " Two.", {"en": 1.0}, " Three.", " Five."]
    assert scripted.batches == [2, 1, 1]


def test_one_loop_in_a_batch_is_heard_again_alone(scripted: Scripted, recognizer: WhisperRecognizer) -> None:
    loop, whole, again = (
        list(recognizer.encode_text(text, "en")) for text in (" the harbour" * 8, " It rains.", " the harbour")
    )
    scripted.texts = [whole, loop, whole, again]
    found = recognizer.run([request(4.0), request(7.0), request(2.0)])
    assert ["".join(word.text for word in one.words) for one in found] == [" It rains.", " the harbour", " It rains."]
    assert scripted.batches == [3, 1]
    assert [encoded for encoded, _, _ in scripted.asked] == pytest.approx([8.0, 8.0, 8.0, 10.0])
