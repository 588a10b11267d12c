"""The nearest change: it really passes, it is the easiest, and where nothing helps nothing is claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.decision import Decision, Outcome
from domain.origin import Origin
from domain.proposal import ActionKind, ArgumentOrigin
from gates.decide import DecisionInput, decide_action
from gates.nearest import NearestChange, find_nearest_change
from gates.replay.inputs import input_of
from tests.unit.replay.history import BUNDLE, decide_example, make_history


def _apply(request: DecisionInput, kind: str, value: Any) -> DecisionInput:
    """Make the change by hand, in this test's own words."""
    facts, action = dict(request.facts), request.action
    if kind == "approvals":
        facts["approval.count"] = int(facts["approval.count"] or 0) + value
    elif kind == "amount_minor":
        action = action.model_copy(update={"amount_minor": value})
    elif kind == "operator_limit_minor":
        facts["operator.limit_minor"] = value
    elif kind == "operator_role":
        facts[f"operator.is_{value}"] = True
    else:
        names = value.split(", ")
        origins = [
            ArgumentOrigin(argument=origin.argument, origin=Origin.STAFF) if origin.argument in names else origin
            for origin in request.origins
        ]
        return replace(request, origins=tuple(origins))
    return replace(request, facts=facts, action=action)


def _outcome_after(decision: Decision, change: NearestChange) -> Outcome:
    request = input_of(decision)
    for kind, value in change.steps:
        request = _apply(request, kind, value)
    return decide_action(request, BUNDLE, now=decision.decided_at).outcome


def _with_origin(decision: Decision, argument: str, origin: Origin) -> Decision:
    """Decide the same again with another origin of one argument."""
    origins = tuple(
        ArgumentOrigin(argument=one.argument, origin=origin) if one.argument == argument else one for one in decision.origins
    )
    return decide_action(replace(input_of(decision), origins=origins), BUNDLE, now=decision.decided_at)


_CASES = [
    decide_example(ActionKind.REFUND, facts={"operator.limit_minor": 1000}),
    decide_example(ActionKind.REFUND, facts={"operator.is_support": False}),
    decide_example(ActionKind.REFUND, amount_minor=900),
    decide_example(ActionKind.REFUND, amount_minor=600_000, facts={"transaction.remaining_minor": 900_000}),
    decide_example(ActionKind.PAYMENT, facts={"beneficiary.age_hours": 1}),
    decide_example(ActionKind.GOODWILL_CREDIT, amount_minor=20_000),
    decide_example(ActionKind.REFUND, facts={"operator.is_support": False, "operator.limit_minor": 1000}),
    _with_origin(decide_example(ActionKind.PAYMENT), "beneficiary", Origin.DOCUMENT),
    *make_history(),
]


@pytest.mark.parametrize("decision", _CASES, ids=lambda decision: f"{decision.action.kind.value}-{decision.reasons[0].code}")
def test_what_is_named_really_passes(decision: Decision) -> None:
    change = find_nearest_change(decision, BUNDLE)
    if change is not None:
        assert _outcome_after(decision, change) is Outcome.ALLOW
    if decision.outcome is Outcome.ALLOW:
        assert change is None


def test_a_review_is_lifted_by_as_many_people_as_it_needs() -> None:
    one = find_nearest_change(decide_example(ActionKind.HOLD_RELEASE), BUNDLE)
    assert one == NearestChange((("approvals", 1),), "It would pass if one more person approved it.")


def test_a_cap_is_met_by_the_largest_amount_that_passes() -> None:
    large = decide_example(ActionKind.GOODWILL_CREDIT, amount_minor=20_000, facts={"operator.limit_minor": 50_000})
    found_nowhere = find_nearest_change(large, BUNDLE)
    assert found_nowhere is not None
    assert [kind for kind, _ in found_nowhere.steps] == ["named_by_staff", "amount_minor"]
    decision = _with_origin(large, "amount_minor", Origin.STAFF)
    assert decision.outcome is Outcome.DENY
    change = find_nearest_change(decision, BUNDLE)
    assert change is not None
    assert change == NearestChange((("amount_minor", 10_000),), "It would pass if the amount were at most EUR 100.00.")
    assert _outcome_after(decision, NearestChange((("amount_minor", 10_001),), "")) is Outcome.DENY


def test_another_role_is_named_and_two_steps_where_one_is_not_enough() -> None:
    role = find_nearest_change(decide_example(ActionKind.REFUND, facts={"operator.is_support": False}), BUNDLE)
    assert role is not None
    assert role.sentence == "It would pass if an operator with the role support asked for it."
    both = find_nearest_change(decide_example(ActionKind.HOLD_RELEASE, facts={"operator.is_investigator": False}), BUNDLE)
    assert both is not None
    assert [kind for kind, _ in both.steps] == ["operator_role", "approvals"]


@pytest.mark.parametrize(
    "decision",
    [
        decide_example(ActionKind.PAYMENT, facts={"beneficiary.screening_state": "hit"}),
        decide_example(ActionKind.REFUND, facts={"operator.active": False}),
        decide_example(ActionKind.UNLISTED),
        make_history()[-1],
    ],
    ids=["sanctions", "inactive", "unlisted", "refused by a person"],
)
def test_where_nothing_helps_nothing_is_claimed(decision: Decision) -> None:
    assert decision.outcome is Outcome.DENY
    assert find_nearest_change(decision, BUNDLE) is None
