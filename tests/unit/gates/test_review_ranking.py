"""The riskier ranks higher, and alike ones share a name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.decision import Decision, Outcome, Reason
from gates.decide import decide_action
from gates.policy.bundle import load_bundle_directory
from gates.review_ranking import list_review_codes, measure_priority, name_group
from tests.property.gates.samples import allowed_request

STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"


@pytest.fixture(scope="module")
def decision() -> Decision:
    request = allowed_request()
    return decide_action(request, load_bundle_directory(STARTER), now=datetime(2026, 11, 20, 12, 0, tzinfo=UTC))


def _change(decision: Decision, *codes: str, amount_minor: int = 100, limit_minor: object = 1_000, score: int = 0) -> Decision:
    reasons = tuple(Reason(code=code, outcome=Outcome.REVIEW, policy_id=f"rule-{code}") for code in codes)
    allow = Reason(code="within_policy", outcome=Outcome.ALLOW, policy_id="permit")
    return decision.model_copy(
        update={
            "outcome": Outcome.REVIEW,
            "reasons": (*reasons, allow),
            "action": decision.action.model_copy(update={"amount_minor": amount_minor}),
            "facts": {**decision.facts, "operator.limit_minor": limit_minor},
            "score": decision.score.model_copy(update={"score": score}),
        }
    )


def test_each_part_adds_its_own(decision: Decision) -> None:
    assert measure_priority(_change(decision)) == 10
    assert measure_priority(_change(decision, score=7)) == 17
    assert measure_priority(_change(decision, "velocity", "velocity", "score_high")) == 210
    assert measure_priority(_change(decision, "new_beneficiary", "screening_unknown")) == 410
    assert measure_priority(_change(decision, amount_minor=2_999)) == 299
    assert measure_priority(_change(decision, amount_minor=3_000)) == 300
    assert measure_priority(_change(decision, amount_minor=10**15)) == 300
    assert measure_priority(_change(decision, amount_minor=0)) == 0


@pytest.mark.parametrize("limit_minor", [0, None, True, "1000"])
def test_no_usable_limit_ranks_any_amount_highest(decision: Decision, limit_minor: object) -> None:
    assert measure_priority(_change(decision, limit_minor=limit_minor)) == 300


def test_alike_is_the_same_person_kind_and_doubts(decision: Decision) -> None:
    one = _change(decision, "velocity", "score_high", amount_minor=5)
    assert list_review_codes(one) == ("score_high", "velocity")
    assert name_group(one) == f"{decision.operator_id}|refund|score_high,velocity"
    assert name_group(one) == name_group(_change(decision, "score_high", "velocity", amount_minor=9))
    assert name_group(one) != name_group(_change(decision, "velocity"))
    assert name_group(one) != name_group(one.model_copy(update={"operator_id": "opr_other"}))
