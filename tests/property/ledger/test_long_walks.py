"""Long walks from seeds: every ledger answers as the model does, and all of them answer the same."""

from __future__ import annotations

from random import Random

import pytest

from domain.transfer import ResultCode
from ledger.memory import MemoryLedger
from tests.conformance.ledger.implementations import IMPLEMENTATIONS
from tests.property.ledger.walk import Walk, take_steps


def test_long_walks_answer_as_the_model_and_meet_every_code() -> None:
    met: set[ResultCode] = set()
    for seed in range(20):
        walk = Walk(MemoryLedger("t-walk"))
        take_steps(walk, Random(seed), steps=80, look_every=20)
        met |= walk.met
    assert met == set(ResultCode)


@pytest.mark.parametrize("seed", range(1000, 1003))
@pytest.mark.parametrize("name", [name for name in IMPLEMENTATIONS if name != "memory"])
def test_two_ledgers_answer_the_same(request: pytest.FixtureRequest, name: str, seed: int) -> None:
    ours, theirs = Walk(MemoryLedger("t-walk")), Walk(IMPLEMENTATIONS[name](request)())
    take_steps(ours, Random(seed), steps=40, look_every=10)
    take_steps(theirs, Random(seed), steps=40, look_every=10)
    assert ours.trace == theirs.trace
