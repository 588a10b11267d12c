"""Any walk of requests, repetitions, reorderings, expiry and closing: every ledger answers as the slow, obvious model does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from ledger.port import Ledger
from tests.conformance.ledger.implementations import IMPLEMENTATIONS
from tests.property.ledger.walk import Walk
from tests.property.ledger.wishes import Wish, fund, make_wishes


class LedgerMachine(RuleBasedStateMachine):
    """Drive a fresh ledger. The maker of ledgers is set by the test: the machine is made by hypothesis."""

    make_ledger: Callable[[], Ledger]

    @initialize(purse_minor=st.integers(0, 300))
    def open_house(self, purse_minor: int) -> None:
        self.walk = Walk(type(self).make_ledger())
        self.walk.ask_for([fund("customer:alice", 1000), *([fund("escrow:purse", purse_minor)] if purse_minor else [])])

    @rule(wishes=make_wishes(1))
    def ask_one(self, wishes: list[Wish]) -> None:
        self.walk.ask_for(wishes)

    @rule(wishes=make_wishes(8))
    def ask_many(self, wishes: list[Wish]) -> None:
        self.walk.ask_for(wishes)

    @rule(wishes=make_wishes(3), wait_s=st.sampled_from([-1, 1, 59, 60, 100]))
    def ask_later(self, wishes: list[Wish], wait_s: int) -> None:
        self.walk.ask_for(wishes, wait_s=wait_s)

    @rule(places=st.lists(st.integers(0, 200), min_size=1, max_size=4))
    def ask_again(self, places: list[int]) -> None:
        self.walk.ask_again(places)

    @rule(place=st.integers(0, 50))
    def supersede(self, place: int) -> None:
        self.walk.supersede(place)

    @rule(seconds=st.sampled_from([1, 30, 61, 3600, -40]))
    def move_clock(self, seconds: int) -> None:
        self.walk.move_clock(seconds)

    @rule(limit=st.sampled_from([1, 2, 1000]))
    def expire(self, limit: int) -> None:
        self.walk.expire(limit)

    @rule()
    def roll_up(self) -> None:
        self.walk.roll_up()

    @precondition(lambda self: len(self.walk.asked) > 12)
    @rule(place=st.integers(0, 30), closes=st.booleans())
    def close_or_stop(self, place: int, closes: bool) -> None:
        # Only some: a walk on closed accounts is a short one.
        if place % 3 == 0:
            self.walk.close(place) if closes else self.walk.stop(place)

    @invariant()
    def same(self) -> None:
        self.walk.assert_same()

    def teardown(self) -> None:
        for code in self.walk.met:
            event(code.value)


@pytest.mark.parametrize("name", list(IMPLEMENTATIONS))
def test_every_ledger_answers_as_the_model(request: pytest.FixtureRequest, name: str) -> None:
    machine = type("Machine", (LedgerMachine,), {"make_ledger": staticmethod(IMPLEMENTATIONS[name](request))})
    # Where each step is a few calls of a database, there are fewer, and what fails is not made smaller: that takes minutes.
    examples, steps = (150, 30) if name == "memory" else (10, 15)
    phases = [Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if name == "memory" else [])]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=phases,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
