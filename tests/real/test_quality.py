"""Quality of the whole, as `tsuyaku bench` measures it: no change may cost more than issue and design allow."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.run import Report
from tests.conftest import Recording
from tests.real.command import run

pytestmark = pytest.mark.real

MORE_ERRORS = 0.01
LESS_CHRF = 2.0


def test_incremental_recognition_and_translation_cost_little_quality(
    recordings: dict[str, Recording], tmp_path: Path
) -> None:
    """As fast as the machine can; against faster-whisper with five beams and the same translator on its transcript."""
    if "en_printing" not in recordings:
        pytest.skip("there is no recording en_printing here")
    systems = "tsuyaku-offline,offline"
    done = run("bench", "run", "en_printing", "--to", "pt", "--system", systems, "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report)
    ours, offline = (result.figures for result in report.results)
    assert ours["wer"] <= offline["wer"] + MORE_ERRORS
    assert ours["chrf"] >= offline["chrf"] - LESS_CHRF
    assert [problem for result in report.results for problem in result.problems] == []
