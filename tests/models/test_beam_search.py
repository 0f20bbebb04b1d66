"""Beam search over a decoder that is a table of probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from models.beam_search import Scores, Text, search

END = 0
A, B, C = 1, 2, 3
NEVER = 1e-9

Table = Mapping[tuple[int, ...], Mapping[int, float]]


class Decoder:
    """`table` holds what follows each text; whatever it does not name ends."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._texts: list[tuple[int, ...]] = [()]
        self.followed: list[int] = []
        """texts that were given a token, step by step"""

    def rows(self) -> Scores:
        rows = np.full((len(self._texts), 4), NEVER, np.float32)
        for row, text in zip(rows, self._texts, strict=True):
            for token, probability in self._table.get(text, {END: 1.0}).items():
                row[token] = probability
        return np.log(rows)

    def go_on(self, parents: Sequence[int], tokens: Sequence[int]) -> Scores:
        self._texts = [(*self._texts[parent], token) for parent, token in zip(parents, tokens, strict=True)]
        self.followed.append(len(tokens))
        return self.rows()

    def search(self, width: int, *, longest: int = 10, useless: tuple[int, ...] | None = None) -> Text:
        def until(tokens: Sequence[int]) -> bool:
            return tuple(tokens) == useless

        return search(self.rows(), self.go_on, end=END, width=width, longest=longest, until=until)


DOUBTFUL: Table = {(): {A: 0.6, B: 0.4}, (A,): {A: 0.4, B: 0.3, END: 0.3}, (B,): {C: 0.99, END: 0.01}}


def test_text_that_is_likelier_as_a_whole_is_found_where_more_than_one_is_followed() -> None:
    assert Decoder(DOUBTFUL).search(1).tokens == [A, A]
    found = Decoder(DOUBTFUL).search(2)
    assert found.tokens == [B, C]
    assert found.mean == pytest.approx((np.log(0.4) + np.log(0.99)) / 3, abs=1e-5)


def test_one_text_is_followed_where_the_decoder_is_sure() -> None:
    sure = Decoder({(): {A: 0.97, B: 0.01}, (A,): {B: 0.98, C: 0.01}, (A, B): {C: 0.99}})
    assert sure.search(5).tokens == [A, B, C]
    assert sure.followed == [1, 1, 1]


def test_no_text_wins_by_ending_before_its_own_likeliest_word() -> None:
    assert Decoder({(): {A: 0.9, B: 0.1}, (A,): {B: 0.35, C: 0.31, END: 0.34}}).search(3).tokens == [A, B]


def test_text_that_is_useless_to_go_on_with_gives_way_to_another() -> None:
    assert Decoder(DOUBTFUL).search(2, useless=(B,)).tokens == [A, A]
    alone = Decoder({(): {A: 1.0}, (A,): {A: 1.0}})
    assert alone.search(5, useless=(A, A)).tokens == [A, A]


def test_text_is_no_longer_than_allowed() -> None:
    endless = Decoder({(A,) * count: {A: 1.0} for count in range(20)})
    assert endless.search(5, longest=7).tokens == [A] * 7
