import time
from collections.abc import Iterator

import numpy as np

from app.interpret import PORTION, paced_portions
from app.media import Source
from models.protocols import SAMPLE_RATE, Samples


class Recorded(Source):
    """A source of blocks that are there at once, as a file's are."""

    def __init__(self, blocks: list[Samples]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[Samples]:
        return iter(self._blocks)


async def test_file_comes_whole_in_portions_of_a_microphone_and_none_before_it_was_said() -> None:
    sound = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    begin = time.monotonic()
    heard: list[Samples] = []
    async for samples in paced_portions(Recorded([sound[:1600], sound[1600:1700], sound[1700:]])):
        heard.append(samples)
        assert time.monotonic() - begin >= sum(map(len, heard)) / SAMPLE_RATE - 0.001
    assert np.array_equal(np.concatenate(heard), sound)
    assert max(map(len, heard)) == PORTION
