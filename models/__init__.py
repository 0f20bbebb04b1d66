"""Engines behind four small protocols, the catalogue and store of their weights, and the scheduler that shares them.

Libraries beneath the engines report to their makers unless told otherwise before they are loaded: ONNX Runtime from
1.32 on (`ORT_DISABLE_TELEMETRY`), and what fetches from a model hub. Nothing is reported to anybody.
"""

import os

os.environ.update(ORT_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_TELEMETRY="1", DO_NOT_TRACK="1")
