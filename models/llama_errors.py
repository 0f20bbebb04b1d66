"""What can go wrong between us and a Llama server, and what is done about it: decided here and nowhere else.

Vendor messages may quote the request, so none is kept: an error names the server and its kind, never what was said.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass

from models.errors import UnavailableError

try:
    import anyio
    import httpx2
    import openai
except ImportError as missing:
    raise UnavailableError(
        "llama-extra", "The client of Llama is not installed: run `pip install 'tsuyaku[llama]'`."
    ) from missing


class Outcome(enum.Enum):
    """What follows for the session; the clause is answered by the embedded engine in every case."""

    RETRY = "retry"
    """nothing was received: once more while the deadline allows"""
    COUNT = "count"
    """the server is at fault: the circuit breaker counts it"""
    OPEN = "open"
    """no request will succeed until a person acts: the circuit breaker opens at once"""
    REQUEST = "request"
    """only this request is at fault: the next goes to the server as usual"""


@dataclass(frozen=True, slots=True)
class _Kind:
    outcome: Outcome
    sentence: str


KINDS = {
    "llama-unreachable": _Kind(
        Outcome.COUNT, "no server answers; start one with `tsuyaku llama serve`, or choose --translator firefox."
    ),
    "llama-dropped": _Kind(Outcome.COUNT, "the connection ended before the answer was complete."),
    "llama-slow": _Kind(Outcome.COUNT, "the answer did not come within its deadline."),
    "llama-full": _Kind(
        Outcome.REQUEST, "too many of our requests are under way; raise the limit or the number of GPUs."
    ),
    "llama-busy": _Kind(Outcome.COUNT, "the server refuses more work for now."),
    "llama-server": _Kind(Outcome.COUNT, "the server failed; its log says why."),
    "llama-key": _Kind(
        Outcome.OPEN, "the server refuses the API key; set TSUYAKU_LLAMA_KEY to the one that it was started with."
    ),
    "llama-model": _Kind(Outcome.OPEN, "the server has no such model; choose one of its own with --llama-model."),
    "llama-address": _Kind(Outcome.OPEN, "this is not the address of an OpenAI-compatible server (…/v1)."),
    "llama-request": _Kind(Outcome.REQUEST, "the server refuses this request."),
    "llama-malformed": _Kind(Outcome.COUNT, "the server sends what is not a completion."),
    "llama-rejected": _Kind(Outcome.REQUEST, "the answer was not a translation."),
}


class LlamaError(UnavailableError):
    """A request that Llama did not answer usefully; `outcome` says what follows."""

    def __init__(self, code: str, where: str, *, detail: str = "", outcome: Outcome | None = None) -> None:
        super().__init__(code, f"Llama at {where}: {KINDS[code].sentence}")
        self.outcome = outcome or KINDS[code].outcome
        self.detail = detail
        """for metrics and traces: an exception's name, a status, a guard; never text"""


class Malformed(Exception):
    """A chunk that is not a completion's."""


class Dropped(Exception):
    """The stream ended without its end."""


# The first row that fits rules, so subclasses come before their bases.
_RULES: tuple[tuple[type[BaseException], str], ...] = (
    (Malformed, "llama-malformed"),
    (Dropped, "llama-dropped"),
    (openai.APIStatusError, "llama-request"),
    (openai.APITimeoutError, "llama-slow"),
    (openai.APIConnectionError, "llama-dropped"),
    (openai.OpenAIError, "llama-malformed"),
    (httpx2.ConnectError, "llama-unreachable"),
    (httpx2.ConnectTimeout, "llama-unreachable"),
    (httpx2.ProxyError, "llama-unreachable"),
    (httpx2.PoolTimeout, "llama-full"),
    (httpx2.TimeoutException, "llama-slow"),
    (httpx2.UnsupportedProtocol, "llama-address"),
    (httpx2.InvalidURL, "llama-address"),
    (httpx2.TransportError, "llama-dropped"),
    (httpx2.TooManyRedirects, "llama-address"),
    (httpx2.HTTPError, "llama-malformed"),
    (httpx2.StreamError, "llama-dropped"),
    (anyio.EndOfStream, "llama-dropped"),  # as httpx2 lets through where TLS ends early
    (json.JSONDecodeError, "llama-malformed"),
    (UnicodeError, "llama-malformed"),
    (TimeoutError, "llama-slow"),
    (OSError, "llama-dropped"),
)

_STATUSES = {401: "llama-key", 403: "llama-key", 404: "llama-model", 429: "llama-busy", 503: "llama-busy"}

FAILURES: tuple[type[Exception], ...] = tuple(kind for kind, _ in _RULES)
"""every exception that a request may end with; any other is a defect of ours and is not caught"""


def as_llama_error(error: BaseException, where: str, *, started: bool) -> LlamaError:
    """The one error for a failure in `FAILURES`; `started` if any of the answer had arrived."""
    cause = error.__cause__
    if isinstance(error, openai.APIConnectionError) and isinstance(cause, FAILURES):
        return as_llama_error(cause, where, started=started)
    code, detail = code_of(error), type(error).__name__
    if isinstance(error, openai.APIStatusError):
        code, detail = _code_of_status(error.status_code), str(error.status_code)
    # RFC 9112 §9.3.1: a kept-alive connection may be closed at any time; nothing received means nothing was doubled.
    retry = code == "llama-dropped" and not started
    return LlamaError(code, where, detail=detail, outcome=Outcome.RETRY if retry else None)


def code_of(error: BaseException) -> str:
    return next(code for kind, code in _RULES if isinstance(error, kind))


def _code_of_status(status: int) -> str:
    return _STATUSES.get(status, "llama-server" if status >= 500 else "llama-request")
