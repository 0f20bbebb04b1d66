"""What the settings of a machine ask of its stages."""

from __future__ import annotations

from app.interpreter import interpreter
from app.presets import budgets
from app.settings import resolve
from pipeline.budget import GPU, Budgets


def test_gpu_is_given_less_time() -> None:
    assert budgets("cuda") == GPU
    assert budgets("cpu") == budgets("auto") == Budgets()
    assert GPU.recognise < Budgets().recognise


def test_rooms_are_held_to_the_budgets_of_their_device() -> None:
    assert interpreter(resolve({"device": "cuda"}).settings).budgets == GPU
