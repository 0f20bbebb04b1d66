"""Manifests, exports, reports, comparisons and peers' messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import compare, omnisteval_export, report
from benchmarks.alignment import interpolate, windows, within_speech
from benchmarks.extra import require
from benchmarks.manifest import Recording, load
from benchmarks.metrics import Spoken
from benchmarks.peers.offline import split
from benchmarks.peers.whisperlivekit import Progress
from benchmarks.run import Report, medians, read
from benchmarks.score import Result, score
from models.errors import InputError, UnavailableError
from tests.benchmarks.logs import end, log, target, words

RECORDING = Recording("cat", Path("cat.flac"), "en", 4.0, ("The cat", "sleeps."), {"pt": ("O gato", "dorme.")})
SPOKEN = [Spoken("The", 0, 400), Spoken("cat", 500, 1000), Spoken("sleeps.", 2000, 3000)]
LOG = log(
    words(1500, " The cat", " sleep", 0, 1000),
    target(1600, 0, " O gato", " dor", end=1000),
    words(3400, " sleeps.", "", 1000, 3000),
    target(3500, 0, " dorme.", final=True, end=3000),
    end(1),
)


def made(**figures: float) -> Report:
    result = Result(system="tsuyaku", recording="cat", language="en", target="pt", seconds=4, figures=figures)
    return Report(command="tsuyaku bench", machine="m", cores=2, when="now", results=(result,))


def test_manifest_reads_texts_line_by_line_and_refuses_unknown_ids(tmp_path: Path) -> None:
    entry = {"id": "a", "file": "a.flac", "language": "en", "seconds": 1.5, "transcript": "a.txt", "kind": "speech"}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    assert load(tmp_path)[0].transcript == ("one", "two")
    with pytest.raises(InputError, match="'b' is not in"):
        load(tmp_path, ["b"])


def test_omnisteval_line_has_a_delay_for_each_word() -> None:
    line = omnisteval_export.hypothesis_line(LOG, RECORDING, "pt")
    assert line["prediction"] == "O gato dorme."
    assert line["delays"] == [1000, 1000, 3000]
    assert line["elapsed"] == [1600, 1600, 3500]


def test_segments_take_their_times_from_the_transcripts_lines() -> None:
    timed = omnisteval_export.segments(RECORDING, "pt", SPOKEN)
    assert [(s.text, s.start_s, s.end_s) for s in timed] == [("O gato", 0, 1.0), ("dorme.", 2.0, 3.0)]


def test_simulstream_log_takes_back_exactly_what_was_shown() -> None:
    lines = omnisteval_export.simulstream_lines(LOG, RECORDING, "pt")
    assert [(line["generated_tokens"], line["deleted_tokens"]) for line in lines[1:]] == [
        (["O", "gato", "dor"], []),
        (["dorme."], ["dor"]),
    ]


def test_omnisteval_scores_an_export(tmp_path: Path) -> None:
    pytest.importorskip("omnisteval")
    figures = score(LOG, RECORDING, "pt", SPOKEN, tmp_path)
    assert figures["wer"] == 0
    assert figures["chrf"] == pytest.approx(100)
    # Segment 1: "O gato" at 1.6 s, ideally at 0 and 0.5 s. Segment 2 comes after the recording's end: not counted.
    assert figures["longyaal_ca"] == pytest.approx(1.35)
    assert figures["longyaal_cu"] < figures["longyaal_ca"]
    assert {"streamlaal_ca", "streamlaal_cu"} <= figures.keys()


def test_offline_systems_have_no_lags(tmp_path: Path) -> None:
    pytest.importorskip("omnisteval")
    figures = score(LOG, RECORDING, "pt", SPOKEN, tmp_path, timed=False)
    assert "chrf" in figures
    assert not [name for name in figures if "lag" in name or "yaal" in name or "erasure" in name]


def test_comparison_knows_which_direction_is_better() -> None:
    found = compare.differences(made(wer=0.10, chrf=50, cpu=1.0), made(wer=0.05, chrf=40, cpu=1.01))
    assert {d.name: d.verdict for d in found} == {"wer": "better", "chrf": "worse", "cpu": "same"}


def test_report_is_written_and_read_back(tmp_path: Path) -> None:
    before = made(wer=0.1)
    report.write(before, {"<cat>": "<?xml?><svg></svg>"}, tmp_path)
    assert read(tmp_path / "report.json") == before
    page = (tmp_path / "report.html").read_text()
    assert "10.0 %" in page
    assert "&lt;cat&gt;" in page
    assert "http" not in page


def test_table_shows_what_any_result_has() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(report.table(made(wer=0.1, memory=700.4)))
    assert "10.0 %" in capture.get()
    assert "700 MB" in capture.get()


def test_timeline_is_svg_with_text_that_looks_like_mathematics() -> None:
    pytest.importorskip("matplotlib")
    spoken = [Spoken("$1", 0, 400), *SPOKEN]
    assert "<svg" in report.timeline(LOG, spoken, "en", "pt")


def test_frontier_names_each_system_with_its_figures() -> None:
    pytest.importorskip("matplotlib")
    drawn = report.frontier(made(wer=0.1, commit_lag_median=1.25, cpu=0.5))
    assert "<svg" in drawn
    assert "tsuyaku" in drawn


def test_median_is_taken_of_the_runs_that_have_a_figure() -> None:
    assert medians([{"a": 1, "b": 5}, {"a": 3}, {"a": 2}]) == {"a": 2, "b": 5}


def test_missing_extra_names_its_command() -> None:
    with pytest.raises(UnavailableError, match=r"pip install 'tsuyaku\[bench\]'"):
        require("no_such_module_at_all")


def test_unheard_words_share_the_time_between_heard_ones() -> None:
    times = interpolate({1: (1.0, 2.0), 4: (4.0, 5.0)}, 5, 6.0)
    assert times == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (4.0, 5.0)]


def test_words_are_cut_back_to_the_longest_speech_in_them() -> None:
    speech = [(0.0, 700.0), (1500.0, 3000.0)]
    words_ = [Spoken("long", 200, 1600), Spoken("late", 1400, 2000), Spoken("lost", 800, 1000)]
    assert [(w.start_ms, w.end_ms) for w in within_speech(words_, speech)] == [(200, 700), (1500, 2000), (800, 1000)]


def test_windows_cover_all_words_and_cut_at_the_longest_pause() -> None:
    rough = [(float(at), at + 0.9) for at in range(60)]
    rough[18:] = [(start + 0.5, stop + 0.5) for start, stop in rough[18:]]
    found = windows(rough, 61.0)
    assert found[0].last == 18
    assert [w.first for w in found[1:]] == [w.last for w in found[:-1]]
    assert found[-1].last == 60
    assert all(w.end_s - w.start_s <= 25.0 for w in found)


def test_whisperlivekit_messages_become_additions() -> None:
    progress = Progress()
    assert progress.take({"lines": [{"text": "one two"}], "buffer_transcription": "three"}) == (" one two", " three")
    assert progress.take({"lines": [{"text": "one too three"}, {"text": None}]}) == (" three", "")
    assert progress.rewritten == 1


def test_offline_cascade_translates_whole_sentences() -> None:
    assert split(" Mr. Smith came. He left! And", "en") == ["Mr. Smith came.", "He left!", "And"]
