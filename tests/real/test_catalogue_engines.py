"""Engines on weights in the form in which the catalogue's other entries come."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from app.voices import Voices
from models.catalog import Catalog, Entry, Source
from models.errors import TsuyakuError
from models.firefox import FirefoxTranslator
from models.piper import PiperSynthesizer
from models.protocols import TranslationRequest
from models.store import Store

pytestmark = pytest.mark.real


def test_compressed_pair_translates_like_the_plain_one(tmp_path: Path) -> None:
    plain = Store().ensure("firefox-en-pt")
    for file in (*plain.glob("*.bin"), *plain.glob("*.spm")):
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 1))
    request = TranslationRequest("Good morning, and welcome.", "en", "pt", final=True)
    answers = [FirefoxTranslator({("en", "pt"): folder}).translate([request]) for folder in (plain, tmp_path)]
    assert answers[0] == answers[1]
    assert answers[0][0].text


def test_compressed_pair_goes_on_from_committed_text(tmp_path: Path) -> None:
    for file in (plain := Store().ensure("firefox-en-pt")).iterdir():
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 1))
    request = TranslationRequest("The earliest book was printed here.", "en", "pt", "O livro mais")
    answers = [FirefoxTranslator({("en", "pt"): folder}).translate([request]) for folder in (plain, tmp_path)]
    assert answers[0] == answers[1]
    assert answers[0][0].text.startswith("O livro mais antigo")


def english(source: str, *context: tuple[str, str], committed: str = "") -> str:
    request = TranslationRequest(source, "en", "pt", committed, final=True, context=context)
    return FirefoxTranslator({("en", "pt"): Store().ensure("firefox-en-pt")}).translate([request])[0].text


def test_clause_is_translated_as_part_of_its_sentence() -> None:
    """ "printed" is feminine because of what came before; the clause alone cannot know."""
    before = ("These letters, which I wrote for my sister,", "Estas cartas, que escrevi para a minha irmã,")
    assert "impressas" in english("were printed in Lisbon.", before)
    assert "impressas" not in english("were printed in Lisbon.")
    assert english("were printed in Lisbon.", before, committed="foram impressas").startswith("foram impressas")


def test_clause_of_another_sentence_is_no_part_of_it() -> None:
    before = ("These letters are for my sister.", "Estas cartas são para a minha irmã.")
    assert english("They were printed in Lisbon.", before) == english("They were printed in Lisbon.")


def test_long_sentence_keeps_its_end() -> None:
    """These models leave out the end of what is much longer than a sentence."""
    clause = "the harbour was closed because of the storm that nobody had expected so early in the year and which"
    before = [(clause, english(clause))] * 3
    assert english("had damaged forty boats", *before).rstrip(".").endswith("barcos")


def test_broken_compressed_pair_says_so(tmp_path: Path) -> None:
    for name in ("model.enpt.bin.gz", "vocab.enpt.spm.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"0" * 1000)[:20])
    request = TranslationRequest("Good morning.", "en", "pt", final=True)
    with pytest.raises(TsuyakuError) as error:
        FirefoxTranslator({("en", "pt"): tmp_path}).translate([request])
    assert error.value.code == "engine-failed"


def test_voice_that_was_pulled_for_a_language_speaks_it(tmp_path: Path) -> None:
    known = Catalog.load().entry("piper-en_US-joe-medium")
    folder = Store().ensure(known.id)
    entry = Entry("piper-xx", "tts", "piper", ["nl"], "CC0-1.0", known.files, [Source("folder", str(folder))])
    voices = Voices(Store(tmp_path, Catalog([entry])))
    assert isinstance(voices.load("nl"), PiperSynthesizer)
    assert not isinstance(voices.load("de"), PiperSynthesizer)
