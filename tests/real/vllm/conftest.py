"""One real vLLM server for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import VllmServer, environment, free_port


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    if not (environment() / "tiny").exists():
        pytest.fail("there is no vLLM here: run `make test-vllm`, which installs one")
    server = VllmServer(free_port(), tmp_path_factory.mktemp("vllm") / "vllm.log")
    server.start()
    try:
        server.wait_until_healthy()
        yield server
    finally:
        server.stop()
