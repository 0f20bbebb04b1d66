"""Kokoro's graph in two parts, and what is heard of an utterance stretch by stretch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from models.onnx_session import giving_back, kept_session, multiplies_signed
from models.protocols import Samples, SpeechPart

SAMPLE_RATE = 24_000  # Hz
GRAPH_VERSION = 1  # of what `models.convolution_graph` and `models.vocoder_graph` make
HIDDEN = "/decoder/decoder/decode.3/Div_4_output_0"
"""what is said (1, 512, frames)"""
HARMONICS = "/decoder/decoder/generator/Concat_3_output_0"
"""of the voice's source (1, 22, 60 · frames + 1)"""
ENDS = "/encoder/CumSum_output_0"
"""of the tokens, each in units of two frames"""
TICKS = 60  # of the harmonics in a frame
FRAME = 300  # samples
FRAMES_S = SAMPLE_RATE / FRAME

MARGIN = 6  # frames that the sound of another depends on
FADE = 240  # samples, from one stretch to the next
FIRST_S = 0.5  # of speech, at least, in the first stretch
LEAST_S = 0.4  # that is worth a stretch of its own
MOST_S = 6.0  # of a stretch: its memory
IN_TIME = 0.7  # of what is being heard may pass until the next stretch is there
USUAL_S = 2.0  # of speech that the usual statistics weigh as much as
GAIN = 0.9  # the model overshoots full scale a little


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the first part made of a phrase. Positions are frames."""

    hidden: Samples
    harmonics: Samples
    style: Samples
    begin: int
    end: int
    """of what is heard: silence lies before and after"""
    gaps: tuple[int, ...]
    """between words"""

    @property
    def frames(self) -> int:
        return int(self.hidden.shape[2])


class Sound:
    """Both parts of a model. `signed`: whether its convolutions become products of signed bytes; None to find out
    whether these are exact here. Raises `ONNX_ERRORS` and `OSError`."""

    def __init__(self, model: Path, threads: int, *, signed: bool | None = None) -> None:
        signed = multiplies_signed(model.parent / "signed") if signed is None else signed
        graphs, kind = _graphs(model, signed=signed), "products" if signed else "published"
        self._text = kept_session(model.parent / f"{kind}-text", GRAPH_VERSION, lambda: graphs()[0], threads)
        self._sound = kept_session(model.parent / f"{kind}-sound", GRAPH_VERSION, lambda: graphs()[1], threads)
        self._options = giving_back()
        *_, given, share = self._sound.get_inputs()
        self._given, self._share = given.name, share.name
        self._usual = np.zeros(given.shape, np.float32)
        self._pace = 0.0  # s that a second of speech took of late

    def understand(self, ids: Sequence[int], style: Samples, speed: float, space: int) -> Utterance:
        """`ids` are tokens, of which `space` stands between words; `style` (1, 256)."""
        feeds = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": style,
            "speed": np.array([speed], np.float32),
        }
        hidden, harmonics, ends = self._text.run([HIDDEN, HARMONICS, ENDS], feeds, self._options)
        at = 2 * np.asarray(ends, np.int64).ravel()
        gaps = tuple(int(at[n] + at[n + 1]) // 2 for n, one in enumerate(ids) if one == space)
        begin, end = max(0, int(at[0]) - MARGIN), min(int(at[-1]), int(at[-2]) + MARGIN)
        return Utterance(hidden, harmonics, style, begin, end, gaps)

    def learn(self, utterance: Utterance) -> None:
        """What is usual for this voice, and how soon it speaks here: before it says anything else."""
        begin = time.perf_counter()
        _, self._usual = self._run(utterance, 0, utterance.frames, self._usual, 1.0)
        self._pace = (time.perf_counter() - begin) * FRAMES_S / utterance.frames

    def stretches(self, utterance: Utterance) -> Iterator[SpeechPart]:
        """What is heard of it. Each stretch ends between two words, and is as long as the next one can be made in the
        time that it lasts; a machine that is too slow for that makes long ones."""
        statistics, known = self._usual, USUAL_S * FRAMES_S
        at, tail = utterance.begin, np.zeros(0, np.float32)
        wanted_s = FIRST_S if self._pace < IN_TIME else MOST_S
        while at < utterance.end:
            began = time.perf_counter()
            until = cut(utterance, at, wanted_s)
            first, last = max(0, at - MARGIN), min(utterance.frames, until + MARGIN)
            share = (until - at) / (until - at + known)
            sound, own = self._run(utterance, first, last, statistics, share)
            statistics, known = (1 - share) * statistics + share * own, known + until - at
            sound, length_s = sound[(at - first) * FRAME :], (until - at) / FRAMES_S
            fade = np.linspace(1, 0, len(tail), dtype=np.float32)
            sound[: len(tail)] += fade * (tail - sound[: len(tail)])
            tail = sound[(until - at) * FRAME :][:FADE].copy()
            self._pace += 0.3 * ((time.perf_counter() - began) / length_s - self._pace)
            yield SpeechPart(np.clip(GAIN * sound[: (until - at) * FRAME], -1, 1), until < utterance.end)
            wanted_s = min(MOST_S, max(FIRST_S, IN_TIME * length_s / self._pace))
            at = until

    def _run(
        self, utterance: Utterance, first: int, last: int, statistics: Samples, share: float
    ) -> tuple[Samples, Samples]:
        """The samples of some frames, and the statistics of their own; `share` is these' in what was used."""
        feeds = {
            HIDDEN: utterance.hidden[:, :, first:last],
            HARMONICS: utterance.harmonics[:, :, TICKS * first : TICKS * last + 1],
            "style": utterance.style,
            self._given: statistics,
            self._share: np.array(share, np.float32),
        }
        audio, own = self._sound.run(None, feeds, self._options)
        return np.asarray(audio, np.float32).ravel(), own


def cut(utterance: Utterance, at: int, wanted_s: float) -> int:
    """Where a stretch of at least `wanted_s` from frame `at` on ends, so that what is left is worth another."""
    earliest, latest = at + wanted_s * FRAMES_S, utterance.end - LEAST_S * FRAMES_S
    return next((gap for gap in utterance.gaps if earliest <= gap <= latest), utterance.end)


def _graphs(model: Path, *, signed: bool) -> Callable[[], tuple[bytes, bytes]]:
    """Both parts, made once."""

    @cache
    def make() -> tuple[bytes, bytes]:
        import onnx

        from models.convolution_graph import with_products
        from models.vocoder_graph import part, with_given_statistics

        whole = onnx.load(model)
        if signed:
            whole = with_products(whole)
        inputs = [one.name for one in whole.graph.input]
        text = part(whole, inputs, [HIDDEN, HARMONICS, ENDS])
        sound = part(whole, [HIDDEN, HARMONICS, "style"], ["audio"])
        example = {
            HIDDEN: np.zeros((1, 512, MARGIN), np.float32),
            HARMONICS: np.zeros((1, 22, TICKS * MARGIN + 1), np.float32),
            "style": np.zeros((1, 256), np.float32),
        }
        return text.SerializeToString(), with_given_statistics(sound, example).SerializeToString()

    return make
