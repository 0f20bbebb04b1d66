"""What a decoder writes that nobody said: repetitions, echoes of its prompt, speech faster than speech.

Each guard is given the words that are committed already (`said`) and those of the new hypothesis (`words`), and never
looks at what the words mean: only at which of them are the same, how long they took and how probable they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.protocols import SAMPLE_RATE
from pipeline.words import TimedWord, capitalised, is_stop, spoken

REPETITION_WORDS = 3  # said twice at once, by a decoder more often than by a person
AGAIN_ABOVE = 0.5  # probability of a word that is said twice at once
ECHO_WORDS = 4  # of a passage that returns
ECHO_PACE = 0.6  # of the time that the passage took; nobody says it again so much faster
SHOUTED_WORDS = 3  # in capitals one after the other: acronyms are fewer
SLACK_CHARACTERS = 8  # beyond the fastest speech: times of words are rough


def until_rushed(words: Sequence[TimedWord], begin: int, fastest: float) -> int:
    """How many of `words` a person could have said since sample `begin`, at `fastest` characters in a second."""
    characters = 0
    for index, word in enumerate(words):
        characters += len(word.key)
        if characters > SLACK_CHARACTERS + fastest * (word.end - begin) / SAMPLE_RATE:
            return index
    return len(words)


def until_repeated(said: Sequence[TimedWord], words: Sequence[TimedWord]) -> int:
    """How many of `words` come before those that say the same three or more words again at once."""
    places, every, first = _joined(said, words)
    keys = [word.key for word in every]
    for at in range(first, len(keys)):
        for size in range(REPETITION_WORDS, min(at, len(keys) - at) + 1):
            if keys[at - size : at] == keys[at : at + size]:
                return places[at - first]
    return len(words)


def until_echoed(said: Sequence[TimedWord], words: Sequence[TimedWord]) -> int:
    """How many of `words` come before a passage of this audio that returns in much less time than it took: the
    decoder has lost its place and says again what it was primed with."""
    places, every, first = _joined(said, words)
    keys = [word.key for word in every]
    for at in range(first, len(keys)):
        for before in range(at - ECHO_WORDS + 1):
            size = _shared(keys, before, at)
            if size < ECHO_WORDS:
                continue
            took = every[before + size - 1].end - every[before].start
            if every[at + size - 1].end - every[at].start < ECHO_PACE * took:
                return places[at - first]
    return len(words)


def without_stutter(
    said: Sequence[TimedWord], words: tuple[TimedWord, ...], doubtful_below: float
) -> tuple[TimedWord, ...]:
    """Without the second of two equal pairs where a word of either is doubtful, and of two equal words where the second
    is not likely: what the decoder does not understand it fills with what it has just written."""
    places, every, first = _joined(said, words)
    for at in range(max(1, first), len(every)):
        if every[at].key == every[at - 1].key and every[at].probability < AGAIN_ABOVE:
            end = places[at + 1 - first] if at + 1 < len(every) else len(words)
            return (*words[: places[at - first]], *words[end:])
    for at in range(max(2, first), len(every) - 1):
        four = every[at - 2 : at + 2]
        keys = [word.key for word in four]
        doubtful = any(word.probability < doubtful_below for word in four)
        if doubtful and keys[:2] == keys[2:]:
            begin = places[at - first]
            end = places[at + 2 - first] if at + 2 < len(every) else len(words)
            return (*words[:begin], *words[end:])
    return words


def shouted(word: str) -> bool:
    """In capitals, all of it; a single letter may be."""
    letters = [character for character in word if character.isalpha()]
    return bool(letters) and all(character.isupper() for character in letters)


def without_shouting(said: Sequence[TimedWord], texts: Sequence[str]) -> list[str]:
    """With a passage in capitals written as it would be in small letters: a decoder that has begun one goes on with it
    to its end. Single letters stay as they are."""
    before = [word for _, word in reversed(spoken(said))]
    length = next((count for count, word in enumerate(before) if not word.shouted), len(before))
    passages: list[list[int]] = [[]]
    for index, text in enumerate(texts):
        if shouted(text):
            passages[-1].append(index)
        elif any(map(str.isalnum, text)):
            passages.append([])
    lengths = [length + len(passages[0]), *map(len, passages[1:])]
    loud = {at for passage, words in zip(passages, lengths, strict=True) if words >= SHOUTED_WORDS for at in passage}
    previous = [said[-1].text if said else "", *texts]
    return [_calm(text, previous[at]) if at in loud else text for at, text in enumerate(texts)]


def _calm(word: str, before: str) -> str:
    small = word if sum(map(str.isalpha, word)) == 1 else word.lower()
    return capitalised(small) if is_stop(before) else small


def _joined(said: Sequence[TimedWord], words: Sequence[TimedWord]) -> tuple[list[int], list[TimedWord], int]:
    """Where the spoken ones of `words` stand, all spoken words in order, and how many of these were `said` before."""
    before = [word for _, word in spoken(said)]
    new = spoken(words)
    return [index for index, _ in new], [*before, *(word for _, word in new)], len(before)


def _shared(keys: Sequence[str], before: int, at: int) -> int:
    """How many words from `at` on are those from `before` on, up to `at`."""
    size = 0
    while before + size < at and at + size < len(keys) and keys[before + size] == keys[at + size]:
        size += 1
    return size
