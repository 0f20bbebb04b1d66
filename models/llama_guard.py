"""Whether an answer is a translation: it must not echo, grow, loop, introduce or comment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from models.scripts import UNSPACED

_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」", "『": "』"}
_INTRODUCTION = re.compile(
    r"^.{0,48}?(translat|traduç|traducc|traduct|traduzion|übersetzung|"
    r"terjemahan|bản dịch|salin|перевод|अनुवाद|ترجم|คำแปล|翻[訳译譯]|訳|번역)"
    r"[^:：]{0,48}[:：]",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"</?source|[‹<]\|", re.IGNORECASE)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Guard:
    """Limits by which an answer is judged."""

    growth: float = 3.0
    """times the source's weight that a translation may weigh"""
    allowance: int = 60
    """weight that is always allowed"""
    echo: float = 0.85
    """similarity of the words, from which an answer is the source itself"""
    echo_words: int = 4
    """of a source, capitalised ones aside, from which an echo is no names and numbers that stay as they are"""
    repeats: int = 4
    """of the same words in a row"""

    def hopeless(self, text: str, source: str) -> bool:
        """May be asked at any time of a stream: once true it stays true."""
        return self._too_long(text, source) or self._loops(text, source)

    def _too_long(self, text: str, source: str) -> bool:
        return weight(text) > self.growth * weight(source) + self.allowance

    def objection(self, text: str, source: str, *, final: bool) -> str:
        """Why this is not a translation of `source`, as one word; empty if it may be."""
        if not text.strip():
            return "empty" if final and any(c.isalnum() for c in source) else ""
        checks = {
            "growth": self._too_long(text, source),
            "loop": self._loops(text, source),
            "introduction": _introduces(text, source),
            "markup": bool(_MARKUP.search(text)),
            "lines": "\n" in text.strip() and "\n" not in source.strip(),
            "garbled": _REPLACEMENT in text,
            "echo": self._echoes(text, source),
        }
        return next((name for name, objected in checks.items() if objected), "")

    def _echoes(self, text: str, source: str) -> bool:
        said, written = _words(source), _words(text)
        if sum(not word[0].isupper() for word in said) < self.echo_words:
            return False
        folded = [[word.casefold() for word in words] for words in (said, written)]
        return SequenceMatcher(None, *folded, autojunk=False).ratio() >= self.echo

    def _loops(self, text: str, source: str) -> bool:
        """A speaker who says a word five times is translated so."""
        return repeats(_units(text.casefold())) >= max(self.repeats, repeats(_units(source.casefold())) + 2)


def weight(text: str) -> int:
    """Length, where a character that stands for a syllable or a word counts as three letters."""
    return len(text) + 2 * len(_HAN.findall(text))


def repeats(units: Sequence[str], longest: int = 8) -> int:
    """How often the same 1 to `longest` units follow each other, at most, at the end of any prefix."""
    most = 1 if units else 0
    for size in range(1, min(longest, len(units) // 2) + 1):
        matching = 0
        for index in range(size, len(units)):
            matching = matching + 1 if units[index] == units[index - size] else 0
            most = max(most, matching // size + 1)
    return most


def tidy(text: str, source: str) -> str:
    """Without the space around it, half a character at its end, or quotation marks that nobody spoke."""
    text = text.strip().rstrip(_REPLACEMENT).rstrip()
    closing = _QUOTES.get(text[:1])
    if closing is None or any(mark in source for mark in _QUOTES):
        return text
    if closing in text[1:-1]:  # marks within: `"Yes" and "no"`
        return text
    return text[1:].removesuffix(closing).strip()


def _introduces(text: str, source: str) -> bool:
    return bool(_INTRODUCTION.match(text)) and not re.search("[:：]", source)


def _words(text: str) -> list[str]:
    """With letters; single characters where words have no space between them."""
    return [unit for unit in _units(text) if any(c.isalpha() for c in unit)]


def _units(text: str) -> list[str]:
    units: list[str] = []
    for word in re.findall(r"[\w'’-]+", text):
        units.extend(word if UNSPACED.search(word) else [word])
    return units
