"""Every exception of the client and of its transport becomes one error with one outcome."""

from __future__ import annotations

import inspect

import httpx2
import openai
import pytest

from models.errors import UnavailableError
from models.llama_errors import FAILURES, KINDS, LlamaError, Outcome, as_llama_error, code_of

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
UNUSED = {httpx2.CookieConflict, openai.InvalidWebhookSignatureError}  # of parts that this client never calls


def exceptions(module: object) -> list[type[Exception]]:
    found = [value for _, value in inspect.getmembers(module, inspect.isclass) if issubclass(value, Exception)]
    return [kind for kind in found if not issubclass(kind, Warning) and kind not in UNUSED]


@pytest.mark.parametrize("kind", [*exceptions(openai), *exceptions(httpx2)])
def test_every_exception_of_the_libraries_is_mapped(kind: type[Exception]) -> None:
    assert issubclass(kind, FAILURES)
    assert code_of(kind.__new__(kind)) in KINDS


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (302, "llama-request", Outcome.REQUEST),
        (400, "llama-request", Outcome.REQUEST),
        (401, "llama-key", Outcome.OPEN),
        (403, "llama-key", Outcome.OPEN),
        (404, "llama-model", Outcome.OPEN),
        (413, "llama-request", Outcome.REQUEST),
        (422, "llama-request", Outcome.REQUEST),
        (429, "llama-busy", Outcome.COUNT),
        (500, "llama-server", Outcome.COUNT),
        (502, "llama-server", Outcome.COUNT),
        (503, "llama-busy", Outcome.COUNT),
    ],
)
def test_status_has_one_code_and_one_outcome(status: int, code: str, outcome: Outcome) -> None:
    error = openai.APIStatusError(
        "secret words", response=httpx2.Response(status, request=REQUEST, text="secret words"), body="secret words"
    )
    mapped = as_llama_error(error, "here", started=False)
    assert (mapped.code, mapped.outcome, mapped.detail) == (code, outcome, str(status))
    assert "secret" not in mapped.message


def test_dropped_connection_is_tried_again_only_while_nothing_was_received() -> None:
    error = httpx2.RemoteProtocolError("peer closed connection")
    assert as_llama_error(error, "here", started=False).outcome is Outcome.RETRY
    assert as_llama_error(error, "here", started=True).outcome is Outcome.COUNT


def test_cause_of_a_connection_error_is_what_is_told() -> None:
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = httpx2.ConnectError("refused")
    assert as_llama_error(error, "here", started=False).code == "llama-unreachable"


def test_defect_of_ours_is_not_taken_for_a_failure_of_the_server() -> None:
    assert not isinstance(KeyError(), FAILURES)
    assert not isinstance(ValueError(), FAILURES)


def test_error_names_the_server_and_what_to_do() -> None:
    error = LlamaError("llama-unreachable", "http://10.0.0.1/v1")
    assert isinstance(error, UnavailableError)
    assert "http://10.0.0.1/v1" in error.message
    assert "tsuyaku llama serve" in error.message
