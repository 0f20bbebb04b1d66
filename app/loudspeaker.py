"""Speech to the loudspeaker, in order, without holding anybody up."""

from __future__ import annotations

import importlib
import queue
import threading
from typing import Any

from models.errors import UnavailableError
from pipeline.events import AnyEvent, Speech


class Loudspeaker:
    """Plays every `Speech` on a thread of its own. Raises `UnavailableError` where there is no loudspeaker."""

    def __init__(self) -> None:
        try:
            library: Any = importlib.import_module("sounddevice")
        except (ImportError, OSError) as error:
            raise UnavailableError(
                "extra-missing", "Playing needs an optional part: pip install 'tsuyaku[play]', and PortAudio."
            ) from error
        self._library = library
        try:
            library.check_output_settings(channels=1, dtype="int16")
        except (library.PortAudioError, ValueError) as error:
            raise UnavailableError(
                "no-loudspeaker", "There is no loudspeaker; leave out --speak, or use --record."
            ) from error
        self._speeches: queue.Queue[Speech | None] = queue.Queue()
        self._thread = threading.Thread(target=self._play, name="tsuyaku-loudspeaker", daemon=True)
        self._thread.start()

    def add(self, event: AnyEvent) -> None:
        if isinstance(event, Speech) and event.pcm:
            self._speeches.put(event)

    def close(self) -> None:
        """Wait until all of it was heard."""
        self._speeches.put(None)
        self._thread.join()

    def _play(self) -> None:
        stream: Any = None
        rate = 0
        while (speech := self._speeches.get()) is not None:
            if speech.sample_rate != rate:
                if stream is not None:
                    stream.close()
                rate = speech.sample_rate
                stream = self._library.RawOutputStream(samplerate=rate, channels=1, dtype="int16")
                stream.start()
            stream.write(speech.pcm)
        if stream is not None:
            stream.stop()
            stream.close()
