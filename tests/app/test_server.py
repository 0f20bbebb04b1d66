"""Rooms over real sockets, with engines made for tests: what listeners get, and what survives an interruption."""

from __future__ import annotations

import asyncio
import html
import signal
import wave
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from app.access import Limits
from app.protocol import Resume
from models.glossary import translate_with_terms
from models.protocols import SAMPLE_RATE, TranslationRequest
from pipeline.engines import Translated
from tests.app.serving import SPEECH, Client, Served, interpreter, serving
from tests.pipeline.test_session import Rig, Upper

SAID = " word0 word1 word2. word0 word1."


async def speak_all(served: Served, token: str) -> None:
    async with served.connect(token) as speaker:
        started = await speaker.start()
        await speaker.speak(started["channel"], SPEECH)
        await speaker.send("stop", channel=started["channel"])
        await speaker.until("closed")


async def test_listener_reads_and_hears_what_is_said() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"], ["pt"]) as listener:
            await speak_all(served, room["speaker"])
            closed = await listener.until("closed")
            await listener.send("ping", id=7)
            await listener.until("pong", id=7)
        assert closed["code"] == "end"
        said = listener.text("words", "en")
        assert said.count(".") == 2
        assert listener.text() == said.strip().upper()
        assert [m["segment"] for m in listener.texts if m["type"] == "caption" and m["final"]] == [0, 1]
        assert {voice.language for voice in listener.voices} == {"pt"}
        assert [voice.sequence for voice in listener.voices] == list(range(1, len(listener.voices) + 1))
        assert listener.voices[-1].last


async def test_language_is_worked_on_only_while_somebody_wants_it() -> None:
    async with serving() as served:
        room = await served.room()
        entry, _ = served.server.rooms.find(room["host"]) or (None, None)
        assert entry
        async with served.connect(room["listener"], ["pt"], ["es"]):
            assert entry.room.targets == (frozenset({"pt"}), frozenset({"es"}))
            await speak_all(served, room["speaker"])
        languages = {e.message.language for e in entry.room.history if hasattr(e.message, "segment")}
        assert languages == {"pt", "es"}


async def test_speaker_is_told_who_listens() -> None:
    async with serving() as served:
        room = await served.room()
        async with (
            served.connect(room["host"]) as host,
            served.connect(room["listener"], ["pt"], ["pt"]),
            served.connect(room["listener"], ["es"]),
        ):
            await host.until("state", listeners=2, captions={"pt": 1, "es": 1}, voices={"pt": 1})


async def test_late_listener_gets_what_was_said_before() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"]) as early:
            await speak_all(served, room["speaker"])
            await early.until("closed")
        async with served.connect(room["listener"], ["pt"]) as late:
            await late.until("closed")
        assert late.log() == early.log()
        assert late.texts[0]["recovered"] is False


async def test_listener_that_was_cut_off_gets_the_rest_once_and_in_order() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"]) as whole, served.connect(room["speaker"]) as speaker:
            started = await speaker.start()
            async with served.connect(room["listener"], ["pt"]) as before:
                await speaker.speak(started["channel"], SPEECH[: 5 * SAMPLE_RATE])
                last = await before.until("words")
                before.socket.transport.abort()
            await speaker.speak(started["channel"], SPEECH[5 * SAMPLE_RATE :], 5 * SAMPLE_RATE)
            await speaker.send("stop", channel=started["channel"])
            await whole.until("closed")
            epoch = before.texts[0]["epoch"]
            async with served.connect(room["listener"], ["pt"], resume=Resume(epoch, last["sequence"])) as after:
                await after.until("closed")
        assert after.texts[0]["recovered"] is True
        assert before.log() + after.log() == whole.log()
        assert before.text() + after.text() == whole.text()


async def test_client_of_another_epoch_is_told_to_forget() -> None:
    async with serving() as served:
        room = await served.room()
        await speak_all(served, room["speaker"])
        async with served.connect(room["listener"], resume=Resume("another", 1)) as client:
            await client.until("closed")
        assert client.texts[0]["recovered"] is False
        assert client.log()[0][0] == 1


async def said_with_interruptions(cuts: list[int], resent_s: float) -> str:
    """What is heard when the speaker's socket breaks at each of `cuts` (in samples) and what came after was lost."""
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"]) as listener:
            at = 0
            for cut in [*cuts, len(SPEECH)]:
                async with served.connect(room["speaker"]) as speaker:
                    started = await speaker.start()
                    assert started["position"] == at
                    again = max(0, at - round(resent_s * SAMPLE_RATE))
                    await speaker.speak(started["channel"], SPEECH[again:cut], again)
                    if cut == len(SPEECH):
                        await speaker.send("stop", channel=started["channel"])
                        await speaker.until("closed")
                    else:
                        await speaker.send("ping", id=1)
                        await speaker.until("pong")
                        speaker.socket.transport.abort()
                at = cut
            await listener.until("closed")
            return listener.text("words", "en")


async def test_speaker_that_was_cut_off_loses_no_word() -> None:
    cuts = [SAMPLE_RATE, SAMPLE_RATE * 2 + 77, SAMPLE_RATE * 6]
    assert await said_with_interruptions(cuts, resent_s=0.5) == await said_with_interruptions([], resent_s=0)


async def test_everything_is_confirmed_that_has_arrived() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["speaker"]) as speaker:
            started = await speaker.start()
            await speaker.speak(started["channel"], SPEECH)
            await speaker.send("stop", channel=started["channel"])
            await speaker.until("confirmed", position=len(SPEECH))


async def test_newer_socket_takes_a_channel_over() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["speaker"]) as old, served.connect(room["speaker"]) as new:
            first = await old.start()
            again = await new.start()
            assert again["channel"] == first["channel"]
            await old.speak(first["channel"], SPEECH[:1600])
            await old.send("ping", id=1)
            await old.until("pong")
            await new.speak(first["channel"], SPEECH[:8000])
            assert (await new.until("confirmed"))["position"] == 8000


async def test_pause_of_the_speaker_costs_nothing_and_ends_what_was_said() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"]) as listener, served.connect(room["speaker"]) as speaker:
            started = await speaker.start()
            await speaker.speak(started["channel"], SPEECH[: 5 * SAMPLE_RATE])
            muted = 600 * SAMPLE_RATE
            await speaker.speak(started["channel"], SPEECH[5 * SAMPLE_RATE :], 5 * SAMPLE_RATE + muted)
            await speaker.send("stop", channel=started["channel"])
            await listener.until("closed")
        assert listener.text("words", "en").count(".") == 2


async def test_several_people_speak_in_one_room() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"]) as listener, served.connect(room["speaker"]) as speaker:
            for key, name in (("the-first-key", "Ana"), ("the-second-key", "Ben")):
                started = await speaker.start(key, name=name)
                await speaker.speak(started["channel"], SPEECH)
                await speaker.send("stop", channel=started["channel"])
            await listener.until("closed")
            await listener.until("closed")
        opened = [m for m in listener.texts if m["type"] == "opened"]
        assert [(m["channel"], m["name"]) for m in opened] == [(1, "Ana"), (2, "Ben")]
        for channel in (1, 2):
            words = "".join(m["text"] for m in listener.texts if m["type"] == "words" and m["channel"] == channel)
            assert words.count(".") == 2


async def test_listener_changes_its_language() -> None:
    async with serving() as served:
        room = await served.room()
        async with (
            served.connect(room["listener"], ["pt"]) as listener,
            served.connect(room["listener"], ["es"]) as other,
        ):
            await speak_all(served, room["speaker"])
            await listener.until("closed")
            await other.until("closed")
            await listener.send("want", wanted={"captions": ["pt", "es"]})
            await listener.send("ping", id=9)
            await listener.until("pong", id=9)
        assert listener.text("caption", "es") == other.text("caption", "es") != ""


async def test_engine_that_fails_ends_neither_channel_nor_room() -> None:
    class Fails(Rig):
        failures = 1

        def engines(self):  # type: ignore[no-untyped-def]
            engines = super().engines()
            submit = engines.recognizer.submit

            async def failing(request, *, deadline, key=None):  # type: ignore[no-untyped-def]
                if self.failures and len(request.audio) > 2 * SAMPLE_RATE:
                    self.failures -= 1
                    raise RuntimeError("native crash")
                return await submit(request, deadline=deadline, key=key)

            engines.recognizer.submit = failing  # type: ignore[method-assign]
            return engines

    async with serving(interpret=interpreter(Fails())) as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"]) as listener, served.connect(room["speaker"]) as speaker:
            started = await speaker.start()
            await speaker.speak(started["channel"], SPEECH)
            await listener.until("trouble", stage="session")
            await speaker.speak(started["channel"], SPEECH, len(SPEECH))
            await speaker.send("stop", channel=started["channel"])
            closed = await listener.until("closed")
        assert closed["code"] == "end"
        assert listener.text("words", "en").count(".") >= 2
        segments = [m["segment"] for m in listener.texts if m["type"] == "caption" and m["final"]]
        assert segments == sorted(set(segments))


async def test_shutdown_finishes_what_was_said_and_tells_everybody() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"]) as listener, served.connect(room["speaker"]) as speaker:
            started = await speaker.start()
            await speaker.speak(started["channel"], SPEECH[: 7 * SAMPLE_RATE])
            await speaker.send("ping", id=1)
            await speaker.until("pong")
            _, code, _ = await asyncio.gather(served.server.drain(), listener.closed(), speaker.closed())
        assert code == 1012
        assert listener.texts[-1]["type"] == "ended"
        assert listener.texts[-1]["code"] == "shutdown"
        assert listener.text() == listener.text("words", "en").strip().upper() != ""


async def test_second_ctrl_c_waits_for_nobody() -> None:
    class Hanging(Upper):
        async def warm(self, source: str, target: str) -> None: ...

        async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
            await asyncio.Event().wait()
            raise AssertionError("nothing sets it")

    async with serving(interpret=interpreter(Rig(Hanging()))) as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"]) as listener, served.connect(room["speaker"]) as speaker:
            started = await speaker.start()
            await speaker.speak(started["channel"], SPEECH)
            await listener.until("words")
            served.process.handle_exit(signal.SIGINT, None)
            ending = asyncio.create_task(served.process.shutdown())
            async with asyncio.timeout(5):
                while not served.server.rooms.draining:
                    await asyncio.sleep(0)
                served.process.handle_exit(signal.SIGINT, None)
                await ending
                await listener.closed()


async def test_end_for_everybody_keeps_the_last_sentence() -> None:
    async with serving() as served:
        room = await served.room()
        async with (
            served.connect(room["listener"], ["pt"]) as listener,
            served.connect(room["host"]) as host,
        ):
            started = await host.start()
            await host.speak(started["channel"], SPEECH[: 3 * SAMPLE_RATE])
            await host.send("close")
            await host.send("close")
            codes = await asyncio.gather(listener.closed(), host.closed())
        assert codes == [4410, 4410]
        assert [(m["type"], m["code"]) for m in listener.texts[-2:]] == [("closed", "end"), ("ended", "host")]
        assert [m["final"] for m in listener.texts if m["type"] == "caption"][-1]
        assert listener.text() == listener.text("words", "en").strip().upper() != ""


async def test_opus_is_encoded_for_who_asks_and_pcm_for_others() -> None:
    async with serving() as served:
        room = await served.room()
        async with (
            served.connect(room["listener"], [], ["pt"], opus=True) as modern,
            served.connect(room["listener"], [], ["pt"]) as plain,
        ):
            await speak_all(served, room["speaker"])
            for client in (modern, plain):
                await _heard(client, 2)
        assert all(voice.opus for voice in modern.voices)
        assert not any(voice.opus for voice in plain.voices)
        assert [v.segment for v in modern.voices] == [v.segment for v in plain.voices]


async def _heard(client: Client, count: int) -> None:
    identity = 0
    async with asyncio.timeout(10):
        while len(client.voices) < count:
            identity += 1
            await client.send("ping", id=identity)
            await client.until("pong", id=identity)


def test_speech_of_these_tests_has_two_utterances() -> None:
    assert np.abs(SPEECH[int(0.5 * SAMPLE_RATE) : int(3.5 * SAMPLE_RATE)]).max() > 0.05
    assert len(SPEECH) == 9 * SAMPLE_RATE


async def test_transcript_is_downloaded_with_a_token_in_a_header_only() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"]) as listener:
            await speak_all(served, room["speaker"])
            await listener.until("closed")
            headers = {"authorization": f"Bearer {room['listener']}"}
            answer = await served.http.get("/api/transcript?format=vtt&language=pt", headers=headers)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/vtt")
            assert 'filename="tsuyaku-pt.vtt"' in answer.headers["content-disposition"]
            assert answer.headers["cache-control"] == "no-store"
            assert answer.text.startswith("WEBVTT")
            assert "WORD0 WORD1 WORD2." in answer.text
            assert (await served.http.get("/api/transcript?format=exe", headers=headers)).status_code == 400
            assert (await served.http.get(f"/api/transcript?token={room['listener']}")).status_code == 401


async def test_who_comes_late_is_told_that_the_beginning_is_gone() -> None:
    async with serving(Limits(log_entries=4)) as served:
        room = await served.room()
        headers = {"authorization": f"Bearer {room['listener']}"}
        async with served.connect(room["listener"], ["pt"]) as listener:
            assert listener.texts[0]["cut"] is False
            assert "transcript-cut" not in (await served.http.get("/api/transcript", headers=headers)).headers
            await speak_all(served, room["speaker"])
            await listener.until("closed")
        async with served.connect(room["listener"], ["pt"]) as late:
            assert late.texts[0]["cut"] is True
        assert (await served.http.get("/api/transcript", headers=headers)).headers["transcript-cut"] == "1"


async def test_transcript_of_a_room_with_a_code_needs_it() -> None:
    async with serving(Limits(code_attempts_per_minute=2, downloads_per_minute=3)) as served:
        room = await served.room(code="senha é")

        async def asked(role: str, code: str | None = None) -> int:
            headers = {"authorization": f"Bearer {room[role]}"}
            if code is not None:
                headers["room-code"] = quote(code)
            return (await served.http.get("/api/transcript", headers=headers)).status_code

        assert await asked("listener") == 403
        assert await asked("speaker", "senha e") == 403
        assert await asked("listener", "senha é") == 200
        assert await asked("host") == 200
        assert await asked("listener", "guess") == 429
        assert await asked("host") == 200
        assert await asked("host") == 429


async def test_text_is_carried_as_it_was_said_and_never_as_html() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"]) as listener, served.connect(room["speaker"]) as speaker:
            await speaker.start(name="<script>alert(1)</script>")
            opened = await listener.until("opened")
        assert opened["name"] == "<script>alert(1)</script>"


async def test_glossary_with_markup_is_plain_text_to_its_end() -> None:
    class Terms(Upper):
        async def translate(self, request: TranslationRequest, *, deadline: float, key: object) -> Translated:
            async def same(text: str) -> str:
                return text

            terms, pair = request.briefing.glossary, (request.source_language, request.target_language)
            return Translated(await translate_with_terms(terms, same, request.source, *pair), "terms", 0.0, 0.0)

    hostile = "<script>alert(1)</script>"
    async with serving(interpret=interpreter(Rig(Terms()))) as served:
        room = await served.room(briefing={"glossary": f"en,pt\nword1,{hostile}\n", "format": "csv"})
        async with served.connect(room["listener"], ["pt"]) as listener:
            await speak_all(served, room["speaker"])
            await listener.until("closed")
        assert listener.text().count(hostile) == 2
        headers = {"authorization": f"Bearer {room['listener']}"}
        for format, shown in (("txt", hostile), ("json", hostile), ("vtt", html.escape(hostile))):
            answer = await served.http.get(f"/api/transcript?format={format}&language=pt", headers=headers)
            assert shown in answer.text, format
            assert "html" not in answer.headers["content-type"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-disposition"].startswith("attachment")


async def test_qr_code_is_a_picture_without_scripts() -> None:
    async with serving() as served:
        answer = await served.http.post("/api/qr", json={"text": "https://x/#<script>"})
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.text.startswith("<svg")
        assert "script" not in answer.text


async def test_who_asks_for_too_many_pictures_takes_none_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Limits(pictures_per_address_per_minute=2)) as served:

        async def ask() -> int:
            return (await served.http.post("/api/qr", json={"text": "https://x/"})).status_code

        assert [await ask() for _ in range(3)] == [200, 200, 429]
        monkeypatch.setattr("app.server._address", lambda request: "192.0.2.7")
        assert await ask() == 200


async def test_metrics_count_what_happened_and_name_nobody() -> None:
    async with serving() as served:
        room = await served.room()
        async with served.connect(room["listener"], ["pt"], ["pt"]) as listener:
            await speak_all(served, room["speaker"])
            await listener.until("closed")
            text = (await served.http.get("/metrics")).text
            for line in (
                "tsuyaku_rooms 1.0",
                "tsuyaku_listeners 1.0",
                "tsuyaku_languages_translated 1.0",
                'tsuyaku_stage_seconds_count{language="pt",stage="translate"} 2.0',
                'tsuyaku_end_to_end_seconds_count{language="pt"} 2.0',
                "tsuyaku_speaking_channels 0.0",
            ):
                assert line in text, line
            assert "tsuyaku_fan_out_seconds_count" in text
            for secret in (room["host"], room["speaker"], room["listener"], "word0", "WORD0"):
                assert secret not in text


async def test_server_is_ready_until_it_drains() -> None:
    async with serving() as served:
        assert (await served.http.get("/healthz")).status_code == 200
        assert (await served.http.get("/readyz")).status_code == 200
        await served.server.drain()
        assert (await served.http.get("/readyz")).status_code == 503
        assert (await served.http.get("/healthz")).status_code == 200
        refused = await served.http.post("/api/rooms", json={})
        assert (refused.status_code, refused.json()["code"]) == (503, "restarting")


async def test_page_is_told_what_can_be_asked_for() -> None:
    async with serving() as served:
        info = (await served.http.get("/api/info")).json()
        assert info["pairs"] == {"en": ["es", "pt"], "pt": ["en"]}
        assert info["languages"] == ["en", "es", "pt"]
        assert info["retention"][0] == 0


async def test_recording_is_spoken_by_the_server_itself(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sample.wav"), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((np.clip(SPEECH[: 2 * SAMPLE_RATE], -1, 1) * 32767).astype("<i2").tobytes())
    async with serving(sample=tmp_path / "sample.wav") as served:
        token = (await served.http.post("/api/demo", json={})).json()["listener"]
        async with served.connect(token, ["pt"]) as listener:
            assert listener.texts[0]["demo"] is True
            await listener.until("opened")
            assert (await served.http.get("/api/sample.wav")).content[:4] == b"RIFF"
            await listener.until("talking", active=True)
