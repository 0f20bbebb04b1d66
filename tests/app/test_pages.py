"""The pages' files: what they load at once is what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.pages import WEB

PAGES = {"index": "start", "listen": "listen", "speak": "speak", "talk": "talk", "overlay": "overlay"}
IMPORT = re.compile(r'^(?:import|export) .*?from "([^"]+)";', re.MULTILINE)


def modules(module: Path, found: set[Path]) -> set[Path]:
    """A module and all that it imports before it can run."""
    if module not in found:
        found.add(module)
        for name in IMPORT.findall(module.read_text("utf-8")):
            modules((module.parent / name).resolve(), found)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_page_asks_for_all_its_modules_at_once(page: str) -> None:
    """On bad mobile data, one module that names the next costs a round trip each."""
    html = (WEB / f"{page}.html").read_text("utf-8")
    begin = (WEB / "js" / "pages" / f"{PAGES[page]}.js").resolve()
    needed = {path.relative_to(WEB).as_posix() for path in modules(begin, set()) - {begin}}
    assert set(re.findall(r'rel="modulepreload" href="([^"]+)"', html)) == needed


@pytest.mark.parametrize("page", PAGES)
def test_page_names_only_files_that_are_there(page: str) -> None:
    html = (WEB / f"{page}.html").read_text("utf-8")
    named = re.findall(r'(?:href|src)="([^"#:]+)"', html)
    assert len(named) > 10
    assert [name for name in named if not (WEB / name).is_file()] == []


def test_every_style_sheet_is_used() -> None:
    used = {name for page in PAGES for name in re.findall(r"css/\w+\.css", (WEB / f"{page}.html").read_text("utf-8"))}
    assert used == {path.relative_to(WEB).as_posix() for path in (WEB / "css").iterdir()}


def test_dictionaries_have_the_same_words_and_places() -> None:
    entry = re.compile(r'^  "([\w.-]+)": "(.*)",$', re.MULTILINE)
    folder = WEB / "js" / "i18n"
    places = {
        language: {
            key: sorted(re.findall(r"\{\w+\}", text))
            for key, text in entry.findall((folder / f"{language}.js").read_text("utf-8"))
        }
        for language in ("en", "pt", "ja")
    }
    assert len(places["en"]) > 100
    assert places["pt"] == places["en"]
    assert places["ja"] == places["en"]


def test_every_word_of_the_interface_is_used() -> None:
    keys = re.findall(r'^  "([\w.-]+)":', (WEB / "js" / "i18n" / "en.js").read_text("utf-8"), re.MULTILINE)
    code = "".join(
        path.read_text("utf-8") for path in (WEB / "js").rglob("*.js") if path.name not in ("en.js", "pt.js", "ja.js")
    )
    made = ("stage.", "room.ended.", "error.")  # put together from a code
    assert [key for key in keys if f'"{key}"' not in code and not key.startswith(made)] == []
