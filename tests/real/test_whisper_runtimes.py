"""Whisper's two runtimes are the same network: they hear the same words at the same times, however they are asked. The
one that makes do with a tenth of the silence is held against the other with all of it."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.media import MediaFile
from models import whisper_onnx
from models.protocols import SAMPLE_RATE, Hypothesis, RecognitionRequest, Samples
from models.store import Store
from models.whisper import FULL_CONTEXT_SECONDS, Context, WhisperRecognizer
from models.whisper_onnx import OnnxRuntime, _Step  # pyright: ignore[reportPrivateUsage]
from models.whisper_runtime import FRAMES_PER_SECOND, CTranslate2Runtime
from tests.conftest import Recording

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def onnx() -> WhisperRecognizer:
    made = WhisperRecognizer(Store().ensure("whisper-base"), beam_size=1)  # the reference is greedy
    assert isinstance(made._runtime, OnnxRuntime)  # pyright: ignore[reportPrivateUsage]
    return made


@pytest.fixture(scope="module")
def reference() -> WhisperRecognizer:
    whole = Context(FULL_CONTEXT_SECONDS)
    made = WhisperRecognizer(Store().ensure("whisper-base"), compute_type="float32", context=whole)
    assert isinstance(made._runtime, CTranslate2Runtime)  # pyright: ignore[reportPrivateUsage]
    return made


@pytest.fixture(scope="module")
def audio(english: Recording) -> Samples:
    return np.concatenate(list(MediaFile(english.path)))[: 6 * SAMPLE_RATE]


def words(hypothesis: Hypothesis) -> list[str]:
    return [word.text for word in hypothesis.words]


def same(ours: list[str], theirs: list[str]) -> list[tuple[int, int]]:
    """Pairs of indices of equal words. One word may differ, since 8 bits may hear a name in another way, and marks: of
    those one runtime writes more."""
    kept = [[(index, text) for index, text in enumerate(each) if text.strip(" ,.?!")] for each in (ours, theirs)]
    matcher = SequenceMatcher(None, *([text for _, text in each] for each in kept), autojunk=False)
    pairs = [
        (kept[0][a + k][0], kept[1][b + k][0]) for a, b, size in matcher.get_matching_blocks() for k in range(size)
    ]
    assert len(pairs) >= max(len(kept[0]), len(kept[1])) - 1 > 0, (ours, theirs)
    return pairs


def test_both_hear_the_same_at_the_same_time(
    onnx: WhisperRecognizer, reference: WhisperRecognizer, audio: Samples
) -> None:
    request = RecognitionRequest(audio, "en")
    ours, theirs = onnx.recognize(request), reference.recognize(request)
    pairs = same(words(ours), words(theirs))
    assert statistics.median(abs(ours.words[a].end - theirs.words[b].end) for a, b in pairs) <= 0.04
    assert ours.mean_log_probability == pytest.approx(theirs.mean_log_probability, abs=0.1)
    assert ours.no_speech == pytest.approx(theirs.no_speech, abs=0.05)


def test_speech_is_encoded_nearly_as_with_all_of_the_silence_that_fills_30_s(
    onnx: WhisperRecognizer, audio: Samples
) -> None:
    """Where nothing stands for the silence that is left out, keys and values of the speech differ by 24 % here."""
    runtime, spoken = onnx._runtime, len(audio) * FRAMES_PER_SECOND // SAMPLE_RATE // 2  # pyright: ignore[reportPrivateUsage]
    short, whole = (
        runtime.encode(onnx._spectrograms([audio], seconds))[0]  # pyright: ignore[reportPrivateUsage]
        for seconds in (6.5, FULL_CONTEXT_SECONDS)
    )
    unlike: list[float] = []
    for layer in range(6):
        keys = [encoded[f"keys_{layer}"][..., :spoken] for encoded in (short, whole)]
        values = [encoded[f"values_{layer}"][:, :, :spoken] for encoded in (short, whole)]
        unlike += [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in (keys, values)]
    assert 0 < np.mean(unlike) < 0.2


def test_a_prefix_and_a_prompt_are_gone_on_from(
    onnx: WhisperRecognizer, reference: WhisperRecognizer, audio: Samples
) -> None:
    whole = reference.recognize(RecognitionRequest(audio, "en")).words
    half = len(whole) // 2
    prefix = tuple(token for word in whole[:half] for token in word.tokens)
    prompt = onnx.encode_text(" This is what was said before.", "en")
    for said_before in ((), prompt):
        request = RecognitionRequest(audio, "en", prefix, said_before)
        gone_on = words(onnx.recognize(request))
        same(gone_on, words(reference.recognize(request)))
        same(gone_on, [word.text for word in whole[half:]])


def test_hypotheses_side_by_side_are_what_each_would_be_alone(onnx: WhisperRecognizer, audio: Samples) -> None:
    """The decoder writes them as one batch."""
    runtime = onnx._runtime  # pyright: ignore[reportPrivateUsage]
    assert isinstance(runtime, OnnxRuntime)
    tokens = onnx.encode_text(" And so, my fellow Americans", "en")
    encoded = runtime.encode(np.zeros((1, runtime.mels, 600), np.float32))[0]

    def after(texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        step = _Step(runtime._decoder, encoded | runtime._begin)  # pyright: ignore[reportPrivateUsage]
        step.feed([tokens[:2]], [1])
        step.choose([0] * len(texts))
        step.feed([text[:1] for text in texts], [0])
        step.choose(range(len(texts))[::-1])
        return step.feed([text[1:] for text in texts[::-1]], [1])[::-1, 0]

    pair = [tokens[2:5], tokens[3:6]]
    both = after(pair)
    for text, logits in zip(pair, both, strict=True):
        alone = after([text])[0]
        assert np.abs(logits - alone).max() < 0.05 * np.abs(alone).max()
        assert logits.argmax() == alone.argmax()


def test_batch_of_several_sessions_is_what_each_would_be_alone(
    reference: WhisperRecognizer, audio: Samples, portuguese: Recording
) -> None:
    """CTranslate2 takes them at once: of other lengths, with other prefixes, in one language and in two."""
    other = np.concatenate(list(MediaFile(portuguese.path)))[: 5 * SAMPLE_RATE]
    whole = reference.recognize(RecognitionRequest(audio, "en")).words
    prompt = reference.encode_text(" This is what was said before.", "en")
    asked = [
        RecognitionRequest(audio, "en", prefix=tuple(t for word in whole[:count] for t in word.tokens), prompt=prompt)
        for count in (2, 5)
    ]
    asked += [RecognitionRequest(other, "pt"), RecognitionRequest(audio[: 4 * SAMPLE_RATE], "en")]
    for request, found in zip(asked, reference.run(asked), strict=True):
        alone = reference.recognize(request)
        assert words(found) == words(alone)
        assert [word.end for word in found.words] == pytest.approx([word.end for word in alone.words], abs=0.04)
        assert found.mean_log_probability == pytest.approx(alone.mean_log_probability, abs=0.02)


def test_several_hypotheses_are_at_least_as_likely_as_one(
    onnx: WhisperRecognizer, english: Recording, portuguese: Recording
) -> None:
    several = WhisperRecognizer(Store().ensure("whisper-base"))
    better = 0
    for recording in (english, portuguese):
        samples = np.concatenate(list(MediaFile(recording.path)))
        for end in range(3, min(12, len(samples) // SAMPLE_RATE)):
            request = RecognitionRequest(samples[max(0, end - 6) * SAMPLE_RATE : end * SAMPLE_RATE], recording.language)
            one, five = onnx.recognize(request), several.recognize(request)
            assert five.mean_log_probability > one.mean_log_probability - 0.1
            better += five.mean_log_probability > one.mean_log_probability + 1e-3
    assert better > 0


def test_both_identify_the_language(
    onnx: WhisperRecognizer, reference: WhisperRecognizer, audio: Samples, portuguese: Recording
) -> None:
    other = np.concatenate(list(MediaFile(portuguese.path)))[: 6 * SAMPLE_RATE]
    for language, samples in (("en", audio), ("pt", other)):
        ours, theirs = onnx.identify(samples), reference.identify(samples)
        assert max(ours, key=lambda code: ours[code]) == max(theirs, key=lambda code: theirs[code]) == language
        assert ours[language] == pytest.approx(theirs[language], abs=0.05)
        assert set(ours) == set(theirs)


def test_silence_is_no_speech_to_either(onnx: WhisperRecognizer, reference: WhisperRecognizer) -> None:
    request = RecognitionRequest(np.zeros(3 * SAMPLE_RATE, np.float32), "en", closed=True)
    assert onnx.recognize(request).no_speech == pytest.approx(reference.recognize(request).no_speech, abs=0.15)


def test_graphs_are_made_once_and_do_without_a_disk(tmp_path: Path, onnx: WhisperRecognizer) -> None:
    path, text = Store().ensure("whisper-base"), onnx._text  # pyright: ignore[reportPrivateUsage]
    for name in ("model.bin", "config.json"):
        (tmp_path / name).symlink_to(path / name)
    (tmp_path / f"encoder.graph-{whisper_onnx.GRAPH_VERSION - 1}.onnx").write_text("of an earlier version")
    OnnxRuntime(tmp_path, text, threads=1)
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.onnx")}
    assert len(kept) == 2, "those of now, and none of before"
    OnnxRuntime(tmp_path, text, threads=1)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.onnx")} == kept
    for file in kept:
        file.unlink()
        (file / "in the way").mkdir(parents=True)  # no file can be written there
    OnnxRuntime(tmp_path, text, threads=1)


def test_damaged_graph_is_made_again(tmp_path: Path, audio: Samples) -> None:
    for file in Store().ensure("whisper-base").iterdir():
        if not file.name.endswith(".onnx"):
            (tmp_path / file.name).symlink_to(file)
    request = RecognitionRequest(audio, "en", closed=True)
    whole = WhisperRecognizer(tmp_path).recognize(request)
    for graph in tmp_path.glob("*.onnx"):
        graph.write_bytes(graph.read_bytes()[:100_000])
    assert WhisperRecognizer(tmp_path).recognize(request) == whole


def test_what_makes_graphs_is_not_loaded_to_run_them(onnx: WhisperRecognizer) -> None:
    script = (
        "import sys; from models.store import Store; from models.whisper import WhisperRecognizer;"
        "WhisperRecognizer(Store().ensure('whisper-base')); sys.exit('onnx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_no_thread_of_numpy_takes_a_core_from_the_encoder() -> None:
    script = (
        "from models.store import Store; from models.whisper import WhisperRecognizer; import threadpoolctl;"
        "WhisperRecognizer(Store().ensure('whisper-base'));"
        "print({pool['num_threads'] for pool in threadpoolctl.threadpool_info() if pool['user_api'] == 'blas'})"
    )
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "{1}"


def test_marks_are_likelier_where_the_text_that_is_gone_on_from_has_few_and_nowhere_else(
    onnx: WhisperRecognizer, audio: Samples
) -> None:
    """With a bonus so high that it decides."""
    plain = onnx.recognize(RecognitionRequest(audio, "en"))
    prefix = tuple(token for word in plain.words[:2] for token in word.tokens)
    eager = WhisperRecognizer(Store().ensure("whisper-base"), beam_size=1, mark_bonus=100.0)
    assert words(eager.recognize(RecognitionRequest(audio, "en"))) == words(plain)
    mark = eager.recognize(RecognitionRequest(audio, "en", prefix)).words[0]
    assert mark.text.strip() in whisper_onnx.MARKS
    marked = RecognitionRequest(audio, "en", prefix + mark.tokens)
    assert words(eager.recognize(marked)) == words(onnx.recognize(marked))


@pytest.mark.parametrize("beam_size", [1, None])
def test_a_draft_spares_runs_of_the_decoder_and_changes_nothing_that_is_heard(
    audio: Samples, beam_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row alone is multiplied in another order than several, which 8 bits make up to 1.7 in a logarithm of: here each
    goes with another, so that whatever else differs is the draft's doing."""
    made = WhisperRecognizer(Store().ensure("whisper-base"), beam_size=beam_size)
    runs: list[int] = []

    def counted(step: _Step, tokens: Sequence[Sequence[int]], rows: Sequence[int]) -> NDArray[np.float32]:
        runs.append(len(tokens))
        if len(tokens[0]) > 1:
            return feed(step, tokens, rows)
        logits = feed(step, [[*text, *text] for text in tokens], rows)
        state = {name: np.ascontiguousarray(step._inputs[name][:, :, :-1]) for name in step._past}  # pyright: ignore[reportPrivateUsage]
        step._inputs |= state  # pyright: ignore[reportPrivateUsage]
        return logits

    def heard(draft: tuple[int, ...]) -> tuple[Hypothesis, int]:
        runs.clear()
        return made.recognize(RecognitionRequest(audio, "en", prefix, draft=draft)), len(runs)

    feed = _Step.feed
    monkeypatch.setattr(_Step, "feed", counted)
    whole = made.recognize(RecognitionRequest(audio, "en")).words
    wrong = made.encode_text(" nobody said that", "en")
    taken: Counter[str] = Counter()
    for count in range(4, len(whole)):
        prefix = tuple(token for word in whole[:count] for token in word.tokens)
        plain, without = heard(())
        tokens = tuple(token for word in plain.words for token in word.tokens)
        drafts = {"right": tokens, "too long": tokens + wrong, "wrong at the end": tokens[:2] + wrong, "wrong": wrong}
        taken["none"] += without
        for name, draft in drafts.items():
            hypothesis, needed = heard(draft)
            taken[name] += needed
            assert words(hypothesis) == words(plain), name
            assert [word.end for word in hypothesis.words] == [word.end for word in plain.words], name
            assert hypothesis.mean_log_probability == pytest.approx(plain.mean_log_probability, abs=1e-5), name
            assert needed == 2 or (beam_size, name) not in ((1, "right"), (1, "too long"))  # with that for alignment
    assert taken["right"] == taken["too long"] <= taken["wrong at the end"] <= taken["wrong"] == taken["none"]
    assert taken["right"] < taken["none"]  # little in these seconds, where there often is a second hypothesis
