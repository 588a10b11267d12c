"""The queue: one holder at a time, the riskiest first, floods as one item, nothing forgotten, and haste is seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from psycopg.errors import CheckViolation

from domain.decision import Decision, Outcome
from domain.errors import NotFound
from gates.people import NotSignedIn
from gates.review_errors import ClaimedByOther, NotAnApprover, OwnProposal, ReviewClosed, ReviewerBudgetSpent
from gates.review_queue import LEASE, NotYourClaim, QueueItem, claim_review, escalate_due, list_queue, release_review
from gates.review_store import Review
from storage.events import list_events_of
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk import ADA, BEN, CLEO, DAN, NOW, Desk, codes_of, token_of


def _ask(desk: Desk, amount_minor: int, *, operator_id: str = ADA) -> Decision:
    """Ask for a duplicate above the operator's limit; each in a conversation of its own."""
    turn = desk.add_turn([desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)], operator_id=operator_id)
    return desk.decide_refund(turn, amount_minor=amount_minor)


def _wait_for_person(desk: Desk, amount_minor: int = 45_000, *, operator_id: str = ADA) -> Decision:
    """Ask for what a person has to look at."""
    decision = _ask(desk, amount_minor, operator_id=operator_id)
    assert decision.outcome is Outcome.REVIEW, codes_of(decision)
    return decision


def _claim(desk: Desk, decision: Decision, operator_id: str, *, seconds: int = 0) -> Review:
    now = NOW + timedelta(seconds=seconds)
    review_id = desk.review_of(decision).review_id
    return claim_review(desk.scope, review_id, token_of(operator_id, desk.tenant.tenant_id), now=now)


def _release(desk: Desk, decision: Decision, operator_id: str) -> Review:
    review_id = desk.review_of(decision).review_id
    return release_review(desk.scope, review_id, token_of(operator_id, desk.tenant.tenant_id), now=NOW)


def _queue(desk: Desk) -> tuple[QueueItem, ...]:
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        return list_queue(connection)


def test_a_claim_keeps_others_out_until_its_time_is_over(desk: Desk) -> None:
    decision = _wait_for_person(desk)
    assert _claim(desk, decision, CLEO).claimed_by == CLEO
    with pytest.raises(ClaimedByOther):
        _claim(desk, decision, DAN)
    for verdict in ("approve", "refuse"):
        with pytest.raises(ClaimedByOther):
            desk.answer(decision, DAN, verdict)
    assert desk.review_of(decision).state == "open"
    over = NOW + LEASE
    with pytest.raises(ClaimedByOther):
        desk.answer(decision, DAN, now=over - timedelta(seconds=1))
    assert desk.answer(decision, DAN, now=over).outcome is Outcome.ALLOW


def test_whoever_holds_it_answers_extends_and_gives_back(desk: Desk) -> None:
    decision = _wait_for_person(desk)
    _claim(desk, decision, CLEO)
    again = _claim(desk, decision, CLEO, seconds=60)
    assert again.claimed_at == NOW
    assert again.claimed_until == NOW + timedelta(seconds=60) + LEASE
    with pytest.raises(NotYourClaim):
        _release(desk, decision, DAN)
    assert _release(desk, decision, CLEO).claimed_by is None
    _claim(desk, decision, DAN)
    assert desk.answer(decision, DAN).outcome is Outcome.ALLOW
    events = [event.event_type for event in list_events_of(desk.role("gate"), desk.review_of(decision).review_id)]
    # All in one moment of this clock, so their order says nothing.
    assert sorted(events) == ["review.approved", "review.claimed", "review.claimed", "review.released"]


def test_who_may_not_answer_may_not_claim(desk: Desk) -> None:
    decision = _wait_for_person(desk, operator_id=BEN)
    with pytest.raises(OwnProposal):
        _claim(desk, decision, BEN)
    with pytest.raises(NotAnApprover):
        _claim(desk, decision, ADA)
    with pytest.raises(NotSignedIn):
        _claim(desk, decision, "opr_nobody")
    with pytest.raises(NotFound):
        claim_review(desk.scope, "rev_" + "0" * 32, token_of(CLEO, desk.tenant.tenant_id), now=NOW)
    desk.answer(decision, CLEO, "refuse")
    with pytest.raises(ReviewClosed):
        _claim(desk, decision, CLEO)


def test_a_second_approver_follows_the_first(desk: Desk) -> None:
    decision = _wait_for_person(desk, 100_001)
    _claim(desk, decision, CLEO)
    assert desk.answer(decision, CLEO) == decision
    assert desk.review_of(decision).claimed_by is None
    assert desk.answer(decision, DAN).outcome is Outcome.ALLOW


def test_of_two_who_claim_at_once_one_gets_it(desk: Desk) -> None:
    for _ in range(5):
        decision = _wait_for_person(desk)
        start = Barrier(2)

        def claim(operator_id: str, decision: Decision = decision, start: Barrier = start) -> str:
            start.wait()
            try:
                return _claim(desk, decision, operator_id).claimed_by or ""
            except ClaimedByOther as error:
                return error.code

        # The pool has a connection for each of them, so they meet in the database.
        with ThreadPoolExecutor(2) as people:
            answers = sorted(people.map(claim, (CLEO, DAN)))
        holder = desk.review_of(decision).claimed_by
        assert answers == sorted(["claimed_by_other", str(holder)])


def test_the_riskiest_comes_first_and_what_waited_too_long_before_it(desk: Desk) -> None:
    small = _wait_for_person(desk, 20_001)
    large = _wait_for_person(desk, 90_000)
    assert [item.riskiest.decision_id for item in _queue(desk)] == [large.decision_id, small.decision_id]
    priorities = [item.riskiest.priority for item in _queue(desk)]
    assert priorities[0] > priorities[1]
    assert escalate_due(desk.scope, desk.rules, now=NOW + timedelta(seconds=14_399)) == []
    desk.answer(large, CLEO, "refuse")
    assert escalate_due(desk.scope, desk.rules, now=NOW + timedelta(seconds=14_400)) == [desk.review_of(small).review_id]
    assert escalate_due(desk.scope, desk.rules, now=NOW + timedelta(seconds=14_500)) == []
    third = _wait_for_person(desk, 90_000)
    assert [item.riskiest.decision_id for item in _queue(desk)] == [small.decision_id, third.decision_id]
    events = list_events_of(desk.role("gate"), desk.review_of(small).review_id)
    assert [event.event_type for event in events] == ["review.escalated"]


def test_a_flood_of_one_source_is_one_item_with_the_riskiest_on_top(desk: Desk) -> None:
    pair = [_wait_for_person(desk, 30_000 + number, operator_id=BEN) for number in range(2)]
    assert len(_queue(desk)) == 2
    # Fewer than three of the customer's refunds are answered, so velocity adds no code: all are alike.
    flood = [_wait_for_person(desk, 25_000 + 1_000 * number) for number in range(6)]
    queue = _queue(desk)
    assert len(queue) == 3
    (item,) = [item for item in queue if item.operator_id == ADA]
    assert len(item.members) == 6
    assert item.riskiest.decision_id == flood[-1].decision_id
    assert item.total_minor == {"EUR": sum(decision.action.amount_minor for decision in flood)}
    assert item.codes == ("above_operator_limit",)
    assert {item.riskiest.decision_id for item in queue if item.operator_id == BEN} == {one.decision_id for one in pair}


def test_a_source_and_a_tenant_have_budgets_of_their_own(desk: Desk) -> None:
    desk.use_policy(review_source_limit_1h=2, review_budget_1h=3)
    waiting = [_wait_for_person(desk, 30_000 + number) for number in range(2)]
    flood = _ask(desk, 30_002)
    assert (flood.outcome, codes_of(flood)[0]) == (Outcome.DENY, "review_flood")
    _wait_for_person(desk, 30_003, operator_id=BEN)
    spent = _ask(desk, 30_004, operator_id=BEN)
    assert (spent.outcome, codes_of(spent)[0]) == (Outcome.DENY, "review_budget_spent")
    # What a person has lifted asks for no further attention, so it needs no budget; and an hour later there is room again.
    assert desk.answer(waiting[0], CLEO).outcome is Outcome.ALLOW
    later = NOW + timedelta(hours=1)
    turn = desk.add_turn([desk.add_charge(30_005), desk.add_charge(30_005, minutes=1)], operator_id=BEN)
    again = desk.decide(desk.propose(turn, amount_minor=30_005), now=later)
    assert (again.outcome, "review_flood" in codes_of(again)) == (Outcome.REVIEW, False)


def test_a_reviewer_s_hour_has_an_end_for_approvals_only(desk: Desk) -> None:
    desk.use_policy(reviewer_budget_1h=2)
    first, second, third, fourth = [_wait_for_person(desk, 30_000 + number) for number in range(4)]
    desk.answer(first, CLEO, "refuse")
    assert desk.answer(second, CLEO, now=NOW + timedelta(minutes=1)).outcome is Outcome.ALLOW
    late = NOW + timedelta(minutes=59)
    with pytest.raises(ReviewerBudgetSpent):
        desk.answer(third, CLEO, now=late)
    assert desk.review_of(third).state == "open"
    assert desk.answer(fourth, CLEO, "refuse", now=late).outcome is Outcome.DENY
    with pytest.raises(ReviewerBudgetSpent):
        desk.answer(third, CLEO, now=NOW + timedelta(hours=1))
    # Half-open: exactly an hour after it, a verdict no longer counts.
    assert isinstance(desk.answer(third, CLEO, now=NOW + timedelta(hours=1, minutes=1)), Decision)


def test_the_database_lets_nobody_change_a_closed_review_s_claim(desk: Desk) -> None:
    decision = _wait_for_person(desk)
    desk.answer(decision, CLEO, "refuse")
    with pytest.raises(CheckViolation):
        desk.role("gate").execute("UPDATE gate.reviews SET claimed_by = 'x', claimed_at = now(), claimed_until = now()")
    assert desk.review_of(decision).claimed_by is None
