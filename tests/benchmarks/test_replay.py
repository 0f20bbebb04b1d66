"""The virtual clock, and which settings may be changed on it."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.presets import PRESETS
from benchmarks.replay import changed, run_virtual
from models.errors import InputError


async def hour() -> tuple[float, list[int]]:
    order: list[int] = []

    async def after(seconds: int) -> None:
        await asyncio.sleep(seconds)
        order.append(seconds)

    begin = asyncio.get_running_loop().time()
    await asyncio.gather(after(3600), after(10), after(60))
    return asyncio.get_running_loop().time() - begin, order


def test_an_hour_passes_at_once_and_in_order() -> None:
    begin = time.monotonic()
    assert run_virtual(hour()) == (3600, [10, 60, 3600])
    assert time.monotonic() - begin < 60


async def works() -> float:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    time.sleep(0.02)  # noqa: ASYNC251 - work, which the virtual clock must not count
    return loop.time() - begin


def test_work_takes_no_virtual_time() -> None:
    assert run_virtual(works()) == 0.0


async def waits_for_nothing() -> None:
    await asyncio.get_running_loop().create_future()


def test_what_would_wait_for_ever_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="everything waits"):
        run_virtual(waits_for_nothing())


def test_settings_are_changed_by_name() -> None:
    preset = changed(PRESETS["balanced"], ["longest_s=9", "prompt_tokens=30"])
    assert (preset.recognise.longest_s, preset.recognise.prompt_tokens) == (9.0, 30)


@pytest.mark.parametrize("setting", ["length=9", "longest_s", "longest_s=long", ""])
def test_setting_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(InputError) as caught:
        changed(PRESETS["balanced"], [setting])
    assert caught.value.code == "unknown-setting"
