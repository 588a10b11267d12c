"""The ladder: each rung repairs one fault and meets the next reason, in the written precedence."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.canonical import digest_of
from domain.clock import NaiveTime
from domain.decision import PRECEDENCE, Outcome, Reason
from domain.origin import Origin
from domain.proposal import ActionKind, ArgumentOrigin, ReasonCode
from gates import decide as decide_module
from gates.decide import DecisionInput, count_required_approvals, decide_action
from gates.policy.bundle import PolicyBundle, load_bundle_directory
from tests.property.gates.samples import allowed_request

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"
Change = Callable[[DecisionInput], DecisionInput]


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return load_bundle_directory(STARTER)


def _facts(**changed: Any) -> Change:
    changes = {name.replace("__", "."): value for name, value in changed.items()}
    return lambda request: replace(request, facts={**request.facts, **changes})


def _action(**changed: Any) -> Change:
    return lambda request: replace(request, action=request.action.model_copy(update=changed))


def _origin(argument: str, origin: Origin) -> Change:
    def change(request: DecisionInput) -> DecisionInput:
        others = tuple(item for item in request.origins if item.argument != argument)
        return replace(request, origins=(*others, ArgumentOrigin(argument=argument, origin=origin)))

    return change


def _baseline(merchant: int) -> Change:
    facts = {"customer_flags_count": 0, "merchant_flags_count": merchant, "reasons": "burst_at_merchant", "refs": "0" * 12}
    return _facts(**{f"baseline__{name}": value for name, value in facts.items()})


def _score(score: int) -> Change:
    return lambda request: replace(request, score=request.score.model_copy(update={"score": score}))


# Every fault at once, in precedence. Repairing the first one must bring up the second, and so on down to an allow.
LADDER: list[tuple[str, Change]] = [
    ("account_closed", _facts(account__status="closed")),
    ("amount_above_remainder", _facts(transaction__remaining_minor=1)),
    ("currency_mismatch", _facts(transaction__currency="USD")),
    ("hard_cap", _action(amount_minor=500_001)),
    ("operator_inactive", _facts(operator__active=False)),
    ("role_missing", _facts(operator__is_support=False)),
    ("transaction_not_granted", _facts(grant__granted=False)),
    ("transaction_not_refundable", _facts(transaction__status="pending")),
    ("transaction_of_other_customer", _facts(transaction__owner_matches=False)),
    ("turn_mismatch", _facts(conversation__message_matches=False)),
    ("account_blocked", _facts(account__status="blocked")),
    ("above_operator_limit", _facts(operator__limit_minor=1)),
    ("account_currency_differs", _facts(account__currency="USD")),
    ("amount_origin_untrusted", _origin("amount_minor", Origin.MODEL)),
    ("breaks_from_usual", _baseline(merchant=1)),
    ("claim_unconfirmed", _action(reason_code="goods_not_received")),
    ("disputed_transaction", _facts(transaction__is_disputed=True)),
    ("duplicate_apart", _facts(transaction__duplicate_gap_s=601, transaction__named_by_staff=True)),
    ("duplicate_not_confirmed", _facts(transaction__is_duplicate=False, transaction__named_by_staff=True)),
    ("four_eyes_needed", _action(amount_minor=100_001)),
    ("kyc_not_verified", _facts(customer__kyc_status="pending")),
    ("prior_refund_on_transaction", _facts(transaction__refund_count=1)),
    ("repeated_proposal", _facts(conversation__earlier_proposals_count=1)),
    ("score_high", _score(600)),
    ("split_amounts", _facts(velocity__customer_24h_minor=10**9)),
    ("stale_transaction", _facts(transaction__age_days=121)),
    ("transaction_origin_untrusted", _origin("transaction", Origin.CUSTOMER_TEXT)),
    ("turn_not_current", _facts(conversation__message_is_last=False)),
    ("velocity", _facts(customer__refunds_1d_count=3)),
]
_CONFLICTING = {
    "duplicate_apart": "claim_unconfirmed", "duplicate_not_confirmed": "duplicate_apart", "account_blocked": "account_closed",
    "four_eyes_needed": "hard_cap",
}  # fmt: skip


@pytest.mark.parametrize("rung", range(len(LADDER) + 1))
def test_ladder(bundle: PolicyBundle, rung: int) -> None:
    request = allowed_request()
    # An amount that later rungs raise must not exceed the limits that they are not about.
    request = _facts(operator__limit_minor=10**9, transaction__remaining_minor=10**9)(request)
    faults = [(code, change) for code, change in LADDER[rung:] if _CONFLICTING.get(code) not in dict(LADDER[rung:])]
    # The first fault of the ladder is applied last, so that it wins where two set the same thing.
    for _, change in reversed(faults):
        request = change(request)
    decision = decide_action(request, bundle, now=NOW)
    codes = [reason.code for reason in decision.reasons]
    expected = LADDER[rung][0] if rung < len(LADDER) else "within_policy"
    assert codes[0] == expected
    assert {code for code, _ in faults} <= set(codes)
    assert codes == [reason.code for reason in _in_precedence(decision.reasons)]


def _in_precedence(reasons: tuple[Reason, ...]) -> list[Reason]:
    return sorted(reasons, key=lambda reason: (PRECEDENCE.index(reason.outcome), reason.code, reason.policy_id))


def test_every_rule_of_the_bundle_stands_on_the_ladder_or_is_tested_here(bundle: PolicyBundle) -> None:
    elsewhere = {"within_policy", "already_refunded", "amount_not_positive", "currency_unlisted"}
    own_tests = [json.loads(line) for line in bundle.content["files"]["tests.jsonl"].splitlines()]
    in_the_bundle = {code for case in own_tests for code in case["expect"]["codes"]}
    assert bundle.reason_codes() - {code for code, _ in LADDER} - elsewhere <= in_the_bundle


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_facts(transaction__remaining_minor=0), "already_refunded"),
        (_action(amount_minor=0), "amount_not_positive"),
        (_action(currency="BRL"), "currency_unlisted"),
        (_action(kind=ActionKind.UNLISTED), "kind_unlisted"),
        (_action(currency="XXX"), "currency_unlisted"),
    ],
)
def test_more_denials(bundle: PolicyBundle, change: Change, code: str) -> None:
    decision = decide_action(change(allowed_request()), bundle, now=NOW)
    assert decision.outcome is Outcome.DENY
    assert code in {reason.code for reason in decision.reasons}


@pytest.mark.parametrize("reason_code", list(ReasonCode))
@pytest.mark.parametrize(("is_duplicate", "gap_s"), [(True, 0), (True, 600), (True, 601), (False, 86_401)])
def test_a_claim_needs_our_records_or_the_operator_s_own_words(
    bundle: PolicyBundle, reason_code: ReasonCode, is_duplicate: bool, gap_s: int
) -> None:
    confirmed = reason_code is ReasonCode.DUPLICATE_CHARGE and is_duplicate and gap_s <= 600
    for named in (False, True):
        twin = _facts(
            transaction__is_duplicate=is_duplicate, transaction__duplicate_gap_s=gap_s, transaction__named_by_staff=named
        )
        decision = decide_action(twin(_action(reason_code=reason_code.value)(allowed_request())), bundle, now=NOW)
        unconfirmed = "claim_unconfirmed" in {reason.code for reason in decision.reasons}
        assert unconfirmed is not (named or confirmed)
        assert decision.outcome is Outcome.ALLOW or unconfirmed or reason_code is ReasonCode.DUPLICATE_CHARGE


def test_approvals_lift_reviews_and_nothing_else(bundle: PolicyBundle) -> None:
    def outcome(request: DecisionInput, approvals: int) -> Outcome:
        return decide_action(_facts(approval__count=approvals)(request), bundle, now=NOW).outcome

    roomy = _facts(operator__limit_minor=10**9, transaction__remaining_minor=10**9)(allowed_request())
    for code, change in LADDER:
        request = change(roomy)
        usual = decide_action(request, bundle, now=NOW).outcome
        if usual is not Outcome.REVIEW:
            assert (outcome(request, 1), outcome(request, 5)) == (usual, usual)
        elif code == "four_eyes_needed":
            assert (outcome(request, 1), outcome(request, 2)) == (Outcome.REVIEW, Outcome.ALLOW)
        else:
            assert outcome(request, 1) is Outcome.ALLOW
    assert outcome(_facts(customer__kyc_status=None)(roomy), 5) is Outcome.REVIEW


def test_how_many_approvals_a_decision_needs(bundle: PolicyBundle) -> None:
    roomy = _facts(operator__limit_minor=10**9, transaction__remaining_minor=10**9)(allowed_request())
    for amount_minor, required in ((100_000, 1), (100_001, 2)):
        decision = decide_action(_action(amount_minor=amount_minor)(roomy), bundle, now=NOW)
        assert count_required_approvals(decision, bundle) == required


def test_a_decision_names_everything_it_was_made_from(bundle: PolicyBundle) -> None:
    request = allowed_request()
    decision = decide_action(request, bundle, now=NOW)
    assert decision.expires_at == NOW + timedelta(seconds=60)
    assert decision.policy_bundle_sha256 == bundle.sha256
    assert decision.policy_version == "starter@4"
    assert "cedarpy/" in decision.engine_version
    assert decision.facts_digest == digest_of(dict(request.facts))
    assert decision.action_digest == request.action.digest()
    assert (decision.prompt_id, decision.model) == (request.trace.prompt_id, request.trace.model)


def test_a_closing_reason_settles_it_but_never_allows(bundle: PolicyBundle) -> None:
    refusal = Reason(code="review_refused", outcome=Outcome.DENY, policy_id="gate")
    settled = decide_action(replace(allowed_request(), closing_reason=refusal), bundle, now=NOW)
    assert (settled.outcome, settled.reasons) == (Outcome.DENY, (refusal,))
    smuggled = Reason(code="fine", outcome=Outcome.ALLOW, policy_id="gate")
    doubtful = decide_action(replace(allowed_request(), closing_reason=smuggled), bundle, now=NOW)
    assert doubtful.outcome is Outcome.REVIEW


def test_times_are_aware_and_no_clock_is_read(bundle: PolicyBundle) -> None:
    with pytest.raises(NaiveTime):
        decide_action(allowed_request(), bundle, now=datetime(2026, 1, 1))  # noqa: DTZ001 - the naive time is the point
    source = inspect.getsource(decide_module)
    assert "psycopg" not in source
    assert ".now(" not in source
