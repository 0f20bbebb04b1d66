"""A preset that is none is refused before anything is measured."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.cli.bench import app
from models.errors import InputError


@pytest.mark.parametrize("command", ["run", "replay", "speakers", "route"])
def test_unknown_preset_is_refused(command: str) -> None:
    refused = CliRunner().invoke(app, [command, "--preset", "nonsense"]).exception
    assert isinstance(refused, InputError)
    assert refused.code == "config-invalid"
