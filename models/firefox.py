"""Firefox Translations, pivoting through English where a pair has no model of its own.

Whole texts go through `fxtranslate`; what goes on from committed text, or may have to, through `models.marian`.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import fxtranslate

from models.errors import UnavailableError
from models.marian import MarianTranslator
from models.protocols import TargetPiece, TargetText, TranslationRequest
from models.scripts import UNSPACED

PIVOT = "en"
LONGEST_SENTENCE = 250  # characters; of longer ones these models leave out the end
_STOPS = frozenset(".?!。？！…।؟")
_BETWEEN = " ,;:."  # what may stand between two clauses and belongs to neither


class FirefoxTranslator:
    """`pairs` maps (source, target) to the folder of a verified model; it may grow. For one thread only."""

    def __init__(self, pairs: Mapping[tuple[str, str], Path]) -> None:
        self._pairs = pairs
        self._loaded: dict[tuple[str, str], fxtranslate.Translator] = {}
        self._continuing: dict[tuple[str, str], MarianTranslator | None] = {}

    def supports(self, source: str, target: str) -> bool:
        return self._route(source, target) is not None

    def translate(self, requests: Sequence[TranslationRequest]) -> list[TargetText]:
        return [self._translate(request) for request in requests]

    def _translate(self, request: TranslationRequest) -> TargetText:
        source, target = request.source_language, request.target_language
        route = self._route(source, target)
        if route is None:
            raise UnavailableError("pair-missing", f"No model translates from '{source}' to '{target}'.")
        text = request.source
        for leg in route[:-1]:
            text = self._whole(leg, text)
        if not text.strip():
            return TargetText(request.committed)
        before = _sentence_before(request) if len(route) == 1 else _NOTHING
        if (request.committed or before[1] or not request.final) and (translator := self._continues(route[-1])):
            found = _continue(translator, text, request.committed, before)
            return found if len(route) == 1 else TargetText(found.text)
        return TargetText(self._whole(route[-1], text))

    def _route(self, source: str, target: str) -> list[tuple[str, str]] | None:
        if source == target:
            return None
        if (source, target) in self._pairs:
            return [(source, target)]
        legs = [(source, PIVOT), (PIVOT, target)]
        return legs if all(leg in self._pairs for leg in legs) else None

    def _continues(self, pair: tuple[str, str]) -> MarianTranslator | None:
        """What goes on from committed text; None where the pair's model is of another kind, or damaged."""
        if pair not in self._continuing:
            self._continuing[pair] = _load_continuing(self._pairs[pair])
        return self._continuing[pair]

    def _whole(self, pair: tuple[str, str], text: str) -> str:
        if not text.strip():
            return ""
        try:
            if pair not in self._loaded:
                self._loaded[pair] = _load(self._pairs[pair])
            return self._loaded[pair].translate_long(text).strip()
        except (ValueError, RuntimeError, OSError, EOFError) as error:
            raise UnavailableError("engine-failed", f"The model for {'-'.join(pair)} failed; pull it again.") from error


_NOTHING = ("", "")


def _sentence_before(request: TranslationRequest) -> tuple[str, str]:
    """The clause before, where the request's goes on with its sentence, and how it reads. One: what was committed of
    earlier ones binds the decoder to words that it would not choose."""
    source, target = request.context[-1] if request.context else _NOTHING
    too_long = len(source) + len(request.source) > LONGEST_SENTENCE
    if too_long or not target.strip() or source.rstrip()[-1:] in _STOPS or UNSPACED.search(source + target):
        return _NOTHING
    return source.strip() + " ", target.strip() + " "


def _continue(translator: MarianTranslator, text: str, committed: str, before: tuple[str, str]) -> TargetText:
    """The clause alone, translated with what came `before` it in its sentence."""
    source, target = before
    given = target + committed if committed else target.rstrip()
    found = translator.translate(source + text, given)
    rest = found.text if committed else found.text[len(given) :].lstrip(_BETWEEN)
    begins = len(target) if committed else len(found.text) - len(rest)
    pieces = (
        TargetPiece(piece.end - begins, max(0, piece.source - len(source)), piece.probability)
        for piece in found.pieces
        if piece.end > begins
    )
    return TargetText(found.text[begins:], tuple(pieces))


def _load(folder: Path) -> fxtranslate.Translator:
    shared = _shares_vocabulary(folder)
    source, target = ("vocab.*.spm*",) * 2 if shared else ("srcvocab.*.spm*", "trgvocab.*.spm*")
    shortlist = _read(folder, "lex.*") if any(folder.glob("lex.*")) else None
    return fxtranslate.Translator(_read(folder, "model.*"), _read(folder, source), _read(folder, target), shortlist)


def _load_continuing(folder: Path) -> MarianTranslator | None:
    if not _shares_vocabulary(folder) or not any(folder.glob("lex.*")):
        return None
    try:
        return MarianTranslator(_read(folder, "model.*"), _read(folder, "vocab.*.spm*"), _read(folder, "lex.*"))
    except (ValueError, RuntimeError, OSError, EOFError):
        return None


def _shares_vocabulary(folder: Path) -> bool:
    return any(folder.glob("vocab.*.spm*"))


def _read(folder: Path, pattern: str) -> bytes:
    found = sorted(folder.glob(pattern))
    if not found:
        raise UnavailableError("model-missing", f"{folder} holds no {pattern}; pull the model again.")
    data = found[0].read_bytes()
    return gzip.decompress(data) if found[0].suffix == ".gz" else data
