"""NumPy's matrices are multiplied on one thread.

A second one wins a fifth of the time for twice the work, and waits for more of it in a loop: after each spectrogram it
kept a core from the encoder for 50 ms (docs/performance.md).
"""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def on_one_thread() -> None:
    """From now on, in the whole process."""
    threadpool_limits(1, user_api="blas")
