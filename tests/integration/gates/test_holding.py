"""A held act: placed, looked at again, posted when nothing stands against it any more, closed when its time has passed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from psycopg import Connection

from domain.decision import Decision, Outcome
from domain.ids import make_id
from domain.proposal import ActionKind
from gates.fact_reads import open_case
from gates.holding import recheck_holds
from gates.submission import list_unexecuted_allows
from ledger.results import ExecutionCode
from storage.unit_of_work import unit_of_work
from tests.integration.gates.acts import Acts
from tests.integration.gates.desk import ACCOUNT, BEN, CLEO, NOW, STRANGER, Desk, codes_of

_SOON = NOW + timedelta(seconds=90)


def _set_account(desk: Desk, status: str) -> None:
    desk.role("jobs").execute("UPDATE core.accounts SET status = %s WHERE account_id = %s", [status, ACCOUNT])


def _hold_refund(desk: Desk, amount_minor: int = 1290) -> Decision:
    _set_account(desk, "blocked")
    turn = desk.add_turn([desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)])
    held = desk.decide_refund(turn, transaction="T2", amount_minor=amount_minor)
    assert (held.outcome, codes_of(held)[0]) == (Outcome.HOLD, "account_blocked")
    return held


def _recheck(desk: Desk, *, seconds: int = 90) -> list[Decision]:
    return recheck_holds(desk.scope, desk.rules, now=NOW + timedelta(seconds=seconds), limit=10)


def _states(desk: Desk) -> list[str]:
    return [row[0] for row in desk.role("gate").execute("SELECT state FROM ledger.holds ORDER BY opened_at")]


def test_a_hold_is_posted_once_its_reason_is_gone(desk: Desk) -> None:
    held = _hold_refund(desk)
    assert desk.execute(held).code is ExecutionCode.HELD
    assert _recheck(desk) == []
    _set_account(desk, "active")
    (allowed,) = _recheck(desk)
    assert (allowed.outcome, allowed.previous_decision_id) == (Outcome.ALLOW, held.decision_id)
    assert allowed.hold_transfer_id is not None
    assert [row[0] for row in list_unexecuted_allows(desk.scope, since=NOW, limit=9)] == [allowed.decision_id]
    assert desk.execute(allowed, now=_SOON).code is ExecutionCode.POSTED
    assert _states(desk) == ["posted"]
    assert list_unexecuted_allows(desk.scope, since=NOW, limit=9) == []
    assert _recheck(desk, seconds=120) == []


def test_a_hold_whose_time_has_passed_is_closed(desk: Desk) -> None:
    held = _hold_refund(desk)
    desk.execute(held)
    assert _recheck(desk, seconds=86_399) == []
    (closed,) = _recheck(desk, seconds=86_400)
    assert (closed.outcome, codes_of(closed)) == (Outcome.DENY, ["hold_expired"])


def test_a_hold_that_was_released_is_closed(desk: Desk) -> None:
    held = _hold_refund(desk)
    desk.execute(held)
    acts = Acts(desk)
    release = acts.decide(acts.make_action(ActionKind.HOLD_RELEASE, subject_id=acts.transfer_of(held), amount_minor=1290))
    assert desk.execute(release).code is ExecutionCode.POSTED
    (closed,) = _recheck(desk)
    assert (closed.outcome, codes_of(closed)) == (Outcome.DENY, ["hold_released"])


def test_a_hold_that_a_crash_left_unplaced_is_placed(desk: Desk) -> None:
    held = _hold_refund(desk)
    assert _recheck(desk, seconds=59) == [held]
    (again,) = _recheck(desk, seconds=90)
    assert (again.outcome, again.previous_decision_id) == (Outcome.HOLD, held.decision_id)
    assert desk.execute(held, now=_SOON).code is ExecutionCode.DECISION_SUPERSEDED
    assert desk.execute(again, now=_SOON).code is ExecutionCode.HELD
    assert _recheck(desk, seconds=120) == []
    assert _states(desk) == ["pending"]


def test_a_hold_that_goes_to_people_stays_and_their_approval_posts_it(desk: Desk) -> None:
    held = _hold_refund(desk, 45_000)
    desk.execute(held)
    _set_account(desk, "active")
    (review,) = _recheck(desk)
    assert (review.outcome, review.hold_transfer_id) == (Outcome.REVIEW, None)
    assert _states(desk) == ["pending"]
    allowed = desk.answer(review, CLEO, now=_SOON)
    if allowed.outcome is Outcome.REVIEW:
        allowed = desk.answer(review, BEN, now=_SOON)
    assert (allowed.outcome, allowed.hold_transfer_id is not None) == (Outcome.ALLOW, True)
    assert desk.execute(allowed, now=_SOON).code is ExecutionCode.POSTED
    assert _states(desk) == ["posted"]


def test_nothing_is_decided_on_a_hold_while_it_is_frozen(desk: Desk) -> None:
    held = _hold_refund(desk)
    desk.execute(held)
    _set_account(desk, "active")
    gate = desk.role("gate")
    freeze_id = make_id("frz", NOW)
    gate.execute("SELECT gate.freeze(%s, 'kind', 'refund', 'opr_kim', 'a flood', %s)", [freeze_id, NOW])
    assert _recheck(desk) == []
    gate.execute("SELECT gate.thaw(%s, 'opr_lee', %s)", [freeze_id, NOW])
    assert [decision.outcome for decision in _recheck(desk)] == [Outcome.ALLOW]


def test_a_denied_hold_ends_by_itself(desk: Desk) -> None:
    held = _hold_refund(desk)
    desk.execute(held)
    _set_account(desk, "closed")
    (denied,) = _recheck(desk)
    assert (denied.outcome, "account_closed" in codes_of(denied)) == (Outcome.DENY, True)
    assert _states(desk) == ["pending"]
    assert _recheck(desk, seconds=86_400) == []


@pytest.mark.parametrize("kind", [ActionKind.PAYMENT, ActionKind.CARD_BLOCK, ActionKind.DISPUTE_WRITEOFF])
def test_two_executors_at_once_carry_out_once(desk: Desk, kind: ActionKind) -> None:
    acts = Acts(desk)
    action = acts.make_action(kind)
    if kind is ActionKind.DISPUTE_WRITEOFF:
        credit = acts.make_action(ActionKind.PROVISIONAL_CREDIT, subject_id=action.subject_id)
        assert acts.execute(acts.decide(credit)).code is ExecutionCode.POSTED
    decision = acts.decide(action)
    answers = _race([lambda: acts.execute(decision).code] * 2)
    assert sorted(answers) in (["executed", "executed"], ["already_posted", "posted"])
    row = desk.role("auditor").execute("SELECT COUNT(*) FROM core.outbox WHERE reference = %s", [decision.decision_id]).fetchone()
    assert row == (1,)


def test_two_credits_of_one_dispute_at_once_stay_within_its_charge(desk: Desk) -> None:
    acts = Acts(desk)
    dispute = desk.add_dispute(desk.add_charge(1_000))
    decisions = [
        acts.decide(acts.make_action(ActionKind.PROVISIONAL_CREDIT, subject_id=dispute, amount_minor=600)) for _ in range(2)
    ]
    answers = _race([lambda decision=decision: acts.execute(decision).code for decision in decisions])  # type: ignore[misc]
    assert sorted(answers) == ["exceeds_dispute", "posted"]


@pytest.mark.parametrize(("shared", "waits"), [("customer", True), ("operator", True), ("nothing", False)])
def test_decisions_that_draw_on_one_budget_wait_for_each_other(
    desk: Desk, admin_conn: Connection[object], shared: str, waits: bool
) -> None:
    first = desk.propose(desk.add_turn([desk.add_charge()]))
    turn = desk.add_turn([desk.add_charge()], operator_id=BEN if shared != "operator" else "opr_ada")
    if shared != "customer":
        admin_conn.execute(
            "UPDATE core.conversations SET customer_id = %s WHERE conversation_id = %s", [STRANGER, turn.conversation_id]
        )
    second = desk.propose(turn)
    done = threading.Event()

    def decide() -> None:
        desk.decide(second)
        done.set()

    thread = threading.Thread(target=decide)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        open_case(connection, first, tenant_id=desk.scope.tenant_id)
        thread.start()
        waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = CURRENT_DATABASE()"
        while not done.is_set() and admin_conn.execute(waiting).fetchone() == (0,):
            pass
        assert done.is_set() is not waits
    thread.join(timeout=30)
    assert done.is_set()


def _race(acts: list[Callable[[], ExecutionCode]]) -> list[str]:
    """Run the acts at once and return what they answered."""
    barrier = threading.Barrier(len(acts))
    answers: list[str] = []

    def run(act: Callable[[], ExecutionCode]) -> None:
        barrier.wait(timeout=10)
        answers.append(act().value)

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return answers
