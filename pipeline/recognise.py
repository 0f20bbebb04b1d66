"""Incremental recognition: what is committed of an utterance while it is still being spoken.

LocalAgreement-2 (Liu et al. 2020; Macháček et al. 2023): words that two successive hypotheses agree on are committed.
The decoder is primed with the committed tokens and generates only what follows. Punctuation is decided by what follows
it: a stop at the end of a hypothesis stays open until a later word or the pause confirms it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from models.protocols import SAMPLE_RATE, Hypothesis, RecognitionRequest, Word
from pipeline.audio import AudioBuffer, Stretch


@dataclass(frozen=True, slots=True)
class RecogniseConfig:
    step_s: float = 0.6
    """new audio before the next pass; a pass never starts before the last one ended"""
    longest_s: float = 12.0
    """of the live buffer; beyond it the buffer is trimmed"""
    keep_s: float = 3.0
    """left in the buffer by trimming, so that the decoder has context"""
    guard_s: float = 0.1
    """words that end closer to the end of the audio stay open"""
    silence_above: float = 0.6
    """no-speech probability, together with the log probability below, of a hypothesis that is discarded"""
    unlikely_below: float = -1.0
    prompt_tokens: int = 60


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its place in the source, in samples."""

    text: str
    start: int
    end: int
    probability: float
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """What a pass changed."""

    committed: tuple[TimedWord, ...]
    tentative: tuple[TimedWord, ...]


class Utterance:
    """The live buffer of one utterance and what is known of it."""

    def __init__(self, start: int, config: RecogniseConfig, prompt: tuple[int, ...] = ()) -> None:
        self._config = config
        self._audio = AudioBuffer(start)
        self._committed: list[TimedWord] = []
        self._last: tuple[TimedWord, ...] = ()
        self._prompt = prompt

    @property
    def audio(self) -> AudioBuffer:
        return self._audio

    @property
    def prompt(self) -> tuple[int, ...]:
        """What the next utterance is primed with."""
        tokens = [*self._prompt, *(token for word in self._committed for token in word.tokens)]
        return tuple(tokens[-self._config.prompt_tokens :])

    def append(self, stretch: Stretch) -> None:
        self._audio.append(stretch.samples)

    def request(self, language: str, *, closed: bool) -> RecognitionRequest:
        prefix = tuple(token for word in self._committed for token in word.tokens)
        return RecognitionRequest(self._audio.samples.copy(), language, prefix, self._prompt, closed)

    def apply(self, hypothesis: Hypothesis, audio_end: int, *, closed: bool) -> Update:
        """Commit what this hypothesis and the last one agree on; all of it when `closed`."""
        if hypothesis.looped:
            self._prompt = ()
        words = () if self._is_silence(hypothesis) else self._timed(hypothesis.words)
        count = len(words) if closed else self._agreed(words, audio_end)
        committed, tentative = words[:count], words[count:]
        self._committed.extend(committed)
        self._last = tentative
        self._trim()
        return Update(committed, tentative)

    def _is_silence(self, hypothesis: Hypothesis) -> bool:
        return (
            hypothesis.no_speech > self._config.silence_above
            and hypothesis.mean_log_probability < self._config.unlikely_below
        )

    def _timed(self, words: Sequence[Word]) -> tuple[TimedWord, ...]:
        """Words on the source's clock, never before what is committed."""
        floor = self._committed[-1].end if self._committed else self._audio.start
        timed: list[TimedWord] = []
        for word in words:
            start = max(floor, self._audio.start + round(word.start * SAMPLE_RATE))
            floor = max(start, self._audio.start + round(word.end * SAMPLE_RATE))
            timed.append(TimedWord(word.text, start, floor, word.probability, word.tokens))
        return tuple(timed)

    def _agreed(self, words: Sequence[TimedWord], audio_end: int) -> int:
        """How many of `words` may be committed: up to the last spoken word that both hypotheses hold."""
        limit = audio_end - round(self._config.guard_s * SAMPLE_RATE)
        before = [key for key in map(_key, (word.text for word in self._last)) if key]
        count = matched = 0
        for index, word in enumerate(words):
            key = _key(word.text)
            if not key:
                continue
            if matched >= len(before) or key != before[matched] or word.end > limit:
                break
            matched += 1
            count = index + 1
        return _with_decided_punctuation(words, count)

    def _trim(self) -> None:
        """Keep the buffer short: cut it between two committed words, at a sentence's end where there is one."""
        if self._audio.end - self._audio.start <= self._config.longest_s * SAMPLE_RATE:
            return
        latest = self._audio.end - round(self._config.keep_s * SAMPLE_RATE)
        candidates = [i for i, word in enumerate(self._committed) if word.end <= latest]
        if not candidates:
            self._force_trim(latest)
            return
        stops = [i for i in candidates if is_stop(self._committed[i].text)]
        cut = stops[-1] if stops and stops[-1] > 0 else candidates[-1]
        scrolled, self._committed = self._committed[: cut + 1], self._committed[cut + 1 :]
        self._prompt = (*self._prompt, *(t for word in scrolled for t in word.tokens))[-self._config.prompt_tokens :]
        following = self._committed[0].start if self._committed else scrolled[-1].end
        self._audio.trim((scrolled[-1].end + following) // 2)

    def _force_trim(self, latest: int) -> None:
        """Nothing was committed for the whole buffer: it holds no speech that the recogniser understands."""
        if self._audio.end - self._audio.start > 2 * self._config.longest_s * SAMPLE_RATE:
            self._audio.trim(latest)
            self._prompt = ()
            self._last = tuple(word for word in self._last if word.start >= latest)


def _with_decided_punctuation(words: Sequence[TimedWord], count: int) -> int:
    """Take along the punctuation after the last agreed word where a later word has been heard."""
    following = count
    while following < len(words) and not _key(words[following].text):
        following += 1
    return following if count > 0 and following < len(words) else count


def is_stop(text: str) -> bool:
    return text.strip()[-1:] in set(".?!。？！…।؟")


def _key(text: str) -> str:
    """What two hypotheses must share to agree on a word: its letters and digits. Empty for punctuation."""
    return "".join(c for c in text.casefold() if unicodedata.category(c)[0] in "LNM")
