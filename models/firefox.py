"""Firefox Translations through `fxtranslate`, pivoting through English where a pair has no model of its own."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import fxtranslate

from models.errors import UnavailableError
from models.protocols import TranslationRequest

PIVOT = "en"


class FirefoxTranslator:
    """`pairs` maps (source, target) to the folder of a verified model; it may grow. For one thread only."""

    def __init__(self, pairs: Mapping[tuple[str, str], Path]) -> None:
        self._pairs = pairs
        self._loaded: dict[tuple[str, str], fxtranslate.Translator] = {}

    def supports(self, source: str, target: str) -> bool:
        return self._route(source, target) is not None

    def translate(self, requests: Sequence[TranslationRequest]) -> list[str]:
        return [self._translate(r.source, r.source_language, r.target_language) for r in requests]

    def _translate(self, text: str, source: str, target: str) -> str:
        route = self._route(source, target)
        if route is None:
            raise UnavailableError("pair-missing", f"No model translates from '{source}' to '{target}'.")
        for leg in route:
            text = self._run(leg, text) if text.strip() else ""
        return text.strip()

    def _route(self, source: str, target: str) -> list[tuple[str, str]] | None:
        if source == target:
            return None
        if (source, target) in self._pairs:
            return [(source, target)]
        legs = [(source, PIVOT), (PIVOT, target)]
        return legs if all(leg in self._pairs for leg in legs) else None

    def _run(self, pair: tuple[str, str], text: str) -> str:
        try:
            if pair not in self._loaded:
                self._loaded[pair] = _load(self._pairs[pair])
            return self._loaded[pair].translate_long(text)
        except (ValueError, RuntimeError, OSError, EOFError) as error:
            raise UnavailableError("engine-failed", f"The model for {'-'.join(pair)} failed; pull it again.") from error


def _load(folder: Path) -> fxtranslate.Translator:
    def read(pattern: str) -> bytes:
        found = sorted(folder.glob(pattern))
        if not found:
            raise UnavailableError("model-missing", f"{folder} holds no {pattern}; pull the model again.")
        data = found[0].read_bytes()
        return gzip.decompress(data) if found[0].suffix == ".gz" else data

    shared = any(folder.glob("vocab.*.spm*"))
    source_vocab, target_vocab = ("vocab.*.spm*",) * 2 if shared else ("srcvocab.*.spm*", "trgvocab.*.spm*")
    shortlist = read("lex.*") if any(folder.glob("lex.*")) else None
    return fxtranslate.Translator(read("model.*"), read(source_vocab), read(target_vocab), shortlist)
