"""From a row of the inbox to a decision: one transaction, once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.errors import CheckViolation, UniqueViolation

from domain.decision import Decision, Outcome, Reason
from domain.errors import BrokenInvariant, Conflict, NotFound
from domain.event import Event
from domain.ids import make_id, require_id
from gates.case import Case, digest_state, read_case
from gates.decide import count_required_approvals, decide_action
from gates.decision_store import (
    QUERIES,
    SOURCE,
    EventLinks,
    StoredDecision,
    find_decision,
    find_event_id,
    find_hold,
    find_latest_decision,
    is_frozen,
    store_decision,
)
from gates.fact_reads import find_turn
from gates.fees import read_fees
from gates.inbox import Submission, find_submission
from gates.policy.active import PolicyShelf
from gates.policy.bundle import PolicyBundle
from gates.review_store import insert_review
from gates.score.scorecard import Scorecard
from gates.shadow import record_shadow
from storage.events import append_event
from storage.pools import Pool
from storage.unit_of_work import unit_of_work

FROZEN = Reason(code="frozen", outcome=Outcome.DENY, policy_id="gate")
"""Why an act that a freeze covers is denied, whatever the policy says."""


class AlreadyExecuted(Conflict):
    """Say that the proposal was executed meanwhile: nothing supersedes that."""

    code = "already_executed"


@dataclass(frozen=True, slots=True)
class Rules:
    """Hold what decides: the bundles in force and the scorecard."""

    scorecard: Scorecard
    shelf: PolicyShelf = field(default_factory=PolicyShelf)


@dataclass(frozen=True, slots=True)
class GateScope:
    """Hold for whom the gate works: a pool of role gate, and a tenant with its context."""

    pool: Pool
    context: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class Successor:
    """Hold why a chain goes on: the decision it follows, and an approval or a closing reason."""

    previous: StoredDecision
    approval_id: str | None = None
    approval_event_id: str | None = None
    approval_count: int = 0
    closing_reason: Reason | None = None


def decide_proposal(scope: GateScope, rules: Rules, proposal_id: str, *, now: datetime) -> Decision:
    """Decide a submitted proposal, or return the latest decision it already has.

    Idempotency: by proposal; two callers at once get the same decision. Raises: InvalidId, NotFound, Unavailable.
    """
    require_id(proposal_id, "prp")
    try:
        with unit_of_work(scope.pool, scope.context) as connection:
            return _decide_once(connection, scope, rules, proposal_id, now).decision
    except UniqueViolation:
        # Somebody who holds no lock of ours was first; what he wrote is the answer.
        with unit_of_work(scope.pool, scope.context) as connection:
            latest = find_latest_decision(connection, proposal_id)
            if latest is None:
                raise BrokenInvariant(f"{proposal_id}: a decision exists and cannot be read") from None
            return latest.decision


def expire_allow(scope: GateScope, rules: Rules, decision_id: str, *, now: datetime) -> Decision | None:
    """Close an allow that outlived its 60 seconds or met a freeze, with a linked deny. None when nothing is to close."""
    with unit_of_work(scope.pool, scope.context) as connection:
        previous = find_decision(connection, decision_id)
        if previous is None or previous.decision.outcome is not Outcome.ALLOW:
            return None
        frozen = _is_frozen(connection, previous.decision)
        if previous.decision.expires_at > now and not frozen:
            return None
        submission = require_submission(connection, scope, previous.decision.proposal_id)
        lock_subjects(connection, scope, submission)
        latest = find_latest_decision(connection, previous.decision.proposal_id)
        if latest is None or latest.decision.decision_id != decision_id:
            return None
        closing = FROZEN if frozen else Reason(code="allow_expired", outcome=Outcome.DENY, policy_id="gate")
        bundle = rules.shelf.find_active(connection, proposal_id=submission.proposal_id)
        case = read_case(
            connection, submission, tenant_id=scope.tenant_id, scorecard=rules.scorecard, now=now, fees=read_fees(bundle)
        )
        try:
            return follow_up(connection, case, bundle, Successor(previous, closing_reason=closing), now=now).decision
        except AlreadyExecuted:
            return None


def list_undecided(scope: GateScope, *, since: datetime, before: datetime, limit: int) -> list[str]:
    """Return proposals of the inbox that have no decision."""
    parameters = {"since": since, "before": before, "limit": limit}
    with unit_of_work(scope.pool, scope.context) as connection:
        return [str(row[0]) for row in connection.execute(QUERIES["list_undecided_proposals"], parameters)]


def list_unexecuted_allows(scope: GateScope, *, since: datetime, limit: int) -> list[tuple[str, datetime]]:
    """Return (decision, expiry) of allows that are the latest of their proposal and were not executed."""
    with unit_of_work(scope.pool, scope.context) as connection:
        rows = connection.execute(QUERIES["list_unexecuted_allows"], {"since": since, "limit": limit}).fetchall()
    return [(str(row[0]), row[2]) for row in rows]


def require_submission(connection: Connection[Any], scope: GateScope, proposal_id: str) -> Submission:
    """Return the inbox row. Raises: NotFound."""
    submission = find_submission(connection, proposal_id, tenant_id=scope.tenant_id)
    if submission is None:
        raise NotFound(f"no proposal {proposal_id}")
    return submission


def lock_subjects(connection: Connection[Any], scope: GateScope, submission: Submission) -> None:
    """Keep other decisions about this customer, and then this operator's, out until the transaction ends.

    Two conversations about one customer cannot both fit what is left of one budget. Raises: NotFound for a lost turn.
    """
    turn = find_turn(connection, conversation_id=submission.conversation_id, message_id=submission.message_id)
    if turn is None:
        raise NotFound("the proposal's conversation or message does not exist")
    for subject in (turn.customer_id, turn.operator_id):
        connection.execute(QUERIES["lock_subject"], {"tenant_id": scope.tenant_id, "subject": subject})


def follow_up(
    connection: Connection[Any], case: Case, bundle: PolicyBundle, successor: Successor, *, now: datetime
) -> StoredDecision:
    """Decide again on fresh facts and link the decision to the one before. Opens a review when it asks for one.

    While a freeze covers the act it is denied. A hold of the chain that is still open goes on: an allow posts it.
    Raises: AlreadyExecuted.
    """
    proposal_id = case.submission.proposal_id
    event_id = find_event_id(connection, subject=proposal_id, event_type="proposal.submitted")
    if event_id is None:
        raise BrokenInvariant(f"{proposal_id} was decided, but the log holds no proposal.submitted")
    links = EventLinks(
        proposal_digest=case.submission.digest, proposal_event_id=event_id, approval_event_id=successor.approval_event_id
    )
    counted = case.with_approvals(successor.approval_count)
    closing = successor.closing_reason or (FROZEN if _is_frozen(connection, successor.previous.decision) else None)
    request = counted.to_input(
        make_id("dec", now),
        previous_decision_id=successor.previous.decision.decision_id,
        approval_id=successor.approval_id,
        closing_reason=closing,
    )
    hold = find_hold(connection, proposal_id)
    if hold is not None and hold.is_open(now):
        request = replace(request, hold_transfer_id=hold.transfer_id)
    try:
        return _store(connection, case, decide_action(request, bundle, now=now), bundle, links, now=now)
    except CheckViolation as error:
        raise AlreadyExecuted(f"{proposal_id} was executed; no further decision is made on it") from error


def _decide_once(connection: Connection[Any], scope: GateScope, rules: Rules, proposal_id: str, now: datetime) -> StoredDecision:
    submission = require_submission(connection, scope, proposal_id)
    lock_subjects(connection, scope, submission)
    existing = find_latest_decision(connection, proposal_id)
    if existing is not None:
        return existing
    bundle = rules.shelf.find_active(connection, proposal_id=proposal_id)
    case = read_case(
        connection, submission, tenant_id=scope.tenant_id, scorecard=rules.scorecard, now=now, fees=read_fees(bundle)
    )
    frozen = is_frozen(connection, kind=submission.kind.value, operator_id=case.operator_id)
    request = case.to_input(make_id("dec", now), closing_reason=FROZEN if frozen else None)
    decision = decide_action(request, bundle, now=now)
    event_id = _append_submitted(connection, case, tenant_id=scope.tenant_id, now=now)
    links = EventLinks(proposal_digest=submission.digest, proposal_event_id=event_id)
    stored = _store(connection, case, decision, bundle, links, now=now)
    if request.closing_reason is None:
        record_shadow(connection, request, decision, rules.shelf, now=now)
    return stored


def _is_frozen(connection: Connection[Any], decision: Decision) -> bool:
    return is_frozen(connection, kind=decision.action.kind.value, operator_id=decision.operator_id)


def _store(
    connection: Connection[Any], case: Case, decision: Decision, bundle: PolicyBundle, links: EventLinks, *, now: datetime
) -> StoredDecision:
    stored = store_decision(connection, decision, links)
    if decision.outcome is Outcome.REVIEW:
        insert_review(
            connection,
            decision,
            state_digest=digest_state(case, bundle, now=now),
            required_approvals=count_required_approvals(decision, bundle),
            expires_at=now + timedelta(seconds=bundle.manifest.review_lifetime_s),
        )
    return stored


def _append_submitted(connection: Connection[Any], case: Case, *, tenant_id: str, now: datetime) -> str:
    submission = case.submission
    event_id = make_id("evt", now)
    message_event_id = find_event_id(connection, subject=submission.message_id, event_type="message.received")
    append_event(
        connection,
        Event(
            event_id=event_id,
            event_type="proposal.submitted",
            source=SOURCE,
            subject=submission.proposal_id,
            tenant_id=tenant_id,
            occurred_at=submission.proposal.submitted_at if submission.proposal else now,
            recorded_at=now,
            account_id=case.action.account_id,
            idempotency_key=submission.proposal_id,
            amount_minor=case.action.amount_minor,
            currency=case.action.currency,
            data={**submission.to_event_data(), "message_event_id": message_event_id},
        ),
    )
    return event_id
