"""`tsuyaku bench translator` with the embedded engine: the baseline that every other translator is compared with."""

from __future__ import annotations

import json

import pytest

from tests.real.command import assert_one_sentence, run

pytestmark = pytest.mark.real


def test_embedded_engine_keeps_terms_and_answers_nothing() -> None:
    done = run("bench", "translator", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    print({manner: figures["chrf"] for manner, figures in report["figures"].items()})
    assert report["engine"] == "firefox"
    for figures in report["figures"].values():
        hits, of = figures["glossary"]["right"], figures["glossary"]["of"]
        assert of >= 20
        assert hits >= 0.95 * of
        assert figures["kept"]["right"] == figures["kept"]["of"] >= 10
        assert {"question", "order", "instruction", "statement", "term"} == set(figures["translated"])
    wrong = [result for result in report["results"] if result["outcome"] != "translated"]
    assert len(wrong) <= 0.05 * len(report["results"]), wrong


def test_server_that_does_not_answer_is_named() -> None:
    done = run("bench", "translator", "--translator", "llama", "--llama-url", "http://127.0.0.1:9/v1")
    assert_one_sentence(done, "llama-unreachable", 3)
