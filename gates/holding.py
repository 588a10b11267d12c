"""Holds in life: each is looked at again until it is posted, goes to people, is denied, or has ended in the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.decision import Decision, Outcome, Reason
from gates.case import read_case
from gates.decide import decide_action
from gates.decision_store import (
    HoldRead,
    StoredDecision,
    find_decision,
    find_hold,
    is_frozen,
    list_latest_holds,
)
from gates.fact_reads import OpenedCase, open_case
from gates.fees import read_fees
from gates.submission import AlreadyExecuted, GateScope, Rules, Successor, follow_up
from ledger.transfer_digest import plan_of
from storage.unit_of_work import unit_of_work

_UNSTORED = "dec_" + "0" * 32


def recheck_holds(scope: GateScope, rules: Rules, *, now: datetime, limit: int) -> list[Decision]:
    """Decide again on what is held, each in its own transaction; return what the caller has to carry out or to tell of.

    A hold that would be a hold again stores nothing, and none is decided on while a freeze covers it. One that was decided and
    not placed yet is returned as it is. A deny leaves the pending amount to its own expiry.
    """
    with unit_of_work(scope.pool, scope.context) as connection:
        held = list_latest_holds(connection, now=now, limit=limit)
    found: list[Decision] = []
    for decision_id in held:
        with unit_of_work(scope.pool, scope.context) as connection:
            decision = _recheck(connection, scope, rules, decision_id, now)
        if decision is not None:
            found.append(decision)
    return found


def _recheck(connection: Connection[Any], scope: GateScope, rules: Rules, decision_id: str, now: datetime) -> Decision | None:
    previous = find_decision(connection, decision_id)
    if previous is None or previous.decision.outcome is not Outcome.HOLD:
        return None
    opened = open_case(connection, previous.decision.proposal_id, tenant_id=scope.tenant_id)
    if opened.latest_decision_id != decision_id:
        return None
    hold = find_hold(connection, previous.decision.proposal_id)
    closing = _find_closing(previous.decision, hold, now)
    if closing is None:
        if is_frozen(connection, kind=previous.decision.action.kind.value, operator_id=previous.decision.operator_id):
            return None
        if _waits_for_its_place(previous.decision, hold) and previous.decision.expires_at > now:
            return previous.decision
    return _decide_again(connection, scope, rules, opened, previous, hold, closing, now)


def _decide_again(
    connection: Connection[Any],
    scope: GateScope,
    rules: Rules,
    opened: OpenedCase,
    previous: StoredDecision,
    hold: HoldRead | None,
    closing: Reason | None,
    now: datetime,
) -> Decision | None:
    bundle = rules.shelf.choose(connection, opened.in_force, proposal_id=opened.submission.proposal_id)
    case = read_case(connection, opened, tenant_id=scope.tenant_id, models=rules.models, now=now, fees=read_fees(bundle))
    if closing is None and not _waits_for_its_place(previous.decision, hold):
        fresh = decide_action(case.to_input(_UNSTORED), bundle, now=now)
        if fresh.outcome is Outcome.HOLD:
            return None
    try:
        return follow_up(connection, case, bundle, Successor(previous, closing_reason=closing), now=now).decision
    except AlreadyExecuted:
        return None


def _find_closing(decision: Decision, hold: HoldRead | None, now: datetime) -> Reason | None:
    """Say why a hold is over: its amount was let go, or its time has passed."""
    if hold is not None and hold.state == "voided":
        return Reason(code="hold_released", outcome=Outcome.DENY, policy_id="gate")
    placed_and_over = hold is not None and not hold.is_open(now)
    never_placed_and_over = hold is None and decision.hold_expires_at is not None and decision.hold_expires_at <= now
    if placed_and_over or never_placed_and_over:
        return Reason(code="hold_expired", outcome=Outcome.DENY, policy_id="gate")
    return None


def _waits_for_its_place(decision: Decision, hold: HoldRead | None) -> bool:
    """Say whether the amount should be held and is not: a crash came between the decision and its placing, or a freeze."""
    return hold is None and plan_of(decision) is not None
