"""The command on real recordings with the real engines: what a user types, and what comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import wave
from pathlib import Path

import jiwer
import numpy as np
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from tests.conftest import Recording

pytestmark = pytest.mark.real

TSUYAKU = str(Path(sys.executable).with_name("tsuyaku"))


def run(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([TSUYAKU, *map(str, arguments)], input=stdin, capture_output=True, timeout=600, check=False)


def events(output: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


def committed(found: list[dict[str, object]], kind: str, language: str) -> str:
    return "".join(str(e["committed"]) for e in found if e["event"] == kind and e["language"] == language)


def wer(reference: str, hypothesis: str) -> float:
    normalise = EnglishTextNormalizer()
    return jiwer.wer(normalise(reference), normalise(hypothesis))


def write_wav(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def test_recording_becomes_words_translation_and_speech(english: Recording, tmp_path: Path) -> None:
    spoken = tmp_path / "pt.wav"
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "jsonl", "--speak", spoken)
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert wer(english.transcript, committed(found, "words", "en")) <= 0.1
    assert len(committed(found, "translation", "pt").split()) > 10
    assert found[-1]["event"] == "end"
    assert found[-1]["reason"] == "end"
    with wave.open(str(spoken)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.abs(samples).max() > 1000
    placed = [e for e in found if e["event"] == "speech"]
    assert file.getnframes() / file.getframerate() * 1000 >= float(str(placed[-1]["play_ms"]))


def test_realtime_words_appear_while_the_recording_plays(english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--realtime", "--format", "jsonl")
    found = events(done.stdout)
    assert wer(english.transcript, committed(found, "words", "en")) <= 0.15
    emitted = [float(str(e["emitted_ms"])) for e in found if e["event"] == "words" and e["committed"]]
    end = float(str(found[-1]["source_ms"]))
    assert emitted[0] < end / 2
    assert len(emitted) >= 4


def test_recording_without_speech_has_no_caption(recordings: dict[str, Recording]) -> None:
    for name in ("noise_tap", "music_trumpet", "noise_typing"):
        if name in recordings:
            found = events(run("translate", recordings[name].path, "--from", "en", "--format", "jsonl").stdout)
            assert len(committed(found, "words", "en").split()) <= 3, name


def test_ten_minutes_of_silence_have_no_caption(tmp_path: Path) -> None:
    silence = write_wav(tmp_path / "silence.wav", np.zeros(600 * 16_000, np.float32))
    found = events(run("translate", silence, "--from", "en", "--to", "pt", "--format", "jsonl").stdout)
    assert [e["event"] for e in found] == ["end"]


def test_pause_of_20_seconds_loses_and_repeats_nothing(english: Recording, tmp_path: Path) -> None:
    from app.media import MediaFile

    speech = np.concatenate(list(MediaFile(english.path)))
    pause = np.zeros(20 * 16_000, np.float32)
    path = write_wav(tmp_path / "paused.wav", np.concatenate([speech, pause, speech]))
    found = events(run("translate", path, "--from", "en", "--format", "jsonl").stdout)
    assert wer(f"{english.transcript} {english.transcript}", committed(found, "words", "en")) <= 0.1


def test_language_is_identified(recordings: dict[str, Recording]) -> None:
    name = "pt_falabrasil"
    if name not in recordings:
        pytest.skip("there is no Portuguese recording in TSUYAKU_TEST_AUDIO")
    found = events(run("translate", recordings[name].path, "--to", "en", "--format", "jsonl").stdout)
    assert {e["language"] for e in found if e["event"] == "words"} == {"pt"}
    assert committed(found, "translation", "en")


def test_subtitles_are_bilingual_on_request(english: Recording, tmp_path: Path) -> None:
    target = tmp_path / "out.srt"
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "srt", "--bilingual", "-o", target)
    assert done.returncode == 0
    assert "00:00:0" in target.read_text("utf-8")


def test_raw_pcm_on_standard_input_is_interpreted(english: Recording) -> None:
    from app.media import MediaFile

    samples = np.concatenate(list(MediaFile(english.path)))
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    done = run("translate", "-", "--from", "en", "--format", "jsonl", stdin=pcm)
    assert wer(english.transcript, committed(events(done.stdout), "words", "en")) <= 0.1


def test_interrupted_session_writes_what_was_said(english: Recording) -> None:
    command = [TSUYAKU, "translate", str(english.path), "--from", "en", "--realtime", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines: list[bytes] = []
        for line in process.stdout:
            lines.append(line)
            event = json.loads(line)
            if event["event"] == "words" and event["committed"]:
                process.send_signal(signal.SIGINT)
                break
        lines.extend(process.stdout)
        assert process.wait(60) == 130
    assert json.loads(lines[-1])["event"] == "end"


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["missing.wav", "--from", "en"], "file-missing", 2),
        ([__file__, "--from", "en"], "not-audio", 2),
        (["-", "--from", "xx"], "unknown-language", 2),
        (["-", "--from", "en", "--to", "pt", "--format", "docx"], "unknown-format", 2),
        (["-", "--from", "en", "--to", "ha"], "pair-missing", 2),
        (["-", "--from", "en"], "file-empty", 2),
        (["-", "--from", "en", "--speak", "x.wav"], "no-target", 2),
    ],
)
def test_bad_input_gets_one_sentence_and_a_code(arguments: list[str], code: str, status: int) -> None:
    done = run("translate", *arguments, stdin=b"")
    assert done.returncode == status, done.stderr
    lines = done.stderr.decode().strip().splitlines()
    assert len(lines) == 1
    assert f"[{code}]" in lines[0]


@pytest.mark.parametrize("option", ["-o", "--speak"])
def test_full_disk_is_said_in_one_sentence(option: str, english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "txt", option, "/dev/full")
    assert done.returncode == 3
    assert b"[disk-full]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_truncated_file_is_translated_as_far_as_it_goes_and_said(english: Recording, tmp_path: Path) -> None:
    whole = english.path.read_bytes()
    cut = tmp_path / f"cut{english.path.suffix}"
    cut.write_bytes(whole[: len(whole) // 2])
    done = run("translate", cut, "--from", "en", "--format", "jsonl")
    assert committed(events(done.stdout), "words", "en").strip()
    assert done.stderr.startswith(b"tsuyaku: ")


def test_two_sessions_in_one_process_share_the_engines(english: Recording) -> None:
    import asyncio

    from app.engines import EngineConfig, build
    from app.interpret import interpret
    from app.media import MediaFile
    from pipeline.events import AnyEvent, Words
    from pipeline.session import SessionConfig

    class Text:
        def __init__(self) -> None:
            self.text = ""

        def add(self, event: AnyEvent) -> None:
            if isinstance(event, Words):
                self.text += event.committed

        def close(self) -> None:
            pass

    async def both() -> list[Text]:
        engines = build(EngineConfig())
        config = SessionConfig(source_language="en", captions=frozenset({"pt"}))
        sinks = [Text(), Text()]
        await asyncio.gather(*(interpret(MediaFile(english.path), engines, config, [sink]) for sink in sinks))
        return sinks

    for sink in asyncio.run(both()):
        assert wer(english.transcript, sink.text) <= 0.2
