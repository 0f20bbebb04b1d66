"""Everything that can be wrong, through the installed command: one sentence, a code, a status, no traceback."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from app.media import MediaFile
from models.store import Store
from tests.conftest import Recording
from tests.real.command import (
    TSUYAKU,
    assert_one_sentence,
    committed,
    events,
    run,
    silence,
    wer,
    write_wav,
)

pytestmark = pytest.mark.real

WHISPER = "whisper-base"


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["missing.wav", "--from", "en"], "file-missing", 2),
        ([__file__, "--from", "en"], "not-audio", 2),
        (["/", "--from", "en"], "not-audio", 2),
        (["-", "--from", "xx"], "unknown-language", 2),
        (["-", "--from", "en", "--to", "auto"], "unknown-language", 2),
        (["-", "--from", "en", "--to", ","], "unknown-language", 2),
        (["-", "--from", "en", "--to", "pt", "--format", "docx"], "unknown-format", 2),
        (["-", "--from", "en", "--to", "ha"], "pair-missing", 2),
        (["-", "--from", "en"], "file-empty", 2),
        (["-", "--from", "en", "--speak", "x.wav"], "no-target", 2),
        (["-", "--from", "en", "--to", "pt", "--preset", "wild"], "config-invalid", 2),
        (["-", "--from", "en", "--whisper", "huge"], "unknown-model", 2),
        (["-", "--from", "pt", "--whisper", "tiny.en"], "unknown-language", 2),
        (["-", "-", "--format", "srt", "--from", "en"], "output-shared", 2),
        (["-", "--from", "en", "-o", "no/such/folder/x.txt"], "output-unwritable", 2),
    ],
)
def test_bad_input_gets_one_sentence_and_a_code(arguments: list[str], code: str, status: int) -> None:
    assert_one_sentence(run("translate", *arguments, stdin=b""), code, status)


def test_file_of_zero_length_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    assert_one_sentence(run("translate", tmp_path / "empty.wav", "--from", "en"), "file-empty", 2)
    assert_one_sentence(run("translate", write_wav(tmp_path / "none.wav", silence(0))), "file-empty", 2)


def test_pair_that_was_not_pulled_names_the_command_that_pulls_it(english: Recording, tmp_path: Path) -> None:
    store = tmp_path / "models"
    shutil.copytree(Store().ensure(WHISPER), store / WHISPER)
    done = run("translate", english.path, "--from", "en", "--to", "de", TSUYAKU_MODELS=str(store))
    assert_one_sentence(done, "pair-missing", 3)
    assert b"tsuyaku models pull firefox-en-de" in done.stderr


def test_pair_that_is_missing_for_the_language_heard_names_the_command(portuguese: Recording) -> None:
    done = run("translate", portuguese.path, "--from", "auto", "--to", "de")
    assert_one_sentence(done, "pair-missing", 3)
    assert b"tsuyaku models pull firefox-en-de" in done.stderr


def test_weights_with_a_wrong_hash_are_refused(english: Recording, tmp_path: Path) -> None:
    folder = tmp_path / WHISPER
    shutil.copytree(Store().ensure(WHISPER), folder)
    with (folder / "model.bin").open("r+b") as weights:
        weights.seek(1_000_000)
        weights.write(b"changed")
    done = run("translate", english.path, "--from", "en", TSUYAKU_MODELS=str(tmp_path))
    assert_one_sentence(done, "model-corrupt", 3)
    verified = run("models", "verify", TSUYAKU_MODELS=str(tmp_path))
    assert verified.returncode == 3


def test_truncated_file_is_translated_as_far_as_it_goes_and_said(english: Recording, tmp_path: Path) -> None:
    whole = english.path.read_bytes()
    cut = tmp_path / f"cut{english.path.suffix}"
    cut.write_bytes(whole[: len(whole) // 2])
    done = run("translate", cut, "--from", "en", "--format", "jsonl")
    assert committed(events(done.stdout), "words", "en").strip()
    assert_one_sentence(done, "file-truncated", 2)
    assert b"is truncated" in done.stderr


@pytest.mark.parametrize("option", ["-o", "--speak"])
def test_full_device_is_said(option: str, english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--format", "txt", option, "/dev/full")
    assert_one_sentence(done, "disk-full", 3)


def test_file_that_may_not_grow_is_said_and_what_was_spoken_stays(english: Recording, tmp_path: Path) -> None:
    spoken = tmp_path / "pt.wav"
    done = subprocess.run(
        [TSUYAKU, "translate", english.path, "--from", "en", "--to", "pt", "--format", "txt", "--speak", spoken],
        capture_output=True,
        check=False,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert_one_sentence(done, "disk-full", 3)
    with wave.open(str(spoken)) as file:
        assert 0 < file.getnframes() * 2 <= 100_000


def test_store_without_room_is_said_and_leaves_nothing_half(tmp_path: Path) -> None:
    done = subprocess.run(
        [TSUYAKU, "models", "pull", WHISPER],
        capture_output=True,
        check=False,
        timeout=300,
        env=os.environ | {"TSUYAKU_MODELS": str(tmp_path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    assert done.returncode == 3
    assert done.stderr.strip().endswith(b"[disk-full]")
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / WHISPER).exists()


def test_sound_device_that_is_missing_is_said(english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "pt", "--play", PULSE_SERVER="none", AUDIODEV="none")
    if done.returncode == 0:
        pytest.skip("this machine has a sound device")
    assert_one_sentence(done, "device-missing", 3)


def test_network_that_is_down_is_said_once(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
        environment = {"https_proxy": nowhere, "HTTPS_PROXY": nowhere, "TSUYAKU_MODELS": str(tmp_path)}
        done = run("models", "pull", "firefox-en-de", "firefox-de-en", **environment)
    assert done.returncode == 3
    assert done.stderr.strip().endswith(b"[model-unreachable]")
    assert done.stderr.count(b"[model-unreachable]") == 1
    assert b"Traceback" not in done.stderr


def test_two_pulls_at_once_both_succeed(tmp_path: Path) -> None:
    environment = os.environ | {"TSUYAKU_MODELS": str(tmp_path)}
    command = [TSUYAKU, "models", "pull", WHISPER]
    both = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate(timeout=300)[1] is not None and process.returncode for process in both] == [0, 0]
    assert run("models", "verify", WHISPER, TSUYAKU_MODELS=str(tmp_path)).stdout == b"whisper-base: verified\n"


@pytest.mark.parametrize("pace", [["--realtime"], []])
def test_interrupt_writes_what_was_said(pace: list[str], english: Recording, tmp_path: Path) -> None:
    speech = np.concatenate(list(MediaFile(english.path)))
    long = write_wav(tmp_path / "long.wav", np.concatenate([np.tile(speech, 20)]))
    written, spoken = tmp_path / "out.srt", tmp_path / "pt.wav"
    command = [TSUYAKU, "translate", str(long), "--from", "en", "--to", "pt", *pace, "--speak", str(spoken)]
    with subprocess.Popen([*command, "--format", "srt", "-o", str(written)], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not spoken.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(120) == 130
    assert said.strip().endswith("[interrupted]")
    assert "Traceback" not in said
    assert "-->" in written.read_text("utf-8")


def test_interrupt_ends_a_source_that_gives_nothing(english: Recording) -> None:
    command = [TSUYAKU, "translate", "-", "--from", "en", "--format", "jsonl"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(bytes(64_000))
        process.stdin.flush()
        time.sleep(5)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip().endswith(b"[interrupted]")


@pytest.mark.parametrize("place", ["/dev/null", "/proc/nothing"])
@pytest.mark.parametrize(
    "command", [("models", "pull", "whisper-base"), ("models", "remove", "whisper-base"), ("sample",)]
)
def test_cache_that_cannot_be_is_named(command: tuple[str, ...], place: str) -> None:
    done = run(*command, TSUYAKU_MODELS=place, XDG_CACHE_HOME=place)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(b"[cache-unwritable]")
    assert b"Traceback" not in done.stderr


def test_second_interrupt_ends_at_once_and_says_so(english: Recording, tmp_path: Path) -> None:
    long = write_wav(tmp_path / "long.wav", np.tile(np.concatenate(list(MediaFile(english.path))), 40))
    command = [TSUYAKU, "translate", str(long), "--from", "en", "--to", "pt", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        # What has said all and is only leaving dies of the signal, which a shell calls 130, too.
        assert process.wait(30) in (130, -signal.SIGINT)
        reader.join()
        said = process.stderr.read().splitlines()
    assert len(said) == 1, said
    assert said[0].startswith(b"tsuyaku: stopped;")
    assert said[0].endswith(b"[interrupted]")


@pytest.fixture
def slow_models(tmp_path: Path) -> Path:
    """A store in which the graphs of live recognition were not made yet: loading takes some seconds."""
    store = Store()
    store.ensure("silero-vad-v6")
    root = tmp_path / "models"
    (root / WHISPER).mkdir(parents=True)
    for name in store.installed():
        if name != WHISPER:
            (root / name).symlink_to(store.root / name)
    for file in store.catalog.entry(WHISPER).files:
        (root / WHISPER / file.name).symlink_to(store.root / WHISPER / file.name)
    return root


@pytest.mark.parametrize("times", [1, 2, 3])
def test_interrupt_while_engines_load_says_so_in_one_line(
    times: int, english: Recording, slow_models: Path, tmp_path: Path
) -> None:
    written = tmp_path / "out.srt"
    to_file = ["--realtime", "--format", "srt", "-o", written]
    command = [TSUYAKU, "translate", str(english.path), "--from", "en", "--to", "pt", *to_file]
    environment = os.environ | {"TSUYAKU_MODELS": str(slow_models)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        deadline = time.monotonic() + 60
        while not (slow_models / WHISPER / ".verified").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        begin = time.monotonic()
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        assert process.wait(30) == 130
        took = time.monotonic() - begin
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == b""
        said = process.stderr.read().splitlines()
    assert len(said) == 1, said
    assert said[0] == b"tsuyaku: stopped; what was under way is not finished. [interrupted]"
    assert "-->" not in written.read_text("utf-8")
    assert times == 1 or took < 2


def test_recording_is_not_overwritten_by_its_own_transcript(english: Recording, tmp_path: Path) -> None:
    copy = tmp_path / english.path.name
    shutil.copyfile(english.path, copy)
    assert_one_sentence(run("translate", copy, "--from", "en", "-o", copy), "output-is-input", 2)
    assert copy.read_bytes() == english.path.read_bytes()


def test_raw_sound_of_another_rate_is_interpreted(english: Recording) -> None:
    import soxr

    samples = soxr.resample(np.concatenate(list(MediaFile(english.path))), 16_000, 44_100)
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    done = run("translate", "-", "--rate", "44100", "--from", "en", "--format", "jsonl", stdin=pcm)
    assert wer(english.transcript, committed(events(done.stdout), "words", "en")) <= 0.1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "shift-jis"])
def test_pipe_is_utf8_whatever_the_locale_says(encoding: str, english: Recording) -> None:
    done = run("translate", english.path, "--from", "en", "--to", "pt", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "você" in done.stdout.decode("utf-8")


def test_reader_that_leaves_early_leaves_no_traceback(english: Recording) -> None:
    command = f"{TSUYAKU} translate {english.path} --from en --format jsonl | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=300, check=False)
    assert len(done.stdout) == 10
    assert done.stderr == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_stream_leaves_no_traceback(closed: str, english: Recording) -> None:
    command = f"{TSUYAKU} translate {english.path} --from en {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("columns", "lines"), [(20, 5), (200, 60)])
def test_live_view_fits_a_terminal_of_any_size(columns: int, lines: int, english: Recording) -> None:
    import fcntl
    import pty
    import struct
    import termios

    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = os.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    command = [TSUYAKU, "translate", str(english.path), "--from", "en", "--to", "pt"]
    process = subprocess.Popen(command, stdout=terminal, stderr=subprocess.PIPE, env=environment)
    os.close(terminal)
    shown = b""
    while True:
        try:
            data = os.read(main, 65_536)
        except OSError:
            break
        if not data:
            break
        shown += data
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    os.close(main)
    assert b"en" in shown
    assert b"\x1b[97m" not in shown
