"""What a reader sees of a clause: only ever appended to, whatever the source becomes and however answers arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from models.protocols import TranslationRequest
from pipeline.translate import ClauseTranslation, TranslateConfig
from tests.models.test_llama import END, NEVER, Server, event, stream, translator

SCRIPTS = st.text(st.sampled_from("aé ßЖ.,猫が寝る電車สวัสดีالبيتहिंदी한국😀"), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)  # each example makes a client, which takes 20 ms
@given(st.lists(st.tuples(SCRIPTS, st.lists(SCRIPTS, min_size=1, max_size=4)), min_size=1, max_size=6), st.data())
def test_shown_text_is_only_appended_to_and_ends_as_the_last_answer(
    steps: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    """Sources that are revised at will, in any script, and streams that are cut anywhere, within characters too."""

    async def speak() -> None:
        server = Server(*(answer(pieces, data) for _, pieces in steps))
        llama = translator(server, guard=None)
        translation, shown = ClauseTranslation(TranslateConfig(hold_back=0, least_source_words=1)), ""
        for number, (source, _) in enumerate(steps, 1):
            request = TranslationRequest(source, "en", "pt", translation.committed, final=number == len(steps))
            text = await llama.translate(request, first_token_deadline_s=NEVER)
            assert text.startswith(shown)
            step = translation.close(text) if request.final else translation.update(text, source)
            shown += step.committed
            assert shown == translation.committed
        assert shown == text

    asyncio.run(speak())


def answer(pieces: list[str], data: st.DataObject) -> Callable[[], httpx2.Response]:
    body = b"".join(map(event, pieces)) + event("", "stop") + END
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=8)))
    return stream(*(body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)))
