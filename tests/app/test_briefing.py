"""A room's own terms, occasion and register: they reach its translator, and no other room's."""

from __future__ import annotations

import pytest

from app.briefing import MAX_CHARACTERS, BriefingRequest, of_room
from models.briefing import Briefing
from models.errors import InputError
from models.glossary import Glossary, Rule, Term
from models.protocols import TranslationRequest
from pipeline.engines import Translated
from tests.app.serving import interpreter, serving
from tests.app.test_server import speak_all
from tests.pipeline.test_session import Rig, Upper

TOML = '[[term]]\nen = "word0"\npt = "zero"\n'
SERVER = Briefing(Glossary([Term({"en": "word1", "pt": "um"})]), "a fair", {"pt": "formal"})


@pytest.mark.parametrize(
    ("text", "format"),
    [(TOML, "toml"), ("en,pt\nword0,zero\n", "csv"), ("\N{ZERO WIDTH NO-BREAK SPACE}" + TOML, "toml")],
)
def test_room_adds_its_terms_to_the_servers(text: str, format: str) -> None:
    asked = BriefingRequest(glossary=text, format=format)  # type: ignore[arg-type]
    made = of_room(asked, SERVER)
    assert made.glossary.rules("word0 word1", "en", "pt") == [Rule("word0", "zero"), Rule("word1", "um")]
    assert (made.context_line, made.register("pt")) == ("a fair", "formal")


def test_rooms_word_counts_where_both_say_something() -> None:
    asked = BriefingRequest(glossary='[[term]]\nen = "word1"\npt = "hum"\n', context="a trial", register=("informal",))
    made = of_room(asked, Briefing(SERVER.glossary, "a fair"))
    assert made.glossary.rules("word1", "en", "pt") == [Rule("word1", "hum")]
    assert (made.context_line, made.register("pt")) == ("a trial", "informal")


def test_malformed_terms_are_refused() -> None:
    with pytest.raises(InputError, match="TOML"):
        of_room(BriefingRequest(glossary="term ="), SERVER)


class Asked(Upper):
    def __init__(self) -> None:
        self.requests: list[TranslationRequest] = []

    async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
        self.requests.append(request)
        return await super().translate(request, deadline=deadline, key=key)


async def test_terms_of_a_room_reach_its_translator_and_no_other_rooms() -> None:
    translator = Asked()
    async with serving(interpret=interpreter(Rig(translator))) as served:
        briefed = await served.room(briefing={"glossary": TOML, "context": "a trial"})
        plain = await served.room()
        for room, expected in ((briefed, [Rule("word0", "zero")]), (plain, [])):
            translator.requests.clear()
            async with served.connect(room["listener"], ["pt"]) as listener:
                await speak_all(served, room["speaker"])
                await listener.until("closed")
            said = [request for request in translator.requests if "word0" in request.source.casefold()]
            assert said
            assert all(r.briefing.glossary.rules("word0", "en", "pt") == expected for r in said)
            assert {r.briefing.context_line for r in said} == {"a trial" if expected else ""}


@pytest.mark.parametrize(
    ("briefing", "status", "code"),
    [
        ({"glossary": "term ="}, 400, "glossary-syntax"),
        ({"register": ["polite"]}, 400, "register-invalid"),
        ({"format": "docx"}, 400, "malformed"),
        ({"glossary": "#" * (MAX_CHARACTERS + 1)}, 400, "malformed"),
        ({"glossary": "#" * 300_000}, 413, "too-large"),
        ({"else": ""}, 400, "malformed"),
    ],
)
async def test_room_with_a_briefing_that_cannot_be_used_is_not_made(
    briefing: dict[str, object], status: int, code: str
) -> None:
    async with serving() as served:
        answer = await served.http.post("/api/rooms", json={"briefing": briefing})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert served.server.rooms.gauges()["rooms"] == 0
