"""The Cedar bundle and the plain evaluator agree on every act; nothing malformed is ever allowed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.decision import Outcome
from gates.decide import decide_action
from gates.policy.bundle import PolicyBundle, load_bundle_directory
from tests.property.gates.oracle import judge
from tests.property.gates.samples import allowed_request, make_malformed, make_sample

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return load_bundle_directory(STARTER)


def count_oracle_differences(bundle: PolicyBundle, *, seed: int, count: int) -> tuple[int, Counter[str]]:
    """Decide `count` seeded acts twice; return how many answers differ, and how often each outcome and code was seen."""
    rng = Random(seed)
    differences = 0
    seen: Counter[str] = Counter()
    for _ in range(count):
        request, act = make_sample(rng)
        decision = decide_action(request, bundle, now=NOW)
        outcome, reasons = judge(act, request.facts)
        got = [(reason.outcome.value, reason.code) for reason in decision.reasons]
        differences += (decision.outcome.value, got) != (outcome, reasons)
        seen.update({outcome, *(code for _, code in reasons)})
    return differences, seen


def test_no_difference_to_the_oracle(bundle: PolicyBundle) -> None:
    differences, seen = count_oracle_differences(bundle, seed=20261120, count=2_000)
    assert differences == 0
    assert seen.keys() >= bundle.reason_codes() | {"allow", "review", "hold", "deny"}


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**63))
def test_no_difference_on_any_seed(bundle: PolicyBundle, seed: int) -> None:
    assert count_oracle_differences(bundle, seed=seed, count=3)[0] == 0


def test_nothing_malformed_is_allowed(bundle: PolicyBundle) -> None:
    rng = Random(20261121)
    outcomes: Counter[Outcome] = Counter()
    for _ in range(2_000):
        decision = decide_action(make_malformed(rng), bundle, now=NOW)
        outcomes[decision.outcome] += 1
        assert "could_not_decide" in {reason.code for reason in decision.reasons}
    assert outcomes[Outcome.ALLOW] == 0
    assert decide_action(allowed_request(), bundle, now=NOW).outcome is Outcome.ALLOW


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**63))
def test_the_same_input_gives_the_same_bytes(bundle: PolicyBundle, seed: int) -> None:
    first, _ = make_sample(Random(seed))
    second, _ = make_sample(Random(seed))
    again = load_bundle_directory(STARTER)
    assert decide_action(first, bundle, now=NOW).model_dump_json() == decide_action(second, again, now=NOW).model_dump_json()
