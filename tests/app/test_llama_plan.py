"""Which flags for which GPUs, and what is refused before anything is started."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.llama import gpus as devices
from app.llama.checkpoints import MAVERICK, SCOUT, find
from app.llama.gpus import described
from app.llama.plan import Plan, Wish, describe, plan, plan_on_cpu
from models.errors import InputError, TsuyakuError, UnavailableError


def value(made: Plan, name: str) -> str:
    return next(flag.value for flag in made.flags if flag.name == name)


def names(made: Plan) -> set[str]:
    return {flag.name for flag in made.flags}


def test_sizes_are_those_that_the_models_are_published_with() -> None:
    """109 and 400 billion parameters, pictures included, which are 1 billion at most."""
    assert 107e9 <= SCOUT.body + SCOUT.ends <= 109e9
    assert 399e9 <= MAVERICK.body + MAVERICK.ends <= 402e9
    assert SCOUT.cache_bytes(8) == 96 * 1024


@pytest.mark.parametrize(
    ("gpus", "model", "parallel"),
    [
        ("h200", "scout-fp8", "1"),
        ("h100", "scout-w4a16", "1"),
        ("2xh100", "scout-fp8", "2"),
        ("3xh100", "scout-fp8", "2"),
        ("2xa100", "scout-w4a16", "2"),
        ("8xh200", "scout-fp8", "8"),
    ],
)
def test_best_scout_that_fits_is_served_on_all_gpus_that_divide_it(gpus: str, model: str, parallel: str) -> None:
    made = plan(Wish(), described(gpus))
    assert made.checkpoint.name == model
    assert value(made, "--tensor-parallel-size") == parallel
    assert made.memory is not None
    assert made.memory.fits


def test_every_flag_has_a_reason_and_the_first_token_comes_first() -> None:
    made = plan(Wish(), described("h200"))
    assert all(flag.reason for flag in (*made.flags, *made.environment))
    assert value(made, "--scheduling-policy") == "priority"
    assert value(made, "--kv-cache-dtype") == "fp8"
    assert {"--enable-prefix-caching", "--enable-chunked-prefill", "--enable-prompt-tokens-details"} <= names(made)
    assert json.loads(value(made, "--speculative-config"))["method"] == "eagle"
    assert int(value(made, "--max-model-len")) <= 8192


def test_attention_in_chunks_is_turned_off_where_all_that_is_seen_lies_in_one(tmp_path: Path) -> None:
    whole = {"attention_chunk_size": None}
    assert json.loads(value(plan(Wish(), described("h200")), "--hf-overrides")) == {"text_config": whole}
    assert "--hf-overrides" not in names(plan(Wish(context=16384), described("h200")))
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG["text_config"], "attention_chunk_size": 4096}))
    plain = plan(Wish(model=str(tmp_path), dummy=True), described("2xh200"))
    assert json.loads(value(plain, "--hf-overrides")) == whole
    longer = plan(Wish(model=str(tmp_path), dummy=True, context=8192), described("2xh200"))
    assert "--hf-overrides" not in names(longer)


def test_cache_is_not_fp8_where_the_gpu_does_not_compute_in_it() -> None:
    assert "--kv-cache-dtype" not in names(plan(Wish(), described("2xa100")))


def test_maverick_is_served_where_it_is_asked_for_and_fits() -> None:
    made = plan(Wish(model="maverick-fp8"), described("8xh100"))
    assert json.loads(value(made, "--speculative-config"))["method"] == "eagle3"
    with pytest.raises(UnavailableError) as caught:
        plan(Wish(model="maverick-fp8"), described("2xh200"))
    assert caught.value.code == "llama-memory"


@pytest.mark.parametrize("draft", ["none", "/models/head"])
def test_draft_is_what_a_person_chose(draft: str) -> None:
    made = plan(Wish(draft=draft), described("h200"))
    if draft == "none":
        assert "--speculative-config" not in names(made)
    else:
        assert json.loads(value(made, "--speculative-config"))["model"] == draft


@pytest.mark.parametrize(
    ("gpus", "code"), [("h100", "llama-memory"), ("", "gpu-missing"), ("h300", "gpu-unknown"), ("xh100", "gpu-unknown")]
)
def test_what_cannot_be_served_is_said_before_anything_starts(gpus: str, code: str) -> None:
    with pytest.raises(TsuyakuError) as caught:
        plan(Wish(model="scout-fp8"), described(gpus) if gpus else [])
    assert caught.value.code == code


def test_memory_that_others_use_is_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With an nvidia-smi that says what a person's would."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771, 60000, 9.0'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (found,) = devices.present()
    assert (found.name, found.capability) == ("NVIDIA H200", 9.0)
    with pytest.raises(UnavailableError, match="59 GiB free"):
        plan(Wish(model="scout-fp8"), [found])


def test_driver_that_answers_nonsense_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Failed to initialize NVML'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError) as caught:
        devices.present()
    assert caught.value.code == "gpu-unreadable"


CONFIG = {
    "text_config": {
        "num_hidden_layers": 48,
        "hidden_size": 5120,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16384,
        "num_local_experts": 16,
        "interleave_moe_layer_step": 1,
        "vocab_size": 202_048,
    },
    "quantization_config": {"config_groups": {"group_0": {"weights": {"num_bits": 8}}}},
}


def folder(path: Path, *, weights: int = 0) -> Path:
    (path / "config.json").write_text(json.dumps(CONFIG))
    if weights:
        with (path / "model-00001.safetensors").open("wb") as file:
            file.truncate(weights)  # sparse: a size without bytes
    return path


def test_folder_of_weights_is_measured_and_needs_no_network(tmp_path: Path) -> None:
    made = plan(Wish(model=str(folder(tmp_path, weights=50 * 2**30))), described("h100"))
    assert made.checkpoint.measured
    assert made.memory is not None
    assert made.memory.weights == 50 * 2**30
    assert "HF_HUB_OFFLINE" in {variable.name for variable in made.environment}
    assert "--speculative-config" not in names(made)


def test_context_is_no_longer_than_the_model_sees(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG["text_config"], "max_position_embeddings": 2048}))
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert value(plan_on_cpu(Wish(model=str(tmp_path))), "--max-model-len") == "2048"


def test_folder_without_weights_is_served_only_as_a_dummy_of_its_size(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="--dummy"):
        find(str(folder(tmp_path)))
    made = plan(Wish(model=str(tmp_path), dummy=True), described("h200"))
    assert value(made, "--load-format") == "dummy"
    assert made.checkpoint.shape == SCOUT
    assert made.checkpoint.weight_bytes == SCOUT.weight_bytes(8)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"text_config": {"hidden_size": "wide"}}'])
def test_folder_without_a_llama_in_it_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UnavailableError) as caught:
        find(str(tmp_path))
    assert caught.value.code == "weights-missing"


def test_unknown_model_is_refused() -> None:
    with pytest.raises(InputError, match="scout-fp8"):
        find("llama-5")


def test_printed_command_is_the_one_that_is_run() -> None:
    done = CliRunner().invoke(app, ["llama", "serve", "--dry-run", "--gpus", "h200"])
    assert done.exit_code == 0
    made = plan(Wish(), described("h200"))
    assert done.output.startswith("\n".join(describe(made)))
    command = "".join(line for line in done.output.splitlines(keepends=True) if not line.startswith("#"))
    words = shlex.split(command.replace("\\\n", ""))
    assert words[words.index("python") + 1 :] == made.arguments()
    assert words[0] == "VLLM_NO_USAGE_STATS=1"
    assert subprocess.run(["bash", "-n"], input=done.output.encode(), check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--gpus", "h200"], "gpu-unknown"),
        (["--cpu", "--model", "nowhere"], "unknown-model"),
    ],
)
def test_wrong_choice_is_refused(arguments: list[str], code: str) -> None:
    done = CliRunner().invoke(app, ["llama", "serve", *arguments])
    assert isinstance(done.exception, InputError)
    assert done.exception.code == code


def test_open_address_without_a_key_is_refused(tmp_path: Path) -> None:
    model = str(folder(tmp_path, weights=1))
    done = CliRunner().invoke(app, ["llama", "serve", "--cpu", "--model", model, "--host", "0.0.0.0"])
    assert isinstance(done.exception, InputError)
    assert done.exception.code == "llama-open"


def test_missing_vllm_is_said_with_the_command_that_installs_it(tmp_path: Path) -> None:
    model = str(folder(tmp_path, weights=1))
    done = CliRunner().invoke(app, ["llama", "serve", "--cpu", "--model", model, "--vllm-env", str(tmp_path)])
    assert isinstance(done.exception, UnavailableError)
    assert (done.exception.code, "uv pip install" in done.exception.message) == ("vllm-missing", True)


def test_plan_for_the_cpu_keeps_to_one_process(tmp_path: Path) -> None:
    made = plan_on_cpu(Wish(model=str(folder(tmp_path, weights=1))))
    assert value(made, "--distributed-executor-backend") == "uni"
    assert {"VLLM_ENABLE_V1_MULTIPROCESSING", "OMP_NUM_THREADS"} <= {v.name for v in made.environment}
