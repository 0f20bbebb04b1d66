"""How soon each embedded voice speaks on this machine, and how well a second recogniser understands it.

Every text is spoken in turn by every voice, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import soxr
from rich.table import Table

from app.voices import Voices, first_audio_s
from benchmarks.extra import require
from models.errors import InputError
from models.kokoro import KokoroSynthesizer
from models.protocols import SAMPLE_RATE, RecognitionRequest, Samples, Synthesizer
from models.store import Store
from models.whisper import Context, WhisperRecognizer

TEXTS = {
    "en": (
        "The train to the coast leaves in half an hour. Please wait on the second platform.",
        "Yes, of course.",
        "Where is the nearest pharmacy?",
        "I would like a room with two beds for three nights.",
        "Thank you very much, that was delicious.",
        "Good morning, how can I help you?",
        "I need a doctor, please.",
        "How much does this book cost?",
        "I did not understand, can you say it again more slowly?",
        "The children are playing in the park by the river.",
    ),
    "pt": (
        "O trem para a costa sai em meia hora. Por favor, espere na segunda plataforma.",
        "Sim, claro.",
        "Onde fica a farmácia mais próxima?",
        "Eu gostaria de um quarto com duas camas para três noites.",
        "Muito obrigado, estava delicioso.",
        "Bom dia, como posso ajudar?",
        "Preciso de um médico, por favor.",
        "Quanto custa este livro?",
        "Não entendi, pode repetir mais devagar?",
        "As crianças estão brincando no parque perto do rio.",
    ),
}
VOICES = {"en": ("piper", "espeak"), "pt": ("kokoro", "kokoro/jf_gongitsune", "espeak")}
PUBLISHED = "kokoro, convolutions as they were published"


@dataclass(slots=True)
class Spoken:
    """What one voice said of each text: s of speech, s that it took, and what was understood."""

    first_audio_s: float
    """s until a short phrase is first heard"""
    lengths: list[float] = field(default_factory=list[float])
    wall: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    said: list[str] = field(default_factory=list[str])
    read: list[str] = field(default_factory=list[str])

    @property
    def wer(self) -> float:
        return float(require("jiwer").wer(self.said, self.read))


class SecondRecognizer:
    """Whisper base with all of its context, and the normaliser of its evaluation."""

    def __init__(self, store: Store) -> None:
        self._whisper = WhisperRecognizer(store.ensure("whisper-base"), context=Context(30.0), beam_size=5, threads=2)
        self._normaliser = require("whisper_normalizer.basic").BasicTextNormalizer(remove_diacritics=True)

    def normalised(self, text: str) -> str:
        return str(self._normaliser(text)).strip()

    def read(self, samples: Samples, sample_rate: int, language: str) -> str:
        """What it understands, normalised."""
        audio = soxr.resample(samples, sample_rate, SAMPLE_RATE).astype(np.float32)
        heard = self._whisper.recognize(RecognitionRequest(audio, language, closed=True))
        return self.normalised("".join(word.text for word in heard.words))


def measure(languages: Sequence[str]) -> dict[tuple[str, str], Spoken]:
    """By language and voice. Raises `InputError` `unknown-choice` for a language without texts."""
    store = Store()
    found: dict[tuple[str, str], Spoken] = {}
    for language in languages:
        if language not in TEXTS:
            raise InputError("unknown-choice", f"No texts are known in '{language}'; there are {', '.join(TEXTS)}.")
        second, voices = SecondRecognizer(store), dict(each_voice(store, language))
        spoken = {name: Spoken(first_audio_s(voice)) for name, voice in voices.items()}
        for text in TEXTS[language]:
            for name, voice in voices.items():
                cpu, wall = time.process_time(), time.perf_counter()
                samples = voice.synthesize(text)
                spoken[name].wall.append(time.perf_counter() - wall)
                spoken[name].cpu.append(time.process_time() - cpu)
                spoken[name].lengths.append(len(samples) / voice.sample_rate)
                spoken[name].said.append(second.normalised(text))
                spoken[name].read.append(second.read(samples, voice.sample_rate, language))
        found |= {(language, name): one for name, one in spoken.items()}
    return found


def each_voice(store: Store, language: str) -> Iterator[tuple[str, Synthesizer]]:
    """Embedded voices of a language by their names, loaded."""
    for name in VOICES[language]:
        yield name, Voices(store, name).load(language)
    if "kokoro" in VOICES[language]:
        folder = store.ensure("kokoro-82m-int8")
        model, styles = next(folder.glob("kokoro*.onnx")), next(folder.glob("*.npz"))
        yield PUBLISHED, KokoroSynthesizer(model, folder / "vocab.json", styles, language, signed=False)


def table(found: dict[tuple[str, str], Spoken]) -> Table:
    made = Table("language", "voice", "a short phrase begins", "s for a second of speech", "CPU", "WER, read back")
    for (language, name), spoken in found.items():
        seconds = sum(spoken.lengths)
        made.add_row(
            language,
            name,
            f"{1000 * spoken.first_audio_s:.0f} ms",
            f"{sum(spoken.wall) / seconds:.2f}",
            f"{sum(spoken.cpu) / seconds:.2f}",
            f"{100 * spoken.wer:.1f} %",
        )
    return made
