"""From a row of the inbox to a decision: one transaction, once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.errors import CheckViolation, UniqueViolation

from domain.decision import Decision, Outcome, Reason
from domain.errors import BrokenInvariant, Conflict
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
    find_hold,
    find_latest_decision,
    is_frozen,
    store_decision,
)
from gates.fact_reads import open_case
from gates.fees import read_fees
from gates.policy.active import PolicyShelf
from gates.policy.bundle import PolicyBundle
from gates.registry import ModelShelf
from gates.review_store import insert_review
from gates.score.model import ScoreModel
from gates.shadow import ShadowRules, record_shadow, record_shadow_score
from storage.pools import Pool
from storage.unit_of_work import unit_of_work

FROZEN = Reason(code="frozen", outcome=Outcome.DENY, policy_id="gate")
"""Why an act that a freeze covers is denied, whatever the policy says."""


class AlreadyExecuted(Conflict):
    """Say that the proposal was executed meanwhile: nothing supersedes that."""

    code = "already_executed"


@dataclass(frozen=True, slots=True)
class Rules:
    """Hold what decides: shelves of bundles and models. `scorecard` came with the release: it is installed where no score is."""

    scorecard: ScoreModel
    shelf: PolicyShelf = field(default_factory=PolicyShelf)
    models: ModelShelf = field(default_factory=ModelShelf)


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
            return _decide_once(connection, scope, rules, proposal_id, now)
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
        frozen = is_frozen(connection, kind=previous.decision.action.kind.value, operator_id=previous.decision.operator_id)
        if previous.decision.expires_at > now and not frozen:
            return None
        opened = open_case(connection, previous.decision.proposal_id, tenant_id=scope.tenant_id)
        if opened.latest_decision_id != decision_id:
            return None
        closing = FROZEN if frozen else Reason(code="allow_expired", outcome=Outcome.DENY, policy_id="gate")
        bundle = rules.shelf.choose(connection, opened.in_force, proposal_id=previous.decision.proposal_id)
        case = read_case(connection, opened, tenant_id=scope.tenant_id, models=rules.models, now=now, fees=read_fees(bundle))
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


def follow_up(
    connection: Connection[Any], case: Case, bundle: PolicyBundle, successor: Successor, *, now: datetime
) -> StoredDecision:
    """Decide again on fresh facts and link the decision to the one before. Opens a review when it asks for one.

    While a freeze covers the act it is denied. A hold of the chain that is still open goes on: an allow posts it.
    Raises: AlreadyExecuted.
    """
    proposal_id, event_id = case.submission.proposal_id, case.opened.submitted_event_id
    if event_id is None:
        raise BrokenInvariant(f"{proposal_id} was decided, but the log holds no proposal.submitted")
    links = EventLinks(
        proposal_digest=case.submission.digest, proposal_event_id=event_id, approval_event_id=successor.approval_event_id
    )
    counted = case.with_approvals(successor.approval_count)
    request = counted.to_input(
        make_id("dec", now),
        previous_decision_id=successor.previous.decision.decision_id,
        approval_id=successor.approval_id,
        closing_reason=successor.closing_reason or (FROZEN if case.is_frozen else None),
    )
    hold = find_hold(connection, proposal_id)
    if hold is not None and hold.is_open(now):
        request = replace(request, hold_transfer_id=hold.transfer_id)
    try:
        return _store(connection, case, decide_action(request, bundle, now=now), bundle, links, now=now)
    except CheckViolation as error:
        raise AlreadyExecuted(f"{proposal_id} was executed; no further decision is made on it") from error


def _decide_once(connection: Connection[Any], scope: GateScope, rules: Rules, proposal_id: str, now: datetime) -> Decision:
    opened = open_case(connection, proposal_id, tenant_id=scope.tenant_id)
    if opened.latest_decision_id is not None:
        return _require_decision(connection, opened.latest_decision_id).decision
    bundle = rules.shelf.choose(connection, opened.in_force, proposal_id=proposal_id)
    case = read_case(connection, opened, tenant_id=scope.tenant_id, models=rules.models, now=now, fees=read_fees(bundle))
    request = case.to_input(make_id("dec", now), closing_reason=FROZEN if case.is_frozen else None)
    decision = decide_action(request, bundle, now=now)
    submitted = _tell_of_submission(case, tenant_id=scope.tenant_id, now=now)
    links = EventLinks(proposal_digest=opened.submission.digest, proposal_event_id=submitted.event_id)
    _store(connection, case, decision, bundle, links, now=now, told_before=(submitted,))
    record_shadow(connection, request, decision, rules.shelf, opened.in_force, now=now)
    record_shadow_score(
        connection, request, decision, ShadowRules(bundle, rules.models.open(connection, opened.in_force)), now=now
    )
    return decision


def _require_decision(connection: Connection[Any], decision_id: str) -> StoredDecision:
    stored = find_decision(connection, decision_id)
    if stored is None:
        raise BrokenInvariant(f"{decision_id} exists and cannot be read")
    return stored


def _store(
    connection: Connection[Any],
    case: Case,
    decision: Decision,
    bundle: PolicyBundle,
    links: EventLinks,
    *,
    now: datetime,
    told_before: tuple[Event, ...] = (),
) -> StoredDecision:
    stored = store_decision(connection, decision, links, told_before=told_before)
    if decision.outcome is Outcome.REVIEW:
        insert_review(
            connection,
            decision,
            state_digest=digest_state(case, bundle, now=now),
            required_approvals=count_required_approvals(decision, bundle),
            expires_at=now + timedelta(seconds=bundle.manifest.review_lifetime_s),
        )
    return stored


def _tell_of_submission(case: Case, *, tenant_id: str, now: datetime) -> Event:
    submission = case.submission
    return Event(
        event_id=make_id("evt", now),
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
        data={**submission.to_event_data(), "message_event_id": case.opened.message_event_id},
    )
