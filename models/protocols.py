"""The protocols that engines implement, and the values they exchange.

Engines are synchronous and used by one thread: `models.scheduler` owns that thread, creates the engine on it and shares
it between sessions. Audio is mono float32 in [-1, 1]; at `SAMPLE_RATE` wherever it goes in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.briefing import NO_BRIEFING, Briefing

SAMPLE_RATE = 16_000  # Hz, of all audio that enters an engine

Samples: TypeAlias = NDArray[np.float32]


class SpeechStream(Protocol):
    """Speech detection on one stream of audio; holds the stream's state."""

    def process(self, frame: Samples) -> float:
        """Take the next `SpeechDetector.frame_samples` samples; return the probability that they hold speech."""
        ...


class SpeechDetector(Protocol):
    """Voice activity detection (VAD)."""

    frame_samples: int

    def stream(self) -> SpeechStream: ...


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word, written as the recogniser writes it: leading space and trailing punctuation included."""

    text: str
    start: float
    """s, from the first sample of the audio that was given"""
    end: float
    """s"""
    probability: float
    tokens: tuple[int, ...] = ()
    """the recogniser's own tokens, which prime its next pass"""


@dataclass(frozen=True, slots=True)
class RecognitionRequest:
    audio: Samples
    language: str
    """a code of `Recognizer.languages`"""
    prefix: tuple[int, ...] = ()
    """tokens that are certain for this audio; the decoder continues them"""
    prompt: tuple[int, ...] = ()
    """tokens of what was said before this audio"""
    closed: bool = False
    """the speaker paused or the audio ended: nothing follows the last word"""
    hotwords: tuple[str, ...] = ()
    """terms that may be heard, the most important first"""
    draft: tuple[int, ...] = ()
    """tokens that probably follow the prefix; they change what is heard by no more than the noise of 8 bits"""


@dataclass(frozen=True, slots=True)
class IdentificationRequest:
    """Which language is spoken; answered with the probability of each."""

    audio: Samples


@dataclass(frozen=True, slots=True)
class Hypothesis:
    words: tuple[Word, ...]
    """what follows the request's prefix"""
    no_speech: float
    """probability that the audio holds no speech"""
    mean_log_probability: float
    looped: bool = False
    """the decoder repeated itself, and the retry with more context did too"""


class Recognizer(Protocol):
    """Speech to text in the language spoken."""

    languages: frozenset[str]

    def recognize(self, request: RecognitionRequest) -> Hypothesis: ...

    def identify(self, audio: Samples) -> Mapping[str, float]:
        """Probability of each of `languages` for what is spoken in `audio`."""
        ...


@dataclass(frozen=True, slots=True)
class TranslationRequest:
    source: str
    """the clause so far"""
    source_language: str
    target_language: str
    committed: str = ""
    """target text that is already shown and stands; an engine that can continue text begins with it"""
    final: bool = False
    """the clause is complete"""
    context: tuple[tuple[str, str], ...] = ()
    """the last (source, target) pairs"""
    briefing: Briefing = NO_BRIEFING
    ahead: str = ""
    """words that probably follow an open clause's `source`, with the space before them; an engine may leave them out"""


@dataclass(frozen=True, slots=True)
class TargetPiece:
    """A part of a target, as small as the engine makes them."""

    end: int
    """characters of the target up to its end"""
    source: int
    """where what it renders begins, in characters of the source, look-ahead included"""
    probability: float


@dataclass(frozen=True, slots=True)
class TargetText:
    text: str
    """with no space around it"""
    pieces: tuple[TargetPiece, ...] = ()
    """of what follows the committed text; none from an engine that does not know where its words come from"""


class Translator(Protocol):
    """Text to text. Engines that gain nothing from a batch work through it in order."""

    def supports(self, source: str, target: str) -> bool: ...

    def translate(self, requests: Sequence[TranslationRequest]) -> list[TargetText]:
        """The whole target of each request."""
        ...


class Synthesizer(Protocol):
    """Text to speech, in one language with one voice."""

    name: str
    """of the engine and, where it has several, of the voice"""
    sample_rate: int
    """Hz, of what `synthesize` returns"""

    def synthesize(self, text: str, rate: float = 1.0) -> Samples:
        """Speak one phrase; `rate` 1.25 is a quarter faster at the same pitch. At most 50 ms of silence at each end."""
        ...


@dataclass(frozen=True, slots=True)
class SpeechPart:
    """Part of a phrase; `more`: another part follows."""

    samples: Samples
    more: bool


@runtime_checkable
class StreamingSynthesizer(Synthesizer, Protocol):
    """A synthesiser that gives the beginning of a phrase before it has made the rest."""

    def stream(self, text: str, rate: float = 1.0) -> Iterator[SpeechPart]:
        """At least one part, each ended between two words; joined, they are as good as what `synthesize` returns."""
        ...
