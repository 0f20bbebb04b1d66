"""ALSA's library writes to standard error by itself, over whatever a terminal shows; here it is told not to."""

from __future__ import annotations

import ctypes
import sys

_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)


@_HANDLER
def _ignore(file: bytes, line: int, function: bytes, error: int, form: bytes) -> None:
    """What is wrong is known from PortAudio's errors and counters as well."""


def hush() -> None:
    """For this process, where ALSA is there at all (alsa-lib, error.h: `snd_lib_error_set_handler`)."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_ignore)
    except (OSError, AttributeError):
        return
