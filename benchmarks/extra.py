"""The libraries of the `bench` extra and of others, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from models.errors import UnavailableError


def require(module: str, extra: str = "bench") -> Any:
    """The module, or `UnavailableError` with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnavailableError(
            "extra-missing", f"The benchmark needs {module.split('.')[0]}: make dev, or pip install 'tsuyaku[{extra}]'"
        ) from error
