"""Beam search, as narrow as the decoder is sure.

A hypothesis is followed while it is among the `width` best of its length and not much less probable than the best one
(threshold pruning: Lowerre 1976; Freitag and Al-Onaizan 2017), so that where the decoder has no doubt the search costs
as much as greedy decoding. It ends where its own most probable continuation is the end: no hypothesis wins by saying
less. Of those that ended the one with the highest mean log probability is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WITHIN = 3.0  # nats below the best open hypothesis

Scores = NDArray[np.float32]
"""(hypotheses, vocabulary), log probabilities of the next token"""
GoOn = Callable[[Sequence[int], Sequence[int]], Scores]
"""what follows when hypotheses with these indices are given these tokens"""


@dataclass(frozen=True, slots=True)
class Text:
    """Tokens, and the sum of the log probabilities of `count` decisions."""

    tokens: list[int]
    score: float
    count: int

    @property
    def mean(self) -> float:
        return self.score / max(1, self.count)

    def with_token(self, token: int, score: float) -> Text:
        return Text([*self.tokens, token], score, self.count + 1)

    def ended(self, score: float) -> Text:
        return Text(self.tokens, self.score + score, self.count + 1)


def search(
    first: Scores, go_on: GoOn, *, end: int, width: int, longest: int, until: Callable[[Sequence[int]], bool]
) -> Text:
    """The best text of at most `longest` tokens; `first` are the scores of its first token, (1, vocabulary).

    Where `until` says of a text that it is useless to go on, the others are followed; where none is left, the best of
    such texts is the answer.
    """
    open_texts, rows = [Text([], 0.0, 0)], first
    ended: list[Text] = []
    useless: list[Text] = []
    while True:
        candidates = _candidates(open_texts, rows, end, longest, ended)
        best = max((text.score for _, text in candidates), default=0.0)
        chosen: list[tuple[int, Text]] = []
        for parent, text in sorted(candidates, key=lambda found: -found[1].score)[:width]:
            if text.score < best - WITHIN:
                break
            if until(text.tokens):
                useless.append(text)
            else:
                chosen.append((parent, text))
        if not chosen or len(ended) >= width:
            return max(ended or useless, key=lambda text: text.mean)
        open_texts = [text for _, text in chosen]
        rows = go_on([parent for parent, _ in chosen], [text.tokens[-1] for text in open_texts])


def _candidates(
    texts: Sequence[Text], rows: Scores, end: int, longest: int, ended: list[Text]
) -> list[tuple[int, Text]]:
    """Texts that are a token longer, each with the index of what it goes on from; those that end go to `ended`."""
    found: list[tuple[int, Text]] = []
    for index, (text, row) in enumerate(zip(texts, rows, strict=True)):
        likeliest = int(row.argmax())
        if likeliest == end or len(text.tokens) >= longest:
            ended.append(text.ended(float(row[likeliest])))
            continue
        for token in np.flatnonzero(row >= row[likeliest] - WITHIN):
            if token != end:
                found.append((index, text.with_token(int(token), text.score + float(row[token]))))
    return found
