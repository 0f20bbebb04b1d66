"""Ten minutes without speech, and speech of every awkward shape: nothing invented, lost or said twice."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import jiwer
import numpy as np
import onnxruntime
import pytest
import soxr

from app.engines import EngineConfig, build
from app.interpret import interpret
from app.media import MediaFile
from app.voices import Voices
from models.store import Store
from pipeline.config import SessionConfig
from pipeline.events import AnyEvent, Translation, Words
from tests.conftest import Recording
from tests.real.command import RATE, committed, events, run, silence, wer, words, write_wav

pytestmark = pytest.mark.real

TEN_MINUTES = 600.0
SEED = 1
SENTENCE = (
    "When the old captain who had spent forty years at sea came home to the small town where he was born and saw that "
    "the harbour had been filled with sand and the boats had been sold and the houses along the shore had been painted "
    "in bright colours for visitors who came in the summer with their children and left in the autumn without having "
    "learned the name of a single street he sat down on the wall beside the church and took a letter out of his coat "
    "and read it again slowly from the first line to the last because it was the only thing he had carried with him "
    "through every storm and every war and every night on watch and because the woman who had written it was waiting "
    "for him behind the door of the last house in the row with a lamp in her window and a table set for two people "
    "and because he had promised her on the morning he left that he would bring back nothing from the islands or the "
    "cities or the markets of the south except himself and a small wooden box filled with seeds which she would plant "
    "in the garden behind the kitchen in the first warm week of the year while he repaired the roof and the fence and "
    "the little boat that had been lying under the apple tree since their son had gone away to work in the mountains"
)


@pytest.fixture(scope="module")
def say() -> Say:
    return Say()


class Say:
    """The embedded English voice, at the engines' rate. Loaded with the same seed each time: with another it says the
    same text in another way, and what Whisper base mishears is another word."""

    def __call__(self, text: str, rate: float = 1.0) -> np.ndarray:
        onnxruntime.set_seed(SEED)
        voice = Voices(Store()).load("en")
        return soxr.resample(voice.synthesize(text, rate), voice.sample_rate, RATE).astype(np.float32)


def transcribed(path: Path, *more: str) -> str:
    done = run("translate", path, "--from", "en", "--format", "jsonl", *more)
    assert done.returncode == 0, done.stderr
    return committed(events(done.stdout), "words", "en")


def music(seconds: float) -> np.ndarray:
    """Chords of a minor key with a melody above them, two notes a second, each struck and fading; always the same."""
    generator = np.random.default_rng(1)
    times = np.arange(RATE // 2) / RATE
    chords = ((220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7), (164.8, 207.7, 246.9))
    scale = (440.0, 493.9, 523.3, 587.3, 659.3, 784.0)
    beats: list[np.ndarray] = []
    for beat in range(round(seconds * 2)):
        notes = (*chords[beat // 8 % 4], generator.choice(scale))
        tone = sum(
            np.sin(2 * np.pi * note * partial * times) * np.exp(-times * (3 + partial)) / partial
            for note in notes
            for partial in (1, 2, 3)
        )
        beats.append(tone)
    sound = np.concatenate(beats)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def noise(seconds: float) -> np.ndarray:
    """Pink noise that swells and fades, as of traffic; always the same."""
    generator = np.random.default_rng(2)
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(generator.standard_normal(count))
    spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
    sound = np.fft.irfft(spectrum, count)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(count) / RATE / 17)
    return (0.2 * swell * sound / np.abs(sound).max()).astype(np.float32)


def test_ten_minutes_of_silence_have_no_caption(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "silence.wav", silence(TEN_MINUTES))
    found = events(run("translate", path, "--from", "en", "--to", "pt", "--format", "jsonl").stdout)
    assert [event["event"] for event in found] == ["end"]


@pytest.mark.parametrize("sound", [music, noise])
def test_ten_minutes_without_speech_are_not_looped(sound: object, tmp_path: Path) -> None:
    assert callable(sound)
    heard = words(transcribed(write_wav(tmp_path / "sound.wav", sound(TEN_MINUTES))))
    assert len(heard) <= 20, heard
    assert longest_repetition(heard) <= 2, heard


def clicks(seconds: float) -> np.ndarray:
    """Keys that are struck at uneven times; always the same."""
    generator = np.random.default_rng(3)
    sound = 0.001 * generator.standard_normal(round(seconds * RATE))
    fading = np.exp(-np.arange(RATE // 50) / 60)
    for at in generator.integers(0, len(sound) - len(fading), round(6 * seconds)):
        sound[at : at + len(fading)] += generator.uniform(0.2, 0.7) * generator.standard_normal(len(fading)) * fading
    return sound.astype(np.float32)


def hum(seconds: float) -> np.ndarray:
    """A machine on the mains, with beats between its harmonics."""
    times = np.arange(round(seconds * RATE)) / RATE
    sound = sum(
        np.sin(2 * np.pi * pitch * times) / number for number, pitch in enumerate((50, 100.3, 150, 301, 449), 1)
    )
    return (0.2 * np.asarray(sound)).astype(np.float32)


def siren(seconds: float) -> np.ndarray:
    """A tone that rises and falls as a voice does, twice a second."""
    times = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(500 + 200 * np.sin(2 * np.pi * 2 * times)) / RATE
    return (0.3 * np.sin(phase)).astype(np.float32)


@pytest.mark.parametrize("sound", [clicks, hum, siren, noise, music])
def test_minute_without_speech_has_hardly_a_word(sound: object, tmp_path: Path) -> None:
    """On every machine, also where there are no recordings of what is no speech."""
    assert callable(sound)
    assert len(words(transcribed(write_wav(tmp_path / "sound.wav", sound(60.0))))) <= 3


def longest_repetition(heard: list[str]) -> int:
    """How often the same one to four words follow each other."""
    longest = 1 if heard else 0
    for size in range(1, 5):
        for start in range(len(heard)):
            phrase, count = heard[start : start + size], 1
            while heard[start + count * size : start + (count + 1) * size] == phrase and len(phrase) == size:
                count += 1
            longest = max(longest, count)
    return longest


def longest_difference(said: str, heard: str) -> int:
    """How many words in a row are missing or were added; what was misheard counts as neither."""
    alignment = jiwer.process_words(" ".join(words(said)), " ".join(words(heard))).alignments[0]
    lost = [chunk.ref_end_idx - chunk.ref_start_idx for chunk in alignment if chunk.type == "delete"]
    added = [chunk.hyp_end_idx - chunk.hyp_start_idx for chunk in alignment if chunk.type == "insert"]
    return max([0, *lost, *added])


@pytest.mark.parametrize("name", ["noise_tap", "music_trumpet", "noise_typing"])
def test_recording_without_speech_has_hardly_a_word(name: str, recordings: dict[str, Recording]) -> None:
    if name not in recordings:
        pytest.skip(f"there is no recording {name} here")
    assert len(transcribed(recordings[name].path).split()) <= 3


def test_single_word_is_not_lost(say: Say, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "word.wav", np.concatenate([silence(1), say("Welcome."), silence(1)]))
    assert words(transcribed(path)) == ["welcome"]


def test_single_word_at_the_very_end_is_not_lost(say: Say, tmp_path: Path) -> None:
    assert words(transcribed(write_wav(tmp_path / "word.wav", say("Tomorrow.")))) == ["tomorrow"]


def test_speech_that_breaks_off_without_punctuation_is_whole(say: Say, tmp_path: Path) -> None:
    text = "the train to the coast leaves at half past nine from platform"
    spoken = say(text)
    path = write_wav(tmp_path / "cut.wav", spoken)
    done = run("translate", path, "--from", "en", "--to", "pt", "--format", "jsonl")
    found = events(done.stdout)
    assert wer(text, committed(found, "words", "en")) <= 0.1
    assert committed(found, "translation", "pt").strip()
    assert [event for event in found if event["event"] == "translation"][-1]["final"]


def test_pause_of_20_seconds_loses_and_repeats_nothing(say: Say, tmp_path: Path) -> None:
    parts = ("Please wait on the second platform.", "The next train leaves in half an hour.")
    path = write_wav(tmp_path / "paused.wav", np.concatenate([say(parts[0]), silence(20), say(parts[1])]))
    assert wer(" ".join(parts), transcribed(path)) == 0


def test_pause_in_the_middle_of_a_sentence_loses_and_repeats_nothing(say: Say, tmp_path: Path) -> None:
    parts = ("The next train to the coast", "will depart at nine from the second platform.")
    path = write_wav(tmp_path / "paused.wav", np.concatenate([say(parts[0]), silence(20), say(parts[1])]))
    assert wer(" ".join(parts), transcribed(path)) <= 0.1


@pytest.mark.parametrize("pace", [(), ("--realtime",)])
def test_sentence_of_60_seconds_loses_and_repeats_nothing(pace: tuple[str, ...], say: Say, tmp_path: Path) -> None:
    spoken = say(SENTENCE, 0.9)
    assert len(spoken) >= 58 * RATE
    path = write_wav(tmp_path / "long.wav", spoken)
    found = events(run("translate", path, "--from", "en", "--to", "pt", "--format", "jsonl", *pace).stdout)
    heard, translated = committed(found, "words", "en"), committed(found, "translation", "pt")
    assert wer(SENTENCE, heard) <= 0.15, heard
    # Without a pause or a stop to hold on to, Whisper base swallows up to three unstressed words.
    assert longest_difference(SENTENCE, heard) <= 3, heard
    assert longest_repetition(words(heard)) <= 1, heard
    assert len(translated.split()) >= 0.8 * len(SENTENCE.split()), translated
    assert longest_repetition(translated.lower().split()) <= 1, translated
    assert "mar" in translated.split()[:12] or "capitão" in translated
    assert "montanha" in " ".join(translated.split()[-4:]), translated


def test_two_sessions_at_once_share_the_engines_and_neither_starves(english: Recording) -> None:
    class Said:
        def __init__(self) -> None:
            self.text = self.translation = ""
            self.at: list[float] = []

        def add(self, event: AnyEvent) -> None:
            if isinstance(event, Words) and event.committed:
                self.text += event.committed
                self.at.append(time.monotonic())
            elif isinstance(event, Translation):
                self.translation += event.committed

        def close(self) -> None:
            pass

    begun = time.monotonic()

    async def both() -> list[Said]:
        nonlocal begun
        engines = build(EngineConfig())
        config = SessionConfig(source_language="en", captions=frozenset({"pt"}))
        said = [Said(), Said()]
        await engines.recognizer.start()
        begun = time.monotonic()
        await asyncio.gather(*(interpret(MediaFile(english.path), engines, config, [each]) for each in said))
        return said

    first, second = asyncio.run(both())
    for said in (first, second):
        assert wer(english.transcript, said.text) <= 0.2
        assert said.translation.strip()
    # Each commits its first words before the other has its last, and they end together.
    assert first.at[0] < second.at[-1]
    assert second.at[0] < first.at[-1]
    took = sorted(said.at[-1] - begun for said in (first, second))
    assert took[1] < 1.5 * took[0]
