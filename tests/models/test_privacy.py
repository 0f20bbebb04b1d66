"""Libraries that report to their makers are told not to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DETECT_SPEECH = """
import faster_whisper, numpy, pathlib
from models.silero import SileroDetector
path = pathlib.Path(faster_whisper.__file__).parent / "assets" / "silero_vad_v6.onnx"
detector = SileroDetector(path)
detector.stream().process(numpy.zeros(detector.frame_samples, numpy.float32))
"""


def test_engine_leaves_no_report_to_be_sent(tmp_path: Path) -> None:
    kept = {key: value for key, value in os.environ.items() if "TELEMETRY" not in key and key != "DO_NOT_TRACK"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", DETECT_SPEECH], check=True, env=kept | home, timeout=120)
    assert not [path for path in tmp_path.rglob("*") if "microsoft" in str(path.relative_to(tmp_path)).casefold()]
