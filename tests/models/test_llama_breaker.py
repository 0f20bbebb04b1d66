"""The circuit breaker, by its times and by every order of events."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from models.llama_breaker import BreakerConfig, CircuitBreaker, State

CONFIG = BreakerConfig(failures=3, rest_s=0.5, longest_rest_s=3.0)


def opened(config: BreakerConfig = CONFIG) -> CircuitBreaker:
    breaker = CircuitBreaker(config)
    for _ in range(config.failures):
        assert breaker.allow(0.0)
        breaker.failed(0.0)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = CircuitBreaker(CONFIG)
    for outcome in (False, False, True, False, False):
        breaker.allow(0.0)
        if outcome:
            breaker.succeeded()
        else:
            breaker.failed(0.0)
    assert breaker.state is State.CLOSED
    breaker.failed(0.0)
    assert breaker.state is State.OPEN


def test_what_a_person_must_mend_opens_it_at_once() -> None:
    breaker = CircuitBreaker(CONFIG)
    breaker.failed(0.0, at_once=True)
    assert not breaker.allow(0.4)


def test_one_probe_at_a_time_after_the_rest() -> None:
    breaker = opened()
    assert not breaker.allow(0.49)
    assert breaker.allow(0.5)
    assert not breaker.allow(0.5)


def test_rest_doubles_with_each_failed_probe_up_to_its_longest() -> None:
    breaker, now, rests = opened(), 0.0, []
    for _ in range(6):
        rest = next(step / 100 for step in range(1000) if breaker.allow(now + step / 100))
        now += rest
        rests.append(rest)
        breaker.failed(now)
    assert rests == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_successful_probe_closes_it_and_forgets_the_long_rests() -> None:
    breaker = opened()
    assert breaker.allow(0.5)
    breaker.failed(0.5)
    assert breaker.allow(1.5)
    breaker.succeeded()
    assert breaker.state is State.CLOSED
    for _ in range(3):
        breaker.failed(2.0)
    assert breaker.allow(2.5)


def test_cancelled_probe_makes_room_for_the_next() -> None:
    breaker = opened()
    assert breaker.allow(0.5)
    breaker.released(0.6)
    assert breaker.allow(0.6)


class AnyOrder(RuleBasedStateMachine):
    """However late requests end: one probe at a time, and a server is asked again within the longest rest."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.now, self.under_way, self.asked_at = CircuitBreaker(CONFIG), 0.0, 0, 0.0

    @rule(step=st.floats(0, 2))
    def wait(self, step: float) -> None:
        self.now += step

    @rule()
    def ask(self) -> None:
        probing = self.breaker.state is State.PROBING
        allowed = self.breaker.allow(self.now)
        assert not (probing and allowed)
        if allowed:
            self.under_way += 1

    @precondition(lambda self: self.under_way)
    @rule(how=st.sampled_from(["succeeded", "failed", "at once", "released"]))
    def end(self, how: str) -> None:
        self.under_way -= 1
        match how:
            case "succeeded":
                self.breaker.succeeded()
                assert self.breaker.state is State.CLOSED
            case "released":
                self.breaker.released(self.now)
            case _:
                self.breaker.failed(self.now, at_once=how == "at once")

    @invariant()
    def idle_breaker_lets_a_request_pass_after_the_longest_rest(self) -> None:
        if self.under_way == 0 and self.breaker.state is State.OPEN:
            copy = CircuitBreaker(CONFIG)
            copy.__dict__.update(self.breaker.__dict__)
            assert copy.allow(self.now + CONFIG.longest_rest_s)


TestAnyOrder = AnyOrder.TestCase
