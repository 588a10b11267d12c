"""From the inbox to a decision, on real tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.canonical import digest_of
from domain.decision import Decision, Outcome
from domain.errors import NotFound
from domain.origin import Origin
from gates.case import read_case
from gates.decide import decide_action
from gates.decision_store import find_decision
from gates.fact_reads import open_case
from gates.policy.active import NoUsablePolicy
from gates.submission import expire_allow, list_undecided, list_unexecuted_allows
from ledger.results import ExecutionCode
from storage.events import find_event, list_events_of
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk import ADA, BEN, NOW, STRANGE_ACCOUNT, Desk, codes_of


def test_a_true_duplicate_is_allowed_posted_once_and_then_denied(desk: Desk) -> None:
    first, second = desk.add_charge(), desk.add_charge(minutes=2)
    turn = desk.add_turn([second, first])
    decision = desk.decide_refund(turn)
    assert (decision.outcome, codes_of(decision)) == (Outcome.ALLOW, ["within_policy"])
    assert decision.facts["transaction.is_duplicate"] is True
    assert desk.execute(decision).code is ExecutionCode.POSTED
    assert desk.execute(decision).code is ExecutionCode.ALREADY_POSTED

    again = desk.decide_refund(desk.add_turn([second, first]))
    assert again.outcome is Outcome.DENY
    assert "already_refunded" in codes_of(again)
    assert desk.execute(again).code is ExecutionCode.OUTCOME_NOT_ALLOW

    # Nor the other one of the pair: its twin is refunded, so it is no duplicate any more.
    other = desk.decide_refund(desk.add_turn([second, first]), transaction="T2")
    assert other.outcome is Outcome.REVIEW
    assert "duplicate_not_confirmed" in codes_of(other)


def test_a_stranger_s_transaction_is_denied(desk: Desk) -> None:
    foreign = desk.add_charge(account_id=STRANGE_ACCOUNT)
    denied = desk.decide_refund(desk.add_turn([], outside=[foreign]), transaction="X1")
    assert denied.outcome is Outcome.DENY
    assert codes_of(denied)[0] == "transaction_not_granted"
    assert denied.action.transaction_id is None

    # Even if the edge granted it by mistake.
    mistaken = desk.decide_refund(desk.add_turn([foreign]))
    assert mistaken.outcome is Outcome.DENY
    assert "transaction_of_other_customer" in codes_of(mistaken)
    assert desk.decide_refund(desk.add_turn([]), transaction="T9").outcome is Outcome.DENY


@pytest.mark.parametrize(
    ("mention", "amount_minor", "origin", "outcome"),
    [
        (None, 1290, Origin.LEDGER, Outcome.ALLOW),
        (None, 777, Origin.MODEL, Outcome.REVIEW),
        (("7.77", "staff"), 777, Origin.STAFF, Outcome.ALLOW),
        (("EUR 7.77", "staff"), 777, Origin.STAFF, Outcome.ALLOW),
        (("USD 7.77", "staff"), 777, Origin.MODEL, Outcome.REVIEW),
        (("7.77", "customer_text"), 777, Origin.CUSTOMER_TEXT, Outcome.REVIEW),
        (("7.77", "nonsense"), 777, Origin.MODEL, Outcome.REVIEW),
    ],
)
def test_the_amount_s_origin_decides(
    desk: Desk, mention: tuple[str, str] | None, amount_minor: int, origin: Origin, outcome: Outcome
) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])
    if mention is not None:
        desk.add_mention(turn, mention[0], origin=mention[1])
    decision = desk.decide_refund(turn, amount_minor=amount_minor)
    assert {item.argument: item.origin for item in decision.origins}["amount_minor"] is origin
    assert decision.outcome is outcome


def test_a_difference_of_two_named_transactions_is_derived(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(5000), desk.add_charge(4200)])
    desk.add_mention(turn, "T1", origin="staff", kind="handle")
    desk.add_mention(turn, "T2", origin="staff", kind="handle", ordinal=2)
    decision = desk.decide_refund(turn, amount_minor=800, reason_code="other")
    amount = {item.argument: item for item in decision.origins}["amount_minor"]
    assert (amount.origin, amount.derivation) == (Origin.DERIVED, "difference(T1,T2)")
    assert decision.outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    ("minutes", "first_code"), [(10, "within_policy"), (11, "duplicate_apart"), (1441, "duplicate_not_confirmed")]
)
def test_a_second_purchase_is_not_a_duplicate(desk: Desk, minutes: int, first_code: str) -> None:
    first, second = desk.add_charge(), desk.add_charge(minutes=minutes)
    turn = desk.add_turn([second, first])
    assert codes_of(desk.decide_refund(turn))[0] == ("within_policy" if minutes == 10 else "claim_unconfirmed")
    named = desk.add_turn([second, first])
    desk.add_mention(named, "T1", origin="staff", kind="handle")
    assert codes_of(desk.decide_refund(named))[0] == first_code


def test_above_the_operator_s_limit_waits_and_opens_a_review(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(45_000), desk.add_charge(45_000, minutes=1)])
    decision = desk.decide_refund(turn, amount_minor=45_000)
    assert (decision.outcome, codes_of(decision)) == (Outcome.REVIEW, ["above_operator_limit", "within_policy"])
    review = desk.review_of(decision)
    assert (review.state, review.required_approvals, review.action_digest) == ("open", 1, decision.action_digest)


def test_what_the_merchant_gave_back_counts(desk: Desk) -> None:
    charge = desk.add_charge(1290)
    desk.add_charge(1290, kind="merchant_refund", minutes=60, related=charge)
    denied = desk.decide_refund(desk.add_turn([charge]))
    assert "already_refunded" in codes_of(denied)


def test_a_turn_of_someone_else_cannot_be_borrowed(desk: Desk) -> None:
    charges = [desk.add_charge(), desk.add_charge(minutes=1)]
    mine, his = desk.add_turn(charges, operator_id=ADA), desk.add_turn(charges, operator_id=BEN)
    borrowed = type(mine)(mine.conversation_id, his.message_id)
    assert "turn_mismatch" in codes_of(desk.decide_refund(borrowed))

    desk.add_message(mine.conversation_id, at=NOW + timedelta(seconds=1))
    assert codes_of(desk.decide_refund(mine))[0] == "turn_not_current"
    old = desk.decide(desk.propose(his), now=NOW + timedelta(minutes=16))
    assert "turn_not_current" in codes_of(old)


def test_a_second_proposal_from_one_message_waits(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])
    assert desk.decide_refund(turn).outcome is Outcome.ALLOW
    assert "repeated_proposal" in codes_of(desk.decide_refund(turn))


def test_of_many_proposals_from_one_message_at_once_one_is_the_first(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])
    proposals = [desk.propose(turn) for _ in range(8)]
    with ThreadPoolExecutor(max_workers=4) as threads:
        decisions = list(threads.map(desk.decide, proposals))
    assert sorted("repeated_proposal" in codes_of(decision) for decision in decisions) == [False] + [True] * 7


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("refund", {}),
        ("refund", []),
        ("refund", "T1"),
        ("refund", {"transaction": "T1", "amount_minor": "1290", "currency": "EUR", "reason_code": "other"}),
        ("refund", {"transaction": "T1", "amount_minor": 12.9, "currency": "EUR", "reason_code": "other"}),
        ("refund", {"transaction": "T1", "amount_minor": -1, "currency": "EUR", "reason_code": "other"}),
        ("refund", {"transaction": "T1", "amount_minor": 10**40, "currency": "EUR", "reason_code": "other"}),
        ("refund", {"transaction": "txn_1' OR 1=1", "amount_minor": 1, "currency": "EUR", "reason_code": "other"}),
        (
            "refund",
            {"transaction": "T1", "amount_minor": 1290, "currency": "EUR", "reason_code": "other", "operator_id": "opr_x"},
        ),
        ("mint_money", {"transaction": "T1", "amount_minor": 1290, "currency": "EUR", "reason_code": "other"}),
    ],
)
def test_malformed_proposals_are_kept_and_denied(desk: Desk, kind: str, arguments: object) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])
    proposal_id = desk.propose(turn, kind=kind, arguments=arguments)
    decision = desk.decide(proposal_id)
    assert decision.outcome is Outcome.DENY
    assert codes_of(decision) == ["malformed_proposal"]
    assert desk.decide(proposal_id) == decision


def test_numbers_and_nesting_that_break_parsers_are_malformed(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge()])
    ai = desk.role("ai")
    for text in ("9" * 6000, "[" * 3000 + "]" * 3000, '"' + "x" * 30_000 + '"', '{"amount_minor": 1e400}'):
        proposal_id = desk.propose(turn)
        broken = "prp_" + proposal_id[4:][::-1]
        ai.execute(
            "INSERT INTO ai.proposals SELECT tenant_id, %s, conversation_id, message_id, kind, %s::jsonb, trace, submitted_at"
            " FROM ai.proposals WHERE proposal_id = %s",
            [broken, text, proposal_id],
        )
        assert codes_of(desk.decide(broken)) == ["malformed_proposal"]


def test_an_unlisted_kind_is_denied(desk: Desk) -> None:
    decision = desk.decide_refund(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]), kind="unlisted")
    assert decision.outcome is Outcome.DENY
    assert "kind_unlisted" in codes_of(decision)


def test_two_at_once_get_one_decision(desk: Desk) -> None:
    proposal_id = desk.propose(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))
    with ThreadPoolExecutor(max_workers=4) as threads:
        decisions = list(threads.map(lambda _: desk.decide(proposal_id), range(12)))
    assert len({decision.decision_id for decision in decisions}) == 1
    gate = desk.role("gate")
    rows = gate.execute("SELECT COUNT(*) FROM gate.decisions WHERE proposal_id = %s", [proposal_id]).fetchone()
    events = [event.event_type for event in list_events_of(gate, proposal_id)]
    assert (rows, events) == ((1,), ["proposal.submitted"])


def test_the_row_is_the_decision_and_decides_the_same_again(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])
    proposal_id = desk.propose(turn)
    decision = desk.decide(proposal_id)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        stored = find_decision(connection, decision.decision_id)
        assert stored is not None
        assert stored.decision == decision
        event = find_event(connection, stored.event_id)
        opened = open_case(connection, proposal_id, tenant_id=desk.tenant.tenant_id)
        case = read_case(connection, opened, tenant_id=desk.tenant.tenant_id, models=desk.rules.models, now=NOW)
        bundle = desk.rules.shelf.find_active(connection)
    assert event is not None
    assert (event.policy_decision, event.data["action_digest"]) == ("allow", decision.action.digest())
    assert digest_of(decision.facts) == decision.facts_digest
    replayed = decide_action(case.to_input(decision.decision_id), bundle, now=NOW)
    assert replayed.model_dump_json() == decision.model_dump_json()


def test_unknown_proposals_other_tenants_and_a_missing_policy(desk: Desk, other_tenant: object) -> None:
    with pytest.raises(NotFound):
        desk.decide("prp_" + "0" * 32)
    proposal_id = desk.propose(desk.add_turn([desk.add_charge()]))
    desk.tenant, mine = other_tenant, desk.tenant  # type: ignore[assignment]
    with pytest.raises(NotFound):
        desk.decide(proposal_id)
    desk.tenant = mine


def test_without_a_policy_in_force_nothing_is_decided(desk: Desk, admin_conn: Connection[Any]) -> None:
    proposal_id = desk.propose(desk.add_turn([desk.add_charge()]))
    admin_conn.execute("DELETE FROM core.registry_aliases WHERE tenant_id = %s", [desk.tenant.tenant_id])
    with pytest.raises(NoUsablePolicy):
        desk.decide(proposal_id)
    assert desk.role("gate").execute("SELECT COUNT(*) FROM gate.decisions").fetchone() == (0,)


def test_the_sweeper_s_lists_and_an_expired_allow(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])
    proposal_id = desk.propose(turn)
    since, far = NOW - timedelta(days=9), NOW + timedelta(days=9999)
    assert list_undecided(desk.scope, since=since, before=far, limit=10) == [proposal_id]
    decision = desk.decide(proposal_id)
    assert list_undecided(desk.scope, since=since, before=far, limit=10) == []
    assert list_unexecuted_allows(desk.scope, since=since, limit=10) == [(decision.decision_id, decision.expires_at)]
    assert expire_allow(desk.scope, desk.rules, decision.decision_id, now=NOW + timedelta(seconds=59)) is None

    late = NOW + timedelta(seconds=60)
    closed = expire_allow(desk.scope, desk.rules, decision.decision_id, now=late)
    assert isinstance(closed, Decision)
    assert (closed.outcome, codes_of(closed), closed.previous_decision_id) == (
        Outcome.DENY,
        ["allow_expired"],
        decision.decision_id,
    )
    assert desk.execute(decision).code is ExecutionCode.DECISION_SUPERSEDED
    assert list_unexecuted_allows(desk.scope, since=since, limit=10) == []


def test_an_executed_allow_cannot_be_closed(desk: Desk) -> None:
    decision = desk.decide_refund(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))
    desk.execute(decision)
    assert expire_allow(desk.scope, desk.rules, decision.decision_id, now=NOW + timedelta(seconds=61)) is None
