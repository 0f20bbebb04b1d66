"""The decoder that goes on from committed text, on real models: held to `fxtranslate`, and to what was committed."""

from __future__ import annotations

from difflib import SequenceMatcher

import fxtranslate
import pytest

from models.marian import MarianTranslator
from models.store import Store

pytestmark = pytest.mark.real

ENGLISH = (
    "The earliest book printed with movable types has never been surpassed.",
    "Hello, how are you?",
    "We will begin the meeting at half past nine, if nobody objects.",
    "Although it had rained for three days, the road to the harbour was open again by Tuesday morning.",
    "i think that the red house on the corner was sold last",
)
PORTUGUESE = (
    "O comboio parte às nove e meia da plataforma quatro.",
    "Não sei se a senhora já conhece a nossa nova diretora.",
    "os preços subiram muito desde o verão passado e ninguém sabe porquê",
)


def files(pair: str) -> tuple[bytes, bytes, bytes]:
    folder = Store().ensure(f"firefox-{pair}")
    model, vocabulary, shortlist = (next(folder.glob(name)).read_bytes() for name in ("model.*", "vocab.*", "lex.*"))
    return model, vocabulary, shortlist


@pytest.mark.parametrize(("pair", "sentences"), [("en-pt", ENGLISH), ("pt-en", PORTUGUESE)])
def test_without_a_beginning_it_writes_what_the_library_writes(pair: str, sentences: tuple[str, ...]) -> None:
    """But for a word that lies on an edge: the library rounds activations to 8 bits."""
    model, vocabulary, shortlist = files(pair)
    library = fxtranslate.Translator(model, vocabulary, vocabulary, shortlist)
    ours = MarianTranslator(model, vocabulary, shortlist)
    found, wanted = (
        " ".join(map(write, sentences)).split() for write in (lambda s: ours.translate(s).text, library.translate)
    )
    assert SequenceMatcher(None, found, wanted, autojunk=False).ratio() > 0.95


@pytest.fixture(scope="module")
def english() -> MarianTranslator:
    return MarianTranslator(*files("en-pt"))


def test_what_was_begun_in_other_words_is_gone_on_with(english: MarianTranslator) -> None:
    """ "O primeiro livro" is what it would have written."""
    found = english.translate("The earliest book printed with movable types has never been surpassed.", "O livro mais")
    assert found.text.startswith("O livro mais antigo impresso com tipos")


def test_word_that_was_committed_is_whole(english: MarianTranslator) -> None:
    text = english.translate("The red house was sold.", "A casa vermelha foi vend").text
    assert text[len("A casa vermelha foi vend") :][:1] in ("", " ", ".", ",")


def test_beginning_stays_as_it_is_whatever_it_is(english: MarianTranslator) -> None:
    for begun in ("…  «Ólá»", "日本", "A\u00a0casa", "\N{GRINNING FACE} A", "ﬁm"):
        assert english.translate("The house is red.", begun).text.startswith(begun)


def test_pieces_say_what_they_render(english: MarianTranslator) -> None:
    source = "The red house was sold."
    found = english.translate(source)
    begin, rendered = 0, {}
    for piece in found.pieces:
        rendered[found.text[begin : piece.end].strip()] = source[piece.source :].split()[0]
        begin = piece.end
    assert rendered["casa"] == "house"
    assert rendered["vermelha"] == "red"
    assert found.pieces[-1].end == len(found.text)
    assert all(0 < piece.probability <= 1 for piece in found.pieces)


def test_other_architecture_is_refused() -> None:
    model, vocabulary, shortlist = files("en-pt")
    changed = model.replace(b"dec-cell: ssru", b"dec-cell: gruu")
    with pytest.raises(ValueError, match="dec-cell"):
        MarianTranslator(changed, vocabulary, shortlist)


@pytest.mark.parametrize("size", [0, 8, 100, 5_000, 100_000])
def test_damaged_model_is_refused(size: int) -> None:
    model, vocabulary, shortlist = files("en-pt")
    with pytest.raises(ValueError):
        MarianTranslator(model[:size], vocabulary, shortlist)
