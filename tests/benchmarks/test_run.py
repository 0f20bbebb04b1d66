"""What a run refuses, keeps and hands out."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from app.cli.bench import _measured, _targets
from benchmarks import compare, omnisteval_export, report
from benchmarks.alignment import align
from benchmarks.manifest import Part, Recording, load
from benchmarks.metrics import Spoken
from benchmarks.process import measure
from benchmarks.run import Plan, read, run
from benchmarks.score import score
from benchmarks.systems import Options, System
from benchmarks.text import plain, tokens
from models.errors import InputError, UnavailableError
from tests.benchmarks.logs import end, log, target, words

from .test_formats import LOG, RECORDING, SPOKEN, made


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0}, {"seconds": -5}, {"id": "../up"}, {"id": "x" * 200}, {"transcript": "latin.txt"}]
)
def test_manifest_with_what_no_run_can_use_is_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("olá".encode("latin-1"))
    entry = {"id": "a", "file": "a.flac", "language": "en", "seconds": 1.5} | wrong
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    with pytest.raises(InputError) as raised:
        load(tmp_path)
    assert raised.value.code == "manifest-invalid"


def test_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b'[{"id": "\xff"}]')
    with pytest.raises(InputError) as raised:
        load(tmp_path)
    assert raised.value.code == "manifest-invalid"


def test_manifest_names_each_recording_once(tmp_path: Path) -> None:
    entry = {"id": "a", "file": "a.flac", "language": "en", "seconds": 1.5}
    (tmp_path / "manifest.json").write_text(json.dumps([entry, entry]))
    with pytest.raises(InputError, match="same id"):
        load(tmp_path)


def test_each_character_of_japanese_has_a_delay_marks_too() -> None:
    said = msgspec.structs.replace(target(1600, 0, "猫は寝る。", end=1000), language="ja")
    heard = log(words(1500, " The cat sleeps.", "", 0, 1000), said, end(1))
    line = omnisteval_export.hypothesis_line(heard, RECORDING, "ja")
    assert line["prediction"] == "猫は寝る。"
    assert len(line["delays"]) == len(line["elapsed"]) == 5


def test_mark_that_begins_a_line_belongs_to_the_word_before_it() -> None:
    lines = ("The cat", "— sleeps.")
    dashed = replace(RECORDING, transcript=lines)
    spoken = [SPOKEN[0], Spoken("cat —", 500, 1000), SPOKEN[2]]
    assert [(s.start_s, s.end_s) for s in omnisteval_export.segments(dashed, "pt", spoken)] == [(0, 1.0), (2.0, 3.0)]


def test_lines_of_a_joined_recording_are_counted_part_by_part() -> None:
    part = replace(RECORDING, transcript=("— The cat", "sleeps."))
    joined = replace(
        part,
        transcript=part.transcript * 2,
        translations={"pt": ("a", "b", "c", "d")},
        parts=(Part(part, 0), Part(part, 9)),
    )
    spoken = [Spoken(f"{n}", 1000 * n, 1000 * n + 500) for n in range(8)]
    starts = [segment.start_s for segment in omnisteval_export.segments(joined, "pt", spoken)]
    assert starts == [0, 3, 4, 7]


def test_translation_of_no_words_is_a_bad_one_and_no_reference_is_none(tmp_path: Path) -> None:
    silent = log(words(1500, " The cat sleeps.", "", 0, 3000), end(1))
    assert score(silent, RECORDING, "pt", SPOKEN, tmp_path)["chrf"] == 0
    assert "chrf" not in score(LOG, replace(RECORDING, translations={"pt": ()}), "pt", SPOKEN, tmp_path)


@pytest.mark.parametrize("text", ["there. — Good", "there.— Good", "هل؟", "क्या।"])
def test_stop_is_seen_before_a_dash_and_in_other_scripts(text: str) -> None:
    assert tokens(text, "en")[0].stops


def test_words_that_differ_in_a_vowel_sign_are_others() -> None:
    assert plain("की") != plain("का")
    assert plain("È") == plain("è")


def test_frontier_leaves_out_what_was_not_measured() -> None:
    pytest.importorskip("matplotlib")
    assert "0.00 s" not in report.frontier(made(wer=0.1, cpu=0.5))
    assert "0.90 s" in report.frontier(made(wer=0.1, cpu=0.5, commit_lag_median=0.9))


def test_reports_without_a_common_result_are_not_compared() -> None:
    (result,) = made(wer=0.1).results
    other = msgspec.structs.replace(made(), results=(msgspec.structs.replace(result, recording="dog"),))
    with pytest.raises(InputError, match="in common"):
        compare.table(made(wer=0.1), other)


def test_report_of_another_version_is_refused(tmp_path: Path) -> None:
    report.write(msgspec.structs.replace(made(wer=0.1), version=2), {}, tmp_path)
    with pytest.raises(InputError, match="another version"):
        read(tmp_path / "report.json")


def test_languages_are_translated_into_once() -> None:
    assert _targets(" pt, es,pt,") == ["pt", "es"]


def test_run_that_takes_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="took longer than 0 s"):
        measure([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log.jsonl", limit_s=0.2)


def test_folder_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    plan = Plan([RECORDING], [], [], Options(tmp_path), tmp_path / "file" / "out")
    with pytest.raises(InputError) as raised:
        next(run(plan, print))
    assert raised.value.code == "output-unwritable"


def test_recording_that_is_missing_is_said_before_it_is_aligned(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        align(replace(RECORDING, path=tmp_path / "none.flac"), tmp_path)
    assert raised.value.code == "file-missing"


def test_what_was_measured_is_reported_also_where_a_later_run_fails(tmp_path: Path) -> None:
    events = b"\n".join(msgspec.json.encode(event) for event in LOG.events).decode()

    def command(recording: Recording, target: str, options: Options) -> list[str]:
        return [sys.executable, "-c", f"print({events!r}); raise SystemExit({recording.id != 'good'})"]

    recordings = [Recording(name, tmp_path / "none", "en", 4.0) for name in ("good", "bad", "never")]
    plan = Plan(recordings, [System("script", command)], [], Options(tmp_path), tmp_path / "out")
    with pytest.raises(UnavailableError, match="ended with 1"):
        _measured(plan, lambda report: {})
    assert [result.recording for result in read(tmp_path / "out" / "report.json").results] == ["good"]
