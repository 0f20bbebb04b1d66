"""Words of texts, and which word of one text is which of another."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.extra import require

UNSPACED = frozenset({"ja", "zh", "yue", "th"})
STOPS = frozenset(".?!。？！…؟।")
COMMAS = frozenset(",;:、，；：،")
_ABBREVIATIONS = frozenset({"mr.", "mrs.", "dr.", "st.", "d.", "sr.", "sra.", "ms.", "no."})
_AFTER = "\"'”’»)]」』-–—"  # a mark that ends a word: closing ones, and a dash that stood alone after it


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text without spaces, or a character of a language that writes none."""

    text: str
    end: int
    """index after its last letter or digit in the text; after the token where it has none"""

    @property
    def key(self) -> str:
        """What is compared: letters and digits alone."""
        return plain(self.text)

    @property
    def stops(self) -> bool:
        """Ends a sentence."""
        bare = self.text.rstrip(_AFTER)
        return bool(bare) and bare[-1] in STOPS and bare.lower() not in _ABBREVIATIONS

    @property
    def pauses(self) -> bool:
        """Ends with a comma, or what is like one."""
        bare = self.text.rstrip(_AFTER)
        return bool(bare) and bare[-1] in COMMAS


def plain(text: str) -> str:
    """Letters, with their vowel signs, and digits; case folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(each for each in folded if each.isalnum() or _vowel_sign(each))


def _vowel_sign(character: str) -> bool:
    """One that no letter can be read without, as in Devanagari or Thai; others (combining) are often left out."""
    return unicodedata.category(character) in ("Mn", "Mc") and not unicodedata.combining(character)


def tokens(text: str, language: str) -> list[Token]:
    """In order; punctuation that stands alone belongs to the token before it."""
    found: list[Token] = []
    for begin, end in _spans(text, language):
        piece = text[begin:end]
        letters = [at for at in range(begin, end) if text[at].isalnum()]
        if letters or not found:
            found.append(Token(piece, (letters[-1] + 1) if letters else end))
        else:
            found[-1] = Token(found[-1].text + piece, found[-1].end)
    return found


def _spans(text: str, language: str) -> list[tuple[int, int]]:
    if language.split("-")[0] in UNSPACED:
        return [(at, at + 1) for at, character in enumerate(text) if not character.isspace()]
    spans: list[tuple[int, int]] = []
    begin = 0
    for at, character in enumerate(text + " "):
        if character.isspace():
            if at > begin:
                spans.append((begin, at))
            begin = at + 1
    return spans


def matches(reference: Sequence[str], hypothesis: Sequence[str], *, substituted: bool = False) -> list[tuple[int, int]]:
    """Pairs of indices of equal items in a minimal edit; `substituted` adds those that stand for one another."""
    levenshtein = require("rapidfuzz.distance.Levenshtein")
    pairs: list[tuple[int, int]] = []
    for operation in levenshtein.opcodes(list(reference), list(hypothesis)):
        if operation.tag == "equal" or (substituted and operation.tag == "replace"):
            before = range(operation.src_start, operation.src_end)
            after = range(operation.dest_start, operation.dest_end)
            pairs.extend(zip(before, after, strict=True))
    return pairs
