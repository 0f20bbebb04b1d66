"""The language of a text among a few, by py3langid: naive Bayes over byte n-grams (Lui and Baldwin 2012)."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from models.errors import UnavailableError


class TextIdentifier:
    """Raises `UnavailableError` `extra-missing` where py3langid is not installed."""

    def __init__(self) -> None:
        try:
            self._langid: Any = importlib.import_module("py3langid.langid")
        except ImportError as error:
            raise UnavailableError(
                "extra-missing", "Telling languages by text needs an extra: pip install 'tsuyaku[desk]'"
            ) from error

    def __call__(self, text: str, among: tuple[str, ...]) -> Mapping[str, float]:
        """Probability of each language of `among`; those that py3langid does not know are left out. From any thread;
        the first call loads a model, for half a second."""
        return dict(_identifier(self._langid, among).rank(text)) if text.strip() else {}


@lru_cache(maxsize=1)
def _of_all(langid: Any) -> Any:
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=16)
def _identifier(langid: Any, among: tuple[str, ...]) -> Any:
    identifier = copy.copy(_of_all(langid))
    identifier.set_languages([code for code in among if code in set(identifier.labels)])
    return identifier
