"""People decide: who may, on what exactly, and what kills an approval."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from domain.decision import Decision, Outcome
from gates.people import NotSignedIn
from gates.review import expire_reviews
from gates.review_errors import AlreadyAnswered, NotAnApprover, OtherAction, OwnProposal, ReviewClosed, StateChanged
from ledger.results import ExecutionCode
from storage.events import list_events_of
from storage.idempotency import KeyReused
from tests.integration.gates.desk import ACCOUNT, ADA, BEN, CLEO, DAN, NOW, STRANGER, Desk, Turn, codes_of

Scene = tuple[Turn, Decision]


@pytest.fixture
def waiting(desk: Desk) -> Scene:
    """A duplicate above the limit of the operator who asked, waiting for one approver."""
    turn = desk.add_turn([desk.add_charge(45_000), desk.add_charge(45_000, minutes=1)])
    return turn, desk.decide_refund(turn, amount_minor=45_000)


def test_an_approval_makes_a_linked_allow_that_executes_once(desk: Desk, waiting: Scene) -> None:
    decision = waiting[1]
    approved = desk.answer(decision, CLEO)
    assert (approved.outcome, codes_of(approved)) == (Outcome.ALLOW, ["within_policy"])
    assert approved.previous_decision_id == decision.decision_id
    assert approved.approval_id is not None
    assert approved.action_digest == decision.action_digest
    assert desk.execute(decision).code is ExecutionCode.OUTCOME_NOT_ALLOW
    assert desk.execute(approved).code is ExecutionCode.POSTED
    review = desk.review_of(decision)
    assert review.state == "approved"
    events = list_events_of(desk.role("gate"), review.review_id)
    assert [event.event_type for event in events] == ["review.approved"]


def test_a_refusal_makes_a_linked_deny(desk: Desk, waiting: Scene) -> None:
    refused = desk.answer(waiting[1], CLEO, "refuse")
    assert (refused.outcome, codes_of(refused)) == (Outcome.DENY, ["review_refused"])
    assert refused.previous_decision_id == waiting[1].decision_id
    with pytest.raises(ReviewClosed):
        desk.answer(waiting[1], DAN)


def test_only_approvers_who_did_not_ask_for_it(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(45_000), desk.add_charge(45_000, minutes=1)], operator_id=BEN)
    decision = desk.decide_refund(turn, amount_minor=45_000)
    with pytest.raises(OwnProposal):
        desk.answer(decision, BEN)
    with pytest.raises(OwnProposal):
        desk.answer(decision, BEN, "refuse")
    with pytest.raises(NotAnApprover):
        desk.answer(decision, ADA)
    with pytest.raises(NotSignedIn):
        desk.answer(decision, "opr_nobody")
    with pytest.raises(NotSignedIn):
        desk.answer(decision, CLEO, now=NOW + timedelta(hours=30))
    desk.role("edge").execute("UPDATE core.sessions SET revoked_at = %s WHERE operator_id = %s", [NOW, CLEO])
    with pytest.raises(NotSignedIn):
        desk.answer(decision, CLEO)
    assert desk.review_of(decision).state == "open"


def test_another_action_s_digest_is_refused(desk: Desk, waiting: Scene) -> None:
    with pytest.raises(OtherAction):
        desk.answer(waiting[1], CLEO, digest="0" * 64)
    assert desk.review_of(waiting[1]).state == "open"


def _say_more(desk: Desk, turn: Turn) -> None:
    desk.add_message(turn.conversation_id, at=NOW + timedelta(seconds=1))


def _block_account(desk: Desk, _: Turn) -> None:
    desk.role("jobs").execute("UPDATE core.accounts SET status = 'blocked' WHERE account_id = %s", [ACCOUNT])


def _refund_part_elsewhere(desk: Desk, turn: Turn) -> None:
    row = (
        desk.role("gate")
        .execute("SELECT ref FROM core.grants WHERE conversation_id = %s AND handle = 'T1'", [turn.conversation_id])
        .fetchone()
    )
    assert row is not None
    other = desk.add_turn([row[0]], operator_id=BEN)
    desk.add_mention(other, "1.00", origin="staff")
    desk.add_mention(other, "T1", origin="staff", kind="handle", ordinal=2)
    small = desk.decide_refund(other, amount_minor=100, reason_code="other")
    assert desk.execute(small).code is ExecutionCode.POSTED


def _unverify(desk: Desk, _: Turn) -> None:
    desk.role("jobs").execute("UPDATE core.customers SET kyc_status = 'review'")


def _dispute(desk: Desk, turn: Turn) -> None:
    (charge,) = (
        desk.role("gate")
        .execute("SELECT ref FROM core.grants WHERE conversation_id = %s AND handle = 'T1'", [turn.conversation_id])
        .fetchall()
    )
    desk.add_dispute(charge[0])


def _change_policy(desk: Desk, _: Turn) -> None:
    desk.use_policy(version="next")


def _dismiss_whoever_asked(desk: Desk, _: Turn) -> None:
    desk.role("jobs").execute("UPDATE core.operators SET active = FALSE WHERE operator_id = %s", [ADA])


def _take_his_limit(desk: Desk, _: Turn) -> None:
    desk.role("jobs").execute("UPDATE core.operator_limits SET limit_minor = 1 WHERE operator_id = %s", [ADA])


_CHANGES = [
    _say_more, _block_account, _refund_part_elsewhere, _unverify, _dispute, _change_policy, _dismiss_whoever_asked,
    _take_his_limit,
]  # fmt: skip


@pytest.mark.parametrize("change", _CHANGES)
def test_an_approval_dies_when_the_state_changed(desk: Desk, waiting: Scene, change: Callable[[Desk, Turn], None]) -> None:
    turn, decision = waiting
    change(desk, turn)
    with pytest.raises(StateChanged):
        desk.answer(decision, CLEO)
    assert desk.review_of(decision).state == "expired"
    fresh = desk.decide(decision.proposal_id)
    assert fresh.previous_decision_id == decision.decision_id
    assert fresh.approval_id is None
    assert fresh.outcome is not Outcome.ALLOW
    assert desk.execute(fresh).posting is None


def _hit(desk: Desk, beneficiary_id: str) -> None:
    desk.role("jobs").execute("UPDATE core.beneficiaries SET screening_state = 'hit' WHERE beneficiary_id = %s", [beneficiary_id])


def _change_his_account(desk: Desk, beneficiary_id: str) -> None:
    desk.role("jobs").execute(
        "UPDATE core.beneficiaries SET account_number_token = 'tok_other' WHERE beneficiary_id = %s", [beneficiary_id]
    )


def _rename_him(desk: Desk, beneficiary_id: str) -> None:
    desk.role("jobs").execute(
        "UPDATE core.beneficiaries SET name_token = 'tok_other' WHERE beneficiary_id = %s", [beneficiary_id]
    )


def _give_to_another(desk: Desk, beneficiary_id: str) -> None:
    desk.role("jobs").execute(
        "UPDATE core.beneficiaries SET customer_id = %s WHERE beneficiary_id = %s", [STRANGER, beneficiary_id]
    )


def _move_the_balance(desk: Desk, _: str) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)], operator_id=BEN)
    assert desk.execute(desk.decide_refund(turn)).code is ExecutionCode.POSTED


@pytest.mark.parametrize("change", [_hit, _change_his_account, _rename_him, _give_to_another, _move_the_balance])
def test_an_approval_of_a_payment_dies_with_its_payee_and_its_balance(desk: Desk, change: Callable[[Desk, str], None]) -> None:
    payee = desk.add_beneficiary(days=1)
    turn = desk.add_turn(grants={"A1": ACCOUNT, "B1": payee})
    desk.say(turn, ("handle", "B1"), ("amount", "50.00"))
    payment: dict[str, Any] = {
        "account": "A1",
        "beneficiary": "B1",
        "amount_minor": 5_000,
        "currency": "EUR",
        "reason_code": "bill",
    }
    waiting = desk.decide_act(turn, "payment", **payment)
    assert (waiting.outcome, "new_beneficiary" in codes_of(waiting)) == (Outcome.REVIEW, True), codes_of(waiting)
    change(desk, payee)
    with pytest.raises(StateChanged):
        desk.answer(waiting, CLEO)
    assert desk.execute(desk.decide(waiting.proposal_id)).posting is None


def test_time_alone_does_not_kill_an_approval(desk: Desk, waiting: Scene) -> None:
    assert desk.answer(waiting[1], CLEO, now=NOW + timedelta(hours=20)).outcome is Outcome.ALLOW


def test_the_fresh_review_can_be_approved(desk: Desk, waiting: Scene) -> None:
    _say_more(desk, waiting[0])
    with pytest.raises(StateChanged):
        desk.answer(waiting[1], CLEO)
    fresh = desk.decide(waiting[1].proposal_id)
    assert "turn_not_current" in codes_of(fresh)
    assert desk.answer(fresh, CLEO).outcome is Outcome.ALLOW


def test_two_approvers_above_the_second_limit(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(100_001), desk.add_charge(100_001, minutes=1)])
    decision = desk.decide_refund(turn, amount_minor=100_001)
    assert "four_eyes_needed" in codes_of(decision)
    assert desk.review_of(decision).required_approvals == 2
    assert desk.answer(decision, CLEO) == decision
    with pytest.raises(AlreadyAnswered):
        desk.answer(decision, CLEO)
    approved = desk.answer(decision, DAN)
    assert approved.outcome is Outcome.ALLOW
    assert desk.execute(approved).code is ExecutionCode.POSTED


def test_an_approver_who_left_does_not_count(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(100_001), desk.add_charge(100_001, minutes=1)])
    decision = desk.decide_refund(turn, amount_minor=100_001)
    desk.answer(decision, CLEO)
    desk.role("jobs").execute("UPDATE core.operators SET active = FALSE WHERE operator_id = %s", [CLEO])
    assert desk.answer(decision, DAN) == decision


def test_the_same_key_gives_the_same_answer(desk: Desk, waiting: Scene) -> None:
    first = desk.answer(waiting[1], CLEO, key="k1")
    assert desk.answer(waiting[1], CLEO, key="k1") == first
    with pytest.raises(KeyReused):
        desk.answer(waiting[1], CLEO, "refuse", key="k1")


def test_nobody_in_time_is_a_deny(desk: Desk, waiting: Scene) -> None:
    late = NOW + timedelta(hours=24)
    with pytest.raises(ReviewClosed):
        desk.answer(waiting[1], CLEO, now=late)
    assert codes_of(desk.decide(waiting[1].proposal_id)) == ["review_expired"]


def test_the_sweeper_closes_overdue_reviews_once(desk: Desk, waiting: Scene) -> None:
    assert expire_reviews(desk.scope, desk.rules, now=NOW + timedelta(hours=23)) == []
    late = NOW + timedelta(hours=24)
    assert expire_reviews(desk.scope, desk.rules, now=late) == [desk.review_of(waiting[1]).review_id]
    assert expire_reviews(desk.scope, desk.rules, now=late) == []
    closed = desk.decide(waiting[1].proposal_id)
    assert (closed.outcome, codes_of(closed)) == (Outcome.DENY, ["review_expired"])
