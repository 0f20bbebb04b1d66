"""Incremental recognition: what is committed of an utterance while it is still being spoken.

A word is committed by what comes first: two successive hypotheses agree on it (LocalAgreement-2: Liu et al. 2020;
Macháček et al. 2023), or the decoder is sure of it and its audio lies far enough from the edge, where the next sounds
can no longer change it (the edge rule is AlignAtt's: Papi et al. 2023, on alignment by `model.align`). The decoder is
primed with the committed tokens but for the last word's, and generates what follows: a word that was committed wrongly
(“and” for the beginning of “engraved”) stays, but the decoder does not have to go on from it (docs/performance.md).
Punctuation is decided by what follows it: a stop at the end of a hypothesis stays open until a later word or the pause
confirms it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from models.protocols import SAMPLE_RATE, Hypothesis, RecognitionRequest, Word
from pipeline import guards
from pipeline.audio import AudioBuffer, Stretch
from pipeline.words import TimedWord, capitalised, is_stop, key, spoken

PASSAGE_WORDS = 3  # in a row, that no two hypotheses share by accident
PLACE_WORDS = 2  # that are heard in the place of one: where times of words are wrong, no more are left out


@dataclass(frozen=True, slots=True)
class RecogniseConfig:
    step_s: float = 0.6
    """new audio before the next pass; a pass never starts before the last one ended"""
    longest_s: float = 9.0
    """of the live buffer; beyond it the buffer is trimmed. Each second costs an encoder and the tokens that prime:
    where passes take too long it is shorter (`pipeline.budget.StepControl`)"""
    keep_s: float = 5.0
    """left in the buffer by trimming, so that the decoder has context to write stops and commas by; less of a buffer
    that is shorter than `longest_s`"""
    guard_s: float = 0.1
    """words that end closer to the end of the audio stay open, agreed on or not"""
    sure_above: float = 0.7
    """probability of a word, and of all open words before it, that is committed without a second hypothesis"""
    sure_guard_s: float = 0.25
    """such words end at least so long before the end of the audio; in a lull anywhere before it"""
    doubtful_below: float = 0.2
    """probability of a word that agreement commits only once its audio is older than `doubt_s`"""
    doubt_s: float = 1.5
    fastest: float = 30.0
    """characters in a second; what seems to be said faster is the decoder repeating itself, and stays open"""
    silence_above: float = 0.6
    """no-speech probability, together with the log probability below, of a hypothesis that is discarded"""
    unlikely_below: float = -1.0
    noise_below: float = 0.0
    """mean probability of the words of a whole utterance that was none: what an echo canceller left of a loudspeaker"""
    brief_s: float = 0.0
    """from where the gate let an utterance through to the pause that ended it: so short that no word fits"""
    brief_noise_below: float = 0.0
    """as `noise_below`, for such an utterance: a click, in which Whisper hears "Oh." or "Thank you." """
    prompt_tokens: int = 60


@dataclass(frozen=True, slots=True)
class Update:
    """What a pass changed."""

    committed: tuple[TimedWord, ...]
    tentative: tuple[TimedWord, ...]


class Utterance:
    """The live buffer of one utterance and what is known of it."""

    def __init__(
        self, start: int, config: RecogniseConfig, prompt: tuple[int, ...] = (), *, begins_sentence: bool = False
    ) -> None:
        self._config = config
        self._begins_sentence = begins_sentence
        self.longest_s = config.longest_s
        """of the live buffer, from the next pass on"""
        self._audio = AudioBuffer(start)
        self._begin = self._paused_at = start
        self._committed: list[TimedWord] = []
        self._last: tuple[TimedWord, ...] = ()
        self._prompt = prompt

    @property
    def audio(self) -> AudioBuffer:
        return self._audio

    @property
    def ends_sentence(self) -> bool:
        """A sentence begins with what follows all that was committed so far."""
        return is_stop(self._committed[-1].text) if self._committed else self._begins_sentence

    @property
    def prompt(self) -> tuple[int, ...]:
        """What the next utterance is primed with."""
        return (*self._prompt, *_tokens(self._committed))[-self._config.prompt_tokens :]

    def prime(self, prompt: tuple[int, ...]) -> None:
        """Take what was said before in the same language, where that was not known at the beginning."""
        self._prompt = prompt

    @property
    def text(self) -> str:
        """Committed and tentative."""
        return "".join(word.text for word in (*self._committed, *self._last))

    @property
    def _floor(self) -> int:
        """The sample before which no further word begins."""
        return self._committed[-1].end if self._committed else self._audio.start

    def append(self, stretch: Stretch) -> None:
        self._audio.append(stretch.samples)
        self._paused_at = self._audio.end

    def pause(self, at: int) -> None:
        """Speech ended at sample `at`, and only quiet came after it."""
        self._paused_at = at

    def request(self, language: str, *, closed: bool) -> RecognitionRequest:
        prefix = _tokens(self._committed[: self._reopened])
        draft = _tokens((*self._committed[self._reopened :], *self._last))
        return RecognitionRequest(self._audio.samples.copy(), language, prefix, self._prompt, closed, draft=draft)

    def apply(
        self, hypothesis: Hypothesis, audio_end: int, *, closed: bool, lull: bool = False, hold: bool = False
    ) -> Update:
        """Commit what is agreed on or sure; all of it when `closed`, none on `hold`. `lull`: it ends in quiet. The
        hypothesis begins where the prefix of the last request ended."""
        if hypothesis.looped:
            self._prompt = ()
        nothing = self._is_silence(hypothesis) or (closed and self._is_noise(hypothesis.words))
        words = () if nothing else self._timed(self._following(hypothesis.words))
        words = words[: guards.until_echoed(self._committed, words)]
        words = guards.without_stutter(self._committed, words, self._config.doubtful_below)
        rushed = guards.until_rushed(words, self._floor, self._config.fastest)
        repeated = guards.until_repeated(self._committed, words)
        if closed:
            words = words[:repeated] if rushed < len(words) else words
            count = len(words)
        elif hold:
            count = 0
        else:
            likely = words[: min(rushed, repeated)]
            count = max(
                self._agreed(likely, audio_end), self._sure(likely, audio_end, lull=lull), self._overdue(likely)
            )
        committed, tentative = words[:count], words[count:]
        self._committed.extend(committed)
        self._last = tentative
        self._trim()
        return Update(committed, tentative)

    def close(self) -> Update:
        """Commit what is open: only quiet followed the audio of the last hypothesis."""
        committed, self._last = () if self._is_noise(self._last) else self._last, ()
        self._committed.extend(committed)
        return Update(committed, ())

    def _is_silence(self, hypothesis: Hypothesis) -> bool:
        return (
            hypothesis.no_speech > self._config.silence_above
            and hypothesis.mean_log_probability < self._config.unlikely_below
        )

    def _is_noise(self, words: Sequence[Word | TimedWord]) -> bool:
        if self._committed or not words:
            return False
        brief = self._paused_at - self._begin <= self._config.brief_s * SAMPLE_RATE
        below = self._config.brief_noise_below if brief else self._config.noise_below
        return sum(word.probability for word in words) < below * len(words)

    @property
    def _reopened(self) -> int:
        """Index of the last committed word, which marks may follow: from there on the decoder writes anew."""
        return max((index for index, _ in spoken(self._committed)), default=0)

    def _following(self, words: Sequence[Word]) -> Sequence[Word]:
        """Of a hypothesis that begins with the last committed word, what comes after it. Where that is another word
        now, what was said in its time is left out."""
        again = self._committed[self._reopened :]
        if not again or not words:
            return words
        end_s = (again[0].end - self._audio.start) / SAMPLE_RATE

        def covered(word: Word) -> bool:
            same = key(word.text) == again[0].key
            return (word.start if same else (word.start + word.end) / 2) < end_s

        count = 1
        if key(words[0].text) != again[0].key:
            places = enumerate(words[:PLACE_WORDS], 1)
            count = max((number for number, word in places if covered(word)), default=0)
        marked = len(again) > 1
        while marked and count < len(words) and not key(words[count].text):
            count += 1
        return words[count:]

    def _timed(self, words: Sequence[Word]) -> tuple[TimedWord, ...]:
        """Words on the source's clock, never before what is committed; a sentence begins with a capital."""
        floor = self._floor
        timed: list[TimedWord] = []
        texts = guards.without_shouting(self._committed, [word.text for word in words])
        for word, calm in zip(words, texts, strict=True):
            start = max(floor, self._audio.start + round(word.start * SAMPLE_RATE))
            floor = max(start, self._audio.start + round(word.end * SAMPLE_RATE))
            text = capitalised(calm) if not timed and not self._committed and self._begins_sentence else calm
            timed.append(TimedWord(text, start, floor, word.probability, word.tokens, guards.shouted(word.text)))
        return tuple(timed)

    def _agreed(self, words: Sequence[TimedWord], audio_end: int) -> int:
        """How many of `words` may be committed: up to the last spoken word that both hypotheses hold."""
        limit = audio_end - round(self._config.guard_s * SAMPLE_RATE)
        old = audio_end - round(self._config.doubt_s * SAMPLE_RATE)
        count = 0
        for (index, word), (_, before) in zip(spoken(words), spoken(self._last), strict=False):
            if word.key != before.key or word.end > limit:
                break
            if word.probability < self._config.doubtful_below and word.end > old:
                break
            count = index + 1
        return _with_decided_punctuation(words, count)

    def _sure(self, words: Sequence[TimedWord], audio_end: int, *, lull: bool) -> int:
        """How many of `words` may be committed on this hypothesis alone. The last one may be the beginning of a longer
        word, unless quiet follows it."""
        limit = audio_end - (0 if lull else round(self._config.sure_guard_s * SAMPLE_RATE))
        count = 0
        for index, word in spoken(words)[: None if lull else -1]:
            if word.probability < self._config.sure_above or word.end > limit:
                break
            count = index + 1
        return _with_decided_punctuation(words, count)

    def _overdue(self, words: Sequence[TimedWord]) -> int:
        """How many of `words` may be committed because the buffer is full: those of its older half up to the last
        passage on which both hypotheses agree. A word that is heard in another way each time holds up no others."""
        if self._audio.end - self._audio.start <= self.longest_s * SAMPLE_RATE:
            return 0
        old = self._audio.end - round(self.longest_s / 2 * SAMPLE_RATE)
        aged = [(index, word.key) for index, word in spoken(words) if word.end <= old]
        before = [word.key for _, word in spoken(self._last)]
        matcher = SequenceMatcher(None, before, [key for _, key in aged], autojunk=False)
        ends = [block.b + block.size for block in matcher.get_matching_blocks() if block.size >= PASSAGE_WORDS]
        return _with_decided_punctuation(words, aged[ends[-1] - 1][0] + 1) if ends else 0

    def _trim(self) -> None:
        """Keep the buffer short: cut it between two committed words, at a sentence's end where there is one. The last
        committed word stays, as what the decoder goes on from: after a cut right behind it, it may be heard again."""
        if self._audio.end - self._audio.start <= self.longest_s * SAMPLE_RATE:
            return
        kept_s = self._config.keep_s * min(1.0, self.longest_s / self._config.longest_s)
        latest = self._audio.end - round(kept_s * SAMPLE_RATE)
        candidates = [i for i, word in enumerate(self._committed[: self._reopened]) if word.end <= latest]
        if not candidates:
            self._force_trim(latest)
            return
        stops = [i for i in candidates if is_stop(self._committed[i].text)]
        cut = stops[-1] if stops and stops[-1] > 0 else candidates[-1]
        self._scroll(cut + 1, (self._committed[cut].end + self._committed[cut + 1].start) // 2)

    def _force_trim(self, latest: int) -> None:
        """Nothing was committed for the whole buffer: it holds no speech that the recogniser understands."""
        if self._audio.end - self._audio.start > 2 * self.longest_s * SAMPLE_RATE:
            self._scroll(sum(1 for word in self._committed if word.end <= latest), latest)
            self._prompt = ()
            self._last = tuple(word for word in self._last if word.start >= latest)

    def _scroll(self, count: int, at: int) -> None:
        """Forget the audio before `at`; the first `count` committed words become the prompt."""
        scrolled, self._committed = self._committed[:count], self._committed[count:]
        if scrolled:
            self._begins_sentence = is_stop(scrolled[-1].text)
        self._prompt = (*self._prompt, *_tokens(scrolled))[-self._config.prompt_tokens :]
        self._audio.trim(at)


def _tokens(words: Iterable[TimedWord]) -> tuple[int, ...]:
    return tuple(token for word in words for token in word.tokens)


def _with_decided_punctuation(words: Sequence[TimedWord], count: int) -> int:
    """Take along the punctuation after the last agreed word where a later word has been heard."""
    following = count
    while following < len(words) and not words[following].key:
        following += 1
    return following if count > 0 and following < len(words) else count
