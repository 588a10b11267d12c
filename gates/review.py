"""Review: a person lifts or refuses what the gate sent to people. Bound to the exact action and to the state it was read in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from domain.decision import Decision, Outcome, Reason
from domain.errors import BrokenInvariant, Conflict, NotFound
from domain.event import Event
from domain.ids import make_id, require_id
from domain.roles import Role
from gates.case import Case, digest_state, read_case
from gates.decision_store import SOURCE, StoredDecision, find_decision, find_latest_decision
from gates.fact_reads import open_case
from gates.fees import read_fees
from gates.people import NotPermitted, require_person
from gates.policy.bundle import PolicyBundle
from gates.review_errors import (
    AlreadyAnswered,
    ClaimedByOther,
    NotAnApprover,
    OtherAction,
    OwnProposal,
    ReviewClosed,
    ReviewerBudgetSpent,
    StateChanged,
)
from gates.review_store import (
    Approval,
    Person,
    Review,
    Verdict,
    close_review,
    count_alike,
    count_answers,
    count_valid_approvals,
    drop_claim,
    find_earlier_answer,
    find_last_answer_at,
    find_review,
    has_answered,
    insert_approval,
    list_expired_reviews,
    lock_review,
)
from gates.submission import GateScope, Rules, Successor, follow_up
from storage.events import append_event
from storage.idempotency import KeyReused
from storage.unit_of_work import unit_of_work

_HOUR = timedelta(hours=1)
_MAX_GROUP = 32_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what a person sends: his session, the digest of the action that he read, and why."""

    review_id: str
    verdict: Verdict
    session_token: str
    action_digest: str
    reason: str
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class _Open:
    """Hold an open review under lock, with the decision it belongs to and the case as it is now."""

    review: Review
    reviewed: StoredDecision
    case: Case
    bundle: PolicyBundle


def answer_review(scope: GateScope, rules: Rules, answer: Answer, *, now: datetime) -> Decision:
    """Approve or refuse. Returns the latest decision of the proposal: a new one when the review closed, linked to the old.

    Idempotency: by person and key. Raises: InvalidId, NotFound, Forbidden, Conflict (`state_changed`: the approval died, and a
    fresh decision was made in the same transaction).
    """
    require_id(answer.review_id, "rev")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_approver(connection, answer.session_token, now=now)
        repeated = _find_repeat(connection, answer, person)
        if repeated is not None:
            return repeated
        found = _open_review(connection, scope, rules, answer.review_id, now)
        _check_answer(connection, found, answer, person, now)
        refused = _refuse_stale(connection, found, now) if answer.verdict == "approve" or _is_overdue(found, now) else None
        decision = None if refused else _apply(connection, found, answer, person, now)
    if refused is not None:
        raise refused
    if decision is None:
        raise BrokenInvariant("a verdict without a decision")
    return decision


def expire_reviews(scope: GateScope, rules: Rules, *, now: datetime, limit: int = 100) -> list[str]:
    """Close reviews that nobody decided on in time, each with a linked deny, each in its own transaction."""
    with unit_of_work(scope.pool, scope.context) as connection:
        overdue = list_expired_reviews(connection, now=now, limit=limit)
    closed: list[str] = []
    for review_id in overdue:
        with unit_of_work(scope.pool, scope.context) as connection:
            try:
                found = _open_review(connection, scope, rules, review_id, now)
            except ReviewClosed:
                continue
            _close_overdue(connection, found, now)
            closed.append(review_id)
    return closed


def require_approver(connection: Connection[Any], session_token: str, *, now: datetime) -> Person:
    """Return who is signed in, if he may decide on reviews. Raises: NotSignedIn, NotAnApprover."""
    try:
        return require_person(connection, session_token, now=now, roles=frozenset({Role.APPROVER}))
    except NotPermitted:
        raise NotAnApprover("only an approver may decide on a review") from None


def _find_repeat(connection: Connection[Any], answer: Answer, person: Person) -> Decision | None:
    earlier = find_earlier_answer(connection, operator_id=person.operator_id, idempotency_key=answer.idempotency_key)
    if earlier is None:
        return None
    same = (earlier.review_id, earlier.verdict, earlier.action_digest, earlier.reason) == (
        answer.review_id,
        answer.verdict,
        answer.action_digest,
        answer.reason,
    )
    if not same:
        raise KeyReused("this idempotency key was used for another verdict")
    review = find_review(connection, answer.review_id)
    latest = find_latest_decision(connection, review.proposal_id) if review else None
    if latest is None:
        raise BrokenInvariant(f"{answer.review_id} was answered and has no decision")
    return latest.decision


def _open_review(connection: Connection[Any], scope: GateScope, rules: Rules, review_id: str, now: datetime) -> _Open:
    """Lock conversation and review in this order, then read everything anew. Raises: NotFound, ReviewClosed."""
    glimpsed = find_review(connection, review_id)
    if glimpsed is None:
        raise NotFound(f"no review {review_id}")
    opened = open_case(connection, glimpsed.proposal_id, tenant_id=scope.tenant_id)
    lock_review(connection, review_id)
    review = find_review(connection, review_id)
    reviewed = find_decision(connection, glimpsed.decision_id)
    if review is None or reviewed is None or opened.latest_decision_id is None:
        raise BrokenInvariant(f"{review_id}: its rows are gone")
    if review.state != "open" or opened.latest_decision_id != reviewed.decision.decision_id:
        raise ReviewClosed(f"the review is {review.state}")
    bundle = rules.shelf.choose(connection, opened.in_force, proposal_id=glimpsed.proposal_id)
    case = read_case(connection, opened, tenant_id=scope.tenant_id, models=rules.models, now=now, fees=read_fees(bundle))
    return _Open(review=review, reviewed=reviewed, case=case, bundle=bundle)


def _check_answer(connection: Connection[Any], found: _Open, answer: Answer, person: Person, now: datetime) -> None:
    if person.operator_id == found.reviewed.decision.operator_id:
        raise OwnProposal("whoever asked for it may not decide on it")
    if answer.action_digest != found.review.action_digest:
        raise OtherAction("the digest is not that of the action under review: read it again")
    if has_answered(connection, review_id=found.review.review_id, operator_id=person.operator_id):
        raise AlreadyAnswered("you have answered this review; a second person has to")
    if found.review.find_claimant(now) not in (None, person.operator_id):
        raise ClaimedByOther("another person is reading it: wait until he answers, releases it, or his time is over")
    # A refusal moves nothing, so it is always open; it counts like any verdict.
    budget = found.bundle.manifest.reviewer_budget_1h
    if answer.verdict == "approve" and count_answers(connection, person.operator_id, after=now - _HOUR) >= budget:
        raise ReviewerBudgetSpent(f"{budget} verdicts within an hour are as many as one person can read: let another one look")


def _is_overdue(found: _Open, now: datetime) -> bool:
    return found.review.expires_at <= now


def _refuse_stale(connection: Connection[Any], found: _Open, now: datetime) -> Conflict | None:
    """Close a review whose time or whose state is over, and decide anew. Returns what the caller raises after the commit."""
    if _is_overdue(found, now):
        _close_overdue(connection, found, now)
        return ReviewClosed("the review expired")
    same_action = found.case.action.digest() == found.review.action_digest
    if same_action and digest_state(found.case, found.bundle, now=now) == found.review.state_digest:
        return None
    close_review(connection, found.review.review_id, state="expired", now=now)
    _append_event(connection, found, event_type="review.expired", verdict="state_changed", now=now)
    follow_up(connection, found.case, found.bundle, Successor(found.reviewed), now=now)
    return StateChanged("something changed since this review was opened: read the fresh decision")


def _close_overdue(connection: Connection[Any], found: _Open, now: datetime) -> None:
    close_review(connection, found.review.review_id, state="expired", now=now)
    _append_event(connection, found, event_type="review.expired", verdict="expired", now=now)
    closing = Reason(code="review_expired", outcome=Outcome.DENY, policy_id="gate")
    follow_up(connection, found.case, found.bundle, Successor(found.reviewed, closing_reason=closing), now=now)


def _apply(connection: Connection[Any], found: _Open, answer: Answer, person: Person, now: datetime) -> Decision:
    approval_id = make_id("apr", now)
    event_id = _append_event(
        connection,
        found,
        event_type="review.approved" if answer.verdict == "approve" else "review.refused",
        verdict=answer.verdict,
        now=now,
        approval_id=approval_id,
        operator_id=person.operator_id,
        reason=answer.reason,
    )
    approval = Approval(
        approval_id=approval_id,
        review_id=answer.review_id,
        operator_id=person.operator_id,
        verdict=answer.verdict,
        action_digest=answer.action_digest,
        reason=answer.reason,
        idempotency_key=answer.idempotency_key,
        event_id=event_id,
        created_at=now,
        handled_s=_measure_handling(connection, found.review, person, now),
        group_size=min(_MAX_GROUP, max(1, count_alike(connection, found.review.group_key))),
    )
    insert_approval(connection, approval, tenant_id=found.reviewed.decision.tenant_id)
    drop_claim(connection, answer.review_id, operator_id=person.operator_id)
    return _conclude(connection, found, approval, now)


def _measure_handling(connection: Connection[Any], review: Review, person: Person, now: datetime) -> int:
    """Return the seconds since he could have begun: it opened, he claimed it, or he gave his verdict before."""
    claimed_at = review.claimed_at if review.claimed_by == person.operator_id else None
    began = [moment for moment in (review.opened_at, claimed_at, find_last_answer_at(connection, person.operator_id)) if moment]
    return max(0, int((now - max(began)).total_seconds()))


def _conclude(connection: Connection[Any], found: _Open, approval: Approval, now: datetime) -> Decision:
    """Decide anew when the verdict closes the review: a refusal always, an approval when enough people agree."""
    if approval.verdict == "refuse":
        close_review(connection, approval.review_id, state="refused", now=now)
        closing = Reason(code="review_refused", outcome=Outcome.DENY, policy_id="gate")
        successor = Successor(found.reviewed, approval.approval_id, approval.event_id, closing_reason=closing)
        return follow_up(connection, found.case, found.bundle, successor, now=now).decision
    count = count_valid_approvals(connection, review_id=approval.review_id, proposer_id=found.reviewed.decision.operator_id)
    if count < found.review.required_approvals:
        return found.reviewed.decision
    close_review(connection, approval.review_id, state="approved", now=now)
    successor = Successor(found.reviewed, approval.approval_id, approval.event_id, approval_count=count)
    return follow_up(connection, found.case, found.bundle, successor, now=now).decision


def _append_event(
    connection: Connection[Any],
    found: _Open,
    *,
    event_type: str,
    verdict: str,
    now: datetime,
    approval_id: str | None = None,
    operator_id: str | None = None,
    reason: str = "",
) -> str:
    event_id = make_id("evt", now)
    decision = found.reviewed.decision
    data: dict[str, Any] = {
        "review_id": found.review.review_id,
        "approval_id": approval_id,
        "decision_id": decision.decision_id,
        "decision_event_id": found.reviewed.event_id,
        "proposal_id": decision.proposal_id,
        "operator_id": operator_id,
        "verdict": verdict,
        "action_digest": found.review.action_digest,
        "state_digest": found.review.state_digest,
        # A person's words may name people; the log that nobody can edit gets their hash.
        "reason_sha256": hashlib.sha256(reason.encode()).hexdigest(),
    }
    append_event(
        connection,
        Event(
            event_id=event_id,
            event_type=event_type,
            source=SOURCE,
            subject=found.review.review_id,
            tenant_id=decision.tenant_id,
            occurred_at=now,
            recorded_at=now,
            account_id=decision.action.account_id,
            amount_minor=decision.action.amount_minor,
            currency=decision.action.currency,
            policy_decision=decision.outcome.value,
            policy_version=decision.policy_version,
            data=data,
        ),
    )
    return event_id
