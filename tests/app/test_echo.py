"""What is taken out of the microphone's sound, what is let through, on sound made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soxr

from app.desk.adaptive import LinearCanceller
from app.desk.delay import DelayEstimator, explained
from app.desk.double_talk import AEC3_LATE, PAUSE, DoubleTalk, Parts
from app.desk.echo import HalfDuplex
from app.desk.guard import Guard
from app.desk.sound import DESK_RATE, FRAME, SILENCE, level_db

LOUD = np.full(FRAME, 0.5, np.float32)


def test_half_duplex_closes_the_microphone_while_the_loudspeaker_speaks() -> None:
    closed = HalfDuplex(hangover_s=0.02)
    assert closed.process(LOUD, SILENCE) is LOUD
    assert not closed.process(LOUD, LOUD).any()
    assert not closed.process(LOUD, SILENCE).any()
    assert closed.process(LOUD, SILENCE) is LOUD


def test_delay_between_loudspeaker_and_microphone_is_found() -> None:
    played = np.random.default_rng(0).normal(0, 0.1, DESK_RATE * 4).astype(np.float32)
    delay = round(0.23 * DESK_RATE)
    heard = np.concatenate([np.zeros(delay, np.float32), played])[: len(played)] * np.float32(0.3)
    estimator = DelayEstimator()
    for at in range(0, len(played), FRAME):
        estimator.add(heard[at : at + FRAME], played[at : at + FRAME])
    assert estimator.seconds == pytest.approx(0.23, abs=0.005)


def through(
    guard: Guard, heard: np.ndarray, cleaned: np.ndarray, played: np.ndarray, delay_s: float = 0.0
) -> np.ndarray:
    """What a guard lets through of `cleaned`."""
    frames = [[sound[a : a + FRAME] for sound in (heard, cleaned, played)] for a in range(0, len(heard), FRAME)]
    return np.concatenate([guard.process(*each, delay_s) for each in frames])


def noise(seed: int, seconds: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(DESK_RATE * seconds)).astype(np.float32)


def test_guard_lets_a_person_through_at_once_while_nothing_is_played() -> None:
    person = noise(0, 1.0)
    assert np.array_equal(through(Guard(), person, person, np.zeros_like(person)), person)


def test_guard_keeps_back_an_echo_that_was_not_taken_out() -> None:
    played = noise(0, 3.0)
    echo = np.concatenate([np.zeros(DESK_RATE // 10, np.float32), played])[: len(played)]
    assert not through(Guard(), echo, echo, played).any()


def test_guard_that_has_seen_the_echo_held_down_lets_a_person_talk_over_it() -> None:
    guard = Guard()
    played = noise(0, 3.0)
    through(guard, played, played * np.float32(1e-4), played)
    person = noise(1, 1.0)
    passed = through(guard, played[: len(person)] + person, person, played[: len(person)])
    assert np.count_nonzero(passed) > 0.6 * len(person)


def proven() -> tuple[Guard, np.ndarray]:
    """A guard that has seen an echo held down and then nothing played for a second, and a sound for what comes."""
    guard, played = Guard(), noise(0, 3.0)
    through(guard, played, played * np.float32(1e-4), played)
    quiet = np.zeros(DESK_RATE, np.float32)
    through(guard, quiet, quiet, quiet)
    return guard, played


def test_what_is_heard_as_the_voice_begins_in_quiet_is_its_echo_until_that_is_held_down() -> None:
    guard, played = proven()
    odd = noise(1, 0.6)  # an echo that resembles nothing
    heard = played[: len(odd)] + odd
    assert not through(guard, heard, odd, played[: len(odd)]).any()


def test_guard_that_doubts_lets_nobody_talk_over_the_echo_until_it_is_held_down_for_a_while() -> None:
    guard, played = proven()
    guard.doubt()
    half = DESK_RATE // 2
    through(guard, played[:half], played[:half] * np.float32(1e-4), played[:half])
    person = noise(1, 1.0)
    assert not through(guard, played[: len(person)] + person, person, played[: len(person)]).any()
    quiet = np.zeros(2 * DESK_RATE, np.float32)
    through(guard, quiet, quiet, quiet)
    assert np.array_equal(through(guard, person, person, quiet[: len(person)]), person)


def test_guard_believes_again_once_the_echo_is_held_down_as_before_the_pause() -> None:
    guard, played = proven()
    half = DESK_RATE // 2
    through(guard, played[:half], played[:half] * np.float32(1e-4), played[:half])
    person = noise(1, 1.0)
    assert through(guard, played[: len(person)] + person, person, played[: len(person)]).any()


@pytest.mark.parametrize(("delay_s", "from_s"), [(0.0, 1.0), (0.06, 0.56), (0.7, 1.0)])
def test_whoever_is_heard_once_no_echo_can_come_any_more_passes_also_where_it_was_never_held_down(
    delay_s: float, from_s: float
) -> None:
    guard, played, person = Guard(), noise(0, 1.0), noise(1, 2.0)
    through(guard, played, played, played, delay_s)
    passed = through(guard, person, person, np.zeros_like(person), delay_s)
    assert np.flatnonzero(passed)[0] / DESK_RATE == pytest.approx(from_s, abs=0.02)


def test_person_who_speaks_already_as_the_voice_begins_goes_on_being_heard() -> None:
    guard, played = proven()
    person = noise(1, 1.5)
    nothing = np.zeros(DESK_RATE // 2, np.float32)
    through(guard, person[: len(nothing)], person[: len(nothing)], nothing)
    rest = person[len(nothing) :]
    assert np.count_nonzero(through(guard, played[: len(rest)] + rest, rest, played[: len(rest)])) > 0.5 * len(rest)


def late(samples: np.ndarray, seconds: float, gain: float = 0.5) -> np.ndarray:
    """What comes back of `samples`."""
    delay = round(seconds * DESK_RATE)
    return np.concatenate([np.zeros(delay, np.float32), samples])[: len(samples)] * np.float32(gain)


def subtracted(canceller: LinearCanceller, heard: np.ndarray, played: np.ndarray) -> np.ndarray:
    return np.concatenate([canceller.process(heard[a : a + FRAME], played[a : a + FRAME]) for a in starts(heard)])


NOTHING = [SILENCE] * (LinearCanceller.PARTITIONS + 1)


def before(samples: np.ndarray, end: int) -> list[np.ndarray]:
    """As many frames as a canceller models and one more, the newest first, `end` samples on."""
    return [samples[end - (n + 1) * FRAME : end - n * FRAME] for n in range(LinearCanceller.PARTITIONS + 1)]


def starts(samples: np.ndarray) -> range:
    return range(0, len(samples), FRAME)


def test_linear_canceller_learns_the_way_and_leaves_a_person_alone() -> None:
    played, person = noise(0, 4.0), noise(1, 4.0)
    person[: 2 * DESK_RATE] = 0
    left = subtracted(LinearCanceller(), late(played, 0.04) + person, played)
    assert level_db(left[DESK_RATE : 2 * DESK_RATE]) < level_db(late(played, 0.04)) - 20
    assert level_db((left - person)[3 * DESK_RATE :]) < level_db(person) - 15


def test_where_the_loudspeaker_is_silent_unknown_to_the_canceller_no_echo_is_added() -> None:
    played = noise(0, 4.0)
    heard = late(played, 0.04) + 1e-4 * noise(1, 4.0)
    dry = slice(3 * DESK_RATE, 3 * DESK_RATE + 10 * FRAME)
    heard[dry] = 1e-4 * noise(1, 4.0)[dry]
    left = subtracted(LinearCanceller(), heard, played)
    assert np.array_equal(left[dry], heard[dry])


def test_linear_canceller_keeps_what_it_learned_where_what_was_played_is_handed_in_later() -> None:
    played = noise(0, 3.0)
    heard = late(played, 0.06)
    canceller = LinearCanceller()
    subtracted(canceller, heard[: 2 * DESK_RATE], played[: 2 * DESK_RATE])
    canceller.shift(3, before(played, 2 * DESK_RATE - 3 * FRAME))
    held = late(played, 0.03, 1.0)
    left = subtracted(canceller, heard[2 * DESK_RATE :], held[2 * DESK_RATE :])
    assert level_db(left[DESK_RATE // 2 :]) < level_db(heard) - 20
    canceller.shift(-3, NOTHING)
    assert np.isfinite(subtracted(canceller, heard, played)).all()


@pytest.mark.parametrize("frames", [-40, 40])
def test_way_that_moved_out_of_the_window_is_learned_anew(frames: int) -> None:
    played = noise(0, 3.0)
    canceller = LinearCanceller()
    subtracted(canceller, late(played, 0.06), played)
    canceller.shift(frames, NOTHING)
    left = subtracted(canceller, heard := late(played, 0.04), played)
    assert level_db(left[2 * DESK_RATE :]) < level_db(heard) - 20


@pytest.mark.parametrize(("later_s", "gain"), [(0.005, 0.5), (-0.017, 0.4), (0.0, 0.2)])
def test_path_that_only_moved_or_changed_in_loudness_is_found_again_at_once(later_s: float, gain: float) -> None:
    played = noise(0, 4.0)
    change = 3 * DESK_RATE
    after = late(played, 0.04 + later_s, gain)
    heard = np.concatenate([late(played, 0.04)[:change], after[change:]])
    left = subtracted(LinearCanceller(), heard, played)
    soon = slice(change + round(0.25 * DESK_RATE), change + round(0.5 * DESK_RATE))
    assert level_db(left[soon]) < level_db(heard[soon]) - 15


def test_path_that_moved_by_as_much_as_a_sound_server_forgets_is_found_again_sooner_than_learned() -> None:
    played = noise(0, 4.0)
    change = 3 * DESK_RATE
    heard = np.concatenate([late(played, 0.04)[:change], late(played, 0.1)[change:]])
    left = subtracted(LinearCanceller(), heard, played)
    soon = slice(change + round(0.6 * DESK_RATE), change + round(0.7 * DESK_RATE))
    assert level_db(left[soon]) < level_db(heard[soon]) - 20


def test_person_is_not_taken_for_a_path_that_has_moved() -> None:
    played, person = noise(0, 4.0), noise(1, 4.0)
    person[: 3 * DESK_RATE] = 0
    canceller = LinearCanceller()
    left = subtracted(canceller, late(played, 0.04) + person, played)
    assert level_db((left - person)[3 * DESK_RATE :]) < level_db(person) - 15


@pytest.mark.parametrize("later_s", [0.03, 0.2])
def test_path_that_a_loudspeaker_has_moved_is_subtracted_again_while_a_person_speaks(later_s: float) -> None:
    """The second leaves the window: what was played is handed in as much later."""
    played, person = noise(0, 6.0), noise(1, 6.0)
    person[: 3 * DESK_RATE] = 0
    change = 3 * DESK_RATE
    heard = np.concatenate([late(played, 0.04)[:change], late(played, 0.04 + later_s)[change:]]) + person
    canceller, lag = LinearCanceller(), 0
    left: list[np.ndarray] = []
    for a in starts(heard):
        if a == change:
            canceller.moved()
        if canceller.later > 0.1 * DESK_RATE:
            lag = canceller.later // FRAME
            canceller.shift(lag, before(played, a - lag * FRAME))
        left.append(canceller.process(heard[a : a + FRAME], played[a - lag * FRAME : a - lag * FRAME + FRAME]))
    assert (lag > 0) == (later_s > 0.1)
    over = slice(4 * DESK_RATE, None)
    assert level_db((np.concatenate(left) - person)[over]) < level_db(person[over]) - 20


def test_person_who_speaks_for_long_over_a_fixed_path_teaches_the_canceller_nothing() -> None:
    played, person = noise(0, 12.0), noise(1, 12.0)
    person[: 3 * DESK_RATE] = 0
    left = subtracted(LinearCanceller(), late(played, 0.04) + person, played)
    assert level_db((left - person)[8 * DESK_RATE :]) < level_db(person) - 30


@pytest.mark.parametrize("drift_ppm", [20, -60])
def test_path_that_moves_as_two_clocks_drift_apart_is_subtracted_also_under_a_person(drift_ppm: int) -> None:
    """Below 4 kHz, where speech is."""
    played, person = (soxr.resample(noise(n, 16.0 * 8000 / DESK_RATE), 8000, DESK_RATE) for n in (0, 1))
    drifting = soxr.resample(played, DESK_RATE, DESK_RATE * (1 + drift_ppm / 1e6))
    heard = late(np.resize(drifting, len(played)), 0.04)
    person[: 10 * DESK_RATE] = person[13 * DESK_RATE :] = 0
    left = subtracted(LinearCanceller(), heard + person, played)
    assert level_db((left - person)[8 * DESK_RATE :]) < level_db(heard) - 25


def test_canceller_that_learns_a_path_is_not_surprised_and_by_a_person_it_is() -> None:
    played, person = noise(0, 4.0), noise(1, 4.0)
    person[: 2 * DESK_RATE] = 0
    heard = np.concatenate([late(played, 0.04)[:DESK_RATE], late(played, 0.07, 0.3)[DESK_RATE:]]) + person
    canceller = LinearCanceller()
    surprise: list[float] = []
    for a in starts(heard):
        canceller.process(heard[a : a + FRAME], played[a : a + FRAME])
        surprise.append(canceller.surprise_db)
    learning = [*surprise[10:100], *surprise[150:200]]
    assert np.mean(np.array(learning) > DoubleTalk.SURPRISE_DB) < 0.05
    assert np.mean(np.array(surprise[205:]) > DoubleTalk.SURPRISE_DB) > 0.9


def mixed(double_talk: DoubleTalk, heard: np.ndarray, left: np.ndarray) -> np.ndarray:
    """What comes out where the linear filter gives `left`, and what follows it nothing at all."""
    played = heard - left
    frames = [
        double_talk.process(Parts(heard[a : a + FRAME], played[a : a + FRAME], left[a : a + FRAME], SILENCE))
        for a in starts(heard)
    ]
    return np.concatenate([frame[0] for frame in frames if frame])


def test_person_who_is_plainly_louder_than_what_is_left_of_the_echo_is_let_through() -> None:
    echo, person = noise(0, 4.0), noise(1, 4.0)
    person[: 3 * DESK_RATE] = 0
    left = np.float32(0.05) * noise(2, 4.0) + person
    out = mixed(DoubleTalk(), echo + left, left)
    assert not out[: 2 * DESK_RATE].any()
    late_by = len(left) - len(out) + AEC3_LATE
    assert np.array_equal(out[-DESK_RATE // 2 :], left[-DESK_RATE // 2 - late_by : -late_by])


def test_person_is_believed_once_the_path_is_known_to_be_the_same_as_before_a_pause() -> None:
    echo, person = noise(0, 6.0), noise(1, 6.0)
    echo[3 * DESK_RATE : 4 * DESK_RATE] = 0
    person[: 4 * DESK_RATE] = 0
    left = np.float32(0.05) * echo + person
    assert not mixed(DoubleTalk(), echo + left, left)[4 * DESK_RATE :].any()
    person[: 5 * DESK_RATE] = 0
    left = np.float32(0.05) * echo + person
    assert mixed(DoubleTalk(), echo + left, left)[5 * DESK_RATE :].any()


def test_person_who_began_before_the_voice_is_believed_at_once_where_its_path_was_known_and_is_not_lost() -> None:
    assert over_after(knowing(), before_s=0.2)
    assert not over_after(knowing(), before_s=0.02), "a click is no person"
    assert not over_after(knowing(), before_s=0.2, since_s=1.0), "they have ended"
    assert not over_after(knowing(), before_s=0.2, played=True), "it may be an echo that comes elsewhere"
    assert not over_after(DoubleTalk(), before_s=0.2)
    assert not over_after(knowing(), before_s=0.2, astray=True)
    assert not over_after(knowing(), before_s=0.2, anew=True)


def test_person_who_begins_together_with_the_voice_is_suspected_where_its_path_was_known_and_is_not_lost() -> None:
    assert suspected(knowing())
    assert suspected(knowing(), begins_s=0.2)
    assert not suspected(knowing(), person=False), "its echo is as it was"
    assert not suspected(DoubleTalk())
    assert not suspected(knowing(), astray=True)
    assert not suspected(knowing(), anew=True)


def suspected(double_talk: DoubleTalk, *, person: bool = True, begins_s: float = 0.0, **said: bool) -> bool:
    """Whether somebody is, who begins so long after the voice, which had paused."""
    hear_over(double_talk, np.zeros(DESK_RATE, np.float32), np.float32(1e-3) * noise(3, 1.0))
    echo = noise(2, begins_s + 0.1)
    left = np.float32(0.01) * echo
    left[round(begins_s * DESK_RATE) :] += person * noise(3, 0.1)
    hear_over(double_talk, echo, left, **said)
    return double_talk.suspects


def over_after(
    double_talk: DoubleTalk, *, before_s: float, since_s: float = 0.0, played: bool = False, **said: bool
) -> bool:
    """Whether somebody is known to speak over a voice who was heard so long before it, and last so long ago; `played`:
    the voice was played meanwhile, and what the filter left is what was heard."""
    for seconds, loud in ((2.0, False), (before_s, True), (since_s, False)):
        sound = np.float32(1 if loud else 1e-3) * noise(1, seconds)
        for a in starts(sound):
            frame = sound[a : a + FRAME]
            double_talk.process(Parts(frame, LOUD if played and loud else SILENCE, frame, SILENCE))
    return spoken_over(double_talk, 0.1, **said)


def test_one_frame_that_seems_a_person_is_not_believed_for_long() -> None:
    echo, person = noise(0, 4.0), noise(1, 4.0)
    person[: 3 * DESK_RATE] = person[3 * DESK_RATE + FRAME :] = 0
    left = np.float32(0.05) * noise(2, 4.0) + np.float32(0.7) * person
    heard = np.flatnonzero(mixed(DoubleTalk(), echo + left, left))
    assert len(heard)
    assert heard[-1] - heard[0] < DoubleTalk.HANGOVER * FRAME


def test_person_goes_on_being_heard_where_the_voice_pauses() -> None:
    echo, person = noise(0, 6.0), noise(1, 6.0)
    echo[4 * DESK_RATE :] *= np.float32(1e-6)
    person[: 3 * DESK_RATE] = 0
    person *= np.sin(np.arange(len(person)) * 4 * np.pi / DESK_RATE) > 0  # as syllables do
    left = np.float32(0.05) * echo + person
    double_talk = DoubleTalk()
    mixed(double_talk, echo + left, left)
    assert double_talk.person


def test_noise_of_the_room_is_no_person() -> None:
    echo, hum = noise(0, 6.0), np.float32(0.6) * noise(1, 6.0)
    hum[: 3 * DESK_RATE] *= np.float32(0.1)
    echo[3 * DESK_RATE : 5 * DESK_RATE] *= np.float32(1e-4)
    assert not mixed(DoubleTalk(), echo + hum, hum)[5 * DESK_RATE :].any()


def spoken_over(double_talk: DoubleTalk, seconds: float, **said: bool) -> bool:
    """Whether a person is known to speak over an echo, who does."""
    hear_over(double_talk, noise(2, seconds), noise(3, seconds), **said)
    return double_talk.person


def hear_over(double_talk: DoubleTalk, echo: np.ndarray, left: np.ndarray, **said: bool) -> None:
    for a in starts(echo):
        e, p = echo[a : a + FRAME], left[a : a + FRAME]
        double_talk.process(replace(Parts(e + p, e, p, SILENCE), **said))


def knowing() -> DoubleTalk:
    """The echo's path."""
    double_talk, echo = DoubleTalk(), noise(0, 3.0)
    mixed(double_talk, np.float32(1.01) * echo, np.float32(0.01) * echo)
    return double_talk


def test_person_is_believed_at_once_where_the_path_that_has_moved_is_found_and_else_not() -> None:
    double_talk = knowing()
    double_talk.forget()
    assert not spoken_over(double_talk, 0.5)
    double_talk.process(Parts(SILENCE, SILENCE, SILENCE, SILENCE, found=True))
    assert spoken_over(double_talk, 0.2)


def test_path_that_was_never_known_is_not_known_because_it_was_found_elsewhere() -> None:
    double_talk = DoubleTalk()
    double_talk.process(Parts(SILENCE, SILENCE, SILENCE, SILENCE, found=True))
    assert not spoken_over(double_talk, 0.5)


def test_path_that_was_not_borne_out_since_a_pause_is_not_known_because_it_was_found_elsewhere() -> None:
    double_talk = knowing()
    for _ in range(PAUSE + 5):
        double_talk.process(Parts(SILENCE, SILENCE, SILENCE, SILENCE))
    double_talk.forget()
    double_talk.process(Parts(SILENCE, LOUD, SILENCE, SILENCE, found=True))
    assert not spoken_over(double_talk, 0.5)


def test_person_who_is_louder_than_any_echo_is_believed_wherever_that_comes_from() -> None:
    double_talk = knowing()
    double_talk.forget()
    assert spoken_over(double_talk, 0.2, louder=True)


def test_nothing_passes_as_it_is_while_the_way_of_the_echo_is_not_known() -> None:
    echo = noise(0, 3.0)
    assert not mixed(DoubleTalk(), echo, np.float32(0.6) * echo).any()


def test_canceller_knows_that_the_way_has_changed_before_the_echo_comes_another_way() -> None:
    played = noise(0, 2.0)
    heard = np.concatenate([late(played, 0.04)[:DESK_RATE], np.zeros(DESK_RATE, np.float32)])
    canceller = LinearCanceller()
    seen: list[bool] = []
    for a in starts(heard):
        canceller.process(heard[a : a + FRAME], played[a : a + FRAME])
        seen.append(canceller.astray)
    assert not any(seen[50:100])
    assert any(seen[100:120])


def test_path_is_learned_anew_where_it_changed_and_not_where_it_moved() -> None:
    played = noise(0, 6.0)
    ways = [late(played, 0.04), late(played, 0.07), late(played, 0.02) + late(played, 0.03, -0.4)]
    heard = np.concatenate([way[n * 2 * DESK_RATE : (n + 1) * 2 * DESK_RATE] for n, way in enumerate(ways)])
    canceller = LinearCanceller()
    anew: list[bool] = []
    for a in starts(heard):
        canceller.process(heard[a : a + FRAME], played[a : a + FRAME])
        anew.append(canceller.anew)
    assert all(anew[:60])
    assert not any(anew[150:400]), "known, and found again"
    assert any(anew[400:460])
    assert not any(anew[-20:])


def test_nobody_is_heard_over_an_echo_whose_path_is_learned_anew() -> None:
    echo, person = noise(0, 4.0), noise(1, 4.0)
    person[: 3 * DESK_RATE] = 0
    left = np.float32(0.05) * noise(2, 4.0) + person
    double_talk = DoubleTalk()
    for a in starts(echo):
        parts = Parts(echo[a : a + FRAME] + left[a : a + FRAME], echo[a : a + FRAME], left[a : a + FRAME], SILENCE)
        double_talk.process(replace(parts, anew=True))
    assert not double_talk.person


def test_guard_that_is_closed_keeps_back_what_waits() -> None:
    guard = Guard()
    played = noise(0, 3.0)
    through(guard, played, played * np.float32(1e-4), played)
    person = noise(1, 0.2)
    through(guard, played[: len(person)] + person, person, played[: len(person)])
    guard.close()
    assert not through(guard, played[: len(person)] + person, person, played[: len(person)]).any()


def test_path_that_was_found_where_it_has_moved_has_to_be_borne_out_before_a_person_passes() -> None:
    guard = Guard()
    played, person = noise(0, 3.0), noise(1, 1.0)
    through(guard, played, played * np.float32(1e-4), played)
    guard.doubt()
    guard.found()
    frames = [
        guard.process(
            (played + np.resize(person, len(played)))[a : a + FRAME],
            person[a : a + FRAME],
            played[a : a + FRAME],
            0.0,
            over=True,
        )
        for a in starts(person)
    ]
    wait = [len(frame) > 0 for frame in frames].index(True)
    assert Guard.ENOUGH - 2 <= wait <= Guard.ENOUGH + 2
    assert np.array_equal(np.concatenate(frames), person[: len(np.concatenate(frames))]), "and nothing is lost"


def test_what_was_played_explains_its_echo_and_not_a_person_over_the_little_that_is_left_of_it() -> None:
    played, person = noise(0, 1.0)[::6], noise(1, 1.0)[::6]
    at, window = 800, 2000
    echo = 0.3 * played[-window - at : len(played) - at]
    assert explained(echo, played, at) > 0.9
    assert explained(0.1 * echo + person[-window:], played, at) < Guard.EXPLAINED
    assert explained(echo, played, at + 100) < Guard.EXPLAINED
