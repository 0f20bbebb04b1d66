"""A recognised word on the source's clock, and what the rules of recognition and segmentation ask of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_STOPS = frozenset(".?!。？！…।؟")


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word, or a mark of punctuation by itself, with its place in the source in samples."""

    text: str
    start: int
    end: int
    probability: float
    tokens: tuple[int, ...]
    shouted: bool = False
    """the decoder wrote it in capitals, whatever `text` is now"""

    @property
    def key(self) -> str:
        """What two hypotheses must share to agree on a word: its letters and digits. Empty for punctuation."""
        return key(self.text)


def key(text: str) -> str:
    """Letters and digits alone, in small letters."""
    return "".join(c for c in text.casefold() if unicodedata.category(c)[0] in "LNM")


def spoken(words: Iterable[TimedWord]) -> list[tuple[int, TimedWord]]:
    """The words that are no punctuation, each with its index."""
    return [(index, word) for index, word in enumerate(words) if word.key]


def capitalised(text: str) -> str:
    """With the first letter as at the beginning of a sentence: a decoder that has heard one word does not know."""
    first = next((index for index, character in enumerate(text) if character.isalpha()), len(text))
    return text[:first] + text[first : first + 1].title() + text[first + 1 :]


def is_stop(text: str) -> bool:
    """It ends a sentence."""
    return text.strip()[-1:] in _STOPS
