"""The files in deploy/ say what the code chooses, and keep vLLM where only the gateway reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.llama.gpus import described
from app.llama.plan import Wish, plan
from app.settings import resolve

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def one(kind: str, name: str) -> dict[str, Any]:
    (found,) = [entry for entry in KUBERNETES if (entry["kind"], entry["metadata"]["name"]) == (kind, name)]
    return found


def container(name: str) -> dict[str, Any]:
    return one("Deployment", name)["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    "flags", [COMPOSE["vllm"]["command"], container("vllm")["args"]], ids=["compose", "kubernetes"]
)
def test_flags_are_those_that_are_planned_for_an_h200(flags: list[str]) -> None:
    planned = plan(Wish(host="0.0.0.0", draft="none"), described("h200")).flags
    expected = [f"{flag.name}={flag.value}" if flag.value else flag.name for flag in planned]
    assert flags == ["--model=/model" if flag.startswith("--model=") else flag for flag in expected]


def environment(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


@pytest.mark.parametrize(
    "variables",
    [COMPOSE["gateway"]["environment"], environment(container("gateway")["env"])],
    ids=["compose", "kubernetes"],
)
def test_gateway_is_set_to_that_server(variables: dict[str, Any]) -> None:
    given = {name: value if isinstance(value, str) else "key" for name, value in variables.items()}
    settings = resolve({}, given).settings
    assert (settings.translator, settings.llama_url, settings.llama_model) == (
        "llama",
        "http://vllm:8000/v1",
        "llama-4",
    )
    assert settings.llama_priority
    assert settings.llama_key


def test_only_the_gateway_reaches_vllm() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert compose["networks"][COMPOSE["vllm"]["networks"][0]]["internal"]
    assert "ports" not in COMPOSE["vllm"]
    assert COMPOSE["gateway"]["ports"] == ["127.0.0.1:8080:8080"]
    policy = one("NetworkPolicy", "vllm")["spec"]
    assert policy["podSelector"]["matchLabels"] == one("Deployment", "vllm")["spec"]["selector"]["matchLabels"]
    (rule,) = policy["ingress"]
    labels = one("Deployment", "gateway")["spec"]["template"]["metadata"]["labels"]
    assert rule["from"] == [{"podSelector": {"matchLabels": labels}}]
    assert policy["egress"] == []
    assert one("Service", "vllm")["spec"].get("type", "ClusterIP") == "ClusterIP"


def test_key_is_never_written_down() -> None:
    assert COMPOSE["vllm"]["environment"]["VLLM_API_KEY"].startswith("${TSUYAKU_LLAMA_KEY:?")
    for name, variable in (("gateway", "TSUYAKU_LLAMA_KEY"), ("vllm", "VLLM_API_KEY")):
        assert "secretKeyRef" in environment(container(name)["env"])[variable]


def test_services_find_their_pods_and_probes_their_ports() -> None:
    for name in ("gateway", "vllm"):
        labels = one("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        service = one("Service", name)["spec"]
        ports = {port["name"] for port in container(name)["ports"]}
        assert service["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["ports"]} <= ports
        for probe in ("readinessProbe", "livenessProbe"):
            assert container(name)[probe]["httpGet"]["port"] in ports
