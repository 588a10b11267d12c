"""The queue of reviews: who holds which, what is shown first, what waited too long. Floods of one source are one item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from domain.errors import Conflict, NotFound
from domain.event import Event
from domain.ids import make_id, require_id
from gates.decision_store import SOURCE, find_decision
from gates.review import require_approver
from gates.review_errors import ClaimedByOther, OwnProposal, ReviewClosed
from gates.review_store import QUERIES, Review, drop_claim, find_review, lock_review, take_claim
from gates.submission import GateScope, Rules
from storage.events import append_event
from storage.unit_of_work import unit_of_work

LEASE = timedelta(minutes=15)
_COLLAPSED_FROM = 3
_MAX_QUEUE = 2_000


class NotYourClaim(Conflict):
    """Say that a person gave back what he does not hold."""

    code = "not_your_claim"


@dataclass(frozen=True, slots=True)
class QueuedReview:
    """Hold one open review as the queue shows it. `answers` is how many people have answered; a claim may be over."""

    review_id: str
    proposal_id: str
    decision_id: str
    group_key: str
    priority: int
    opened_at: datetime
    expires_at: datetime
    escalated_at: datetime | None
    required_approvals: int
    claimed_by: str | None
    claimed_until: datetime | None
    operator_id: str
    action_kind: str
    action_digest: str
    amount_minor: int
    currency: str
    answers: int


@dataclass(frozen=True, slots=True)
class QueueItem:
    """Hold one line of the queue: a review, or three and more alike of one source. The riskiest member is the first.

    `total_minor` is by currency.
    """

    group_key: str
    operator_id: str
    action_kind: str
    codes: tuple[str, ...]
    members: tuple[QueuedReview, ...]
    total_minor: dict[str, int]

    @property
    def riskiest(self) -> QueuedReview:
        """Return the member to read first."""
        return self.members[0]


def claim_review(scope: GateScope, review_id: str, session_token: str, *, now: datetime) -> Review:
    """Take a review for 15 minutes: nobody else can answer it meanwhile. Again by the same person: 15 minutes from now.

    Raises: InvalidId, NotFound, NotSignedIn, NotAnApprover, OwnProposal, ReviewClosed, ClaimedByOther.
    """
    require_id(review_id, "rev")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_approver(connection, session_token, now=now)
        before = _require_review(connection, review_id)
        decision = find_decision(connection, before.decision_id)
        if decision is not None and decision.decision.operator_id == person.operator_id:
            raise OwnProposal("whoever asked for it may not decide on it")
        taken = take_claim(connection, review_id, operator_id=person.operator_id, now=now, until=now + LEASE)
        review = _require_review(connection, review_id)
        if not taken and review.state != "open":
            raise ReviewClosed(f"the review is {review.state}")
        if not taken:
            raise ClaimedByOther("another person is reading it: wait until he answers, releases it, or his time is over")
        if before.find_claimant(now) != person.operator_id:
            _append_event(connection, scope, review, "review.claimed", person.operator_id, now)
        return review


def release_review(scope: GateScope, review_id: str, session_token: str, *, now: datetime) -> Review:
    """Give a review back before its time is over. Raises: InvalidId, NotFound, NotSignedIn, NotAnApprover, NotYourClaim."""
    require_id(review_id, "rev")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_approver(connection, session_token, now=now)
        lock_review(connection, review_id)
        if not drop_claim(connection, review_id, operator_id=person.operator_id):
            _require_review(connection, review_id)
            raise NotYourClaim("you do not hold this review")
        review = _require_review(connection, review_id)
        _append_event(connection, scope, review, "review.released", person.operator_id, now)
        return review


def list_queue(connection: Connection[Any]) -> tuple[QueueItem, ...]:
    """Return what waits: escalated first, then the riskiest, then the oldest; alike ones of one source as one item.

    An item stands where its foremost member would.
    """
    with connection.cursor(row_factory=class_row(QueuedReview)) as cursor:
        rows = cursor.execute(QUERIES["list_queue"], {"limit": _MAX_QUEUE}).fetchall()
    return collapse(rows)


def collapse(rows: Sequence[QueuedReview]) -> tuple[QueueItem, ...]:
    """Fold rows that are already in the queue's order into its items, from three alike on."""
    alike: dict[str, list[QueuedReview]] = {}
    for row in rows:
        alike.setdefault(row.group_key, []).append(row)
    items: list[QueueItem] = []
    for row in rows:
        members = alike[row.group_key]
        if len(members) < _COLLAPSED_FROM:
            items.append(_make_item([row]))
        elif members[0] is row:
            items.append(_make_item(members))
    return tuple(items)


def escalate_due(scope: GateScope, rules: Rules, *, now: datetime, limit: int = 100) -> list[str]:
    """Mark reviews that waited longer than the policy lets them, once each, with an event. Returns their ids."""
    with unit_of_work(scope.pool, scope.context) as connection:
        waits = timedelta(seconds=rules.shelf.find_active(connection).manifest.escalate_after_s)
        parameters = {"now": now, "opened_before": now - waits, "limit": limit}
        due = sorted(str(row[0]) for row in connection.execute(QUERIES["mark_escalated"], parameters))
        for review_id in due:
            _append_event(connection, scope, _require_review(connection, review_id), "review.escalated", None, now)
    return due


def _make_item(members: Sequence[QueuedReview]) -> QueueItem:
    first = max(members, key=lambda member: member.priority)
    others = [member for member in members if member is not first]
    totals: dict[str, int] = {}
    for member in members:
        totals[member.currency] = totals.get(member.currency, 0) + member.amount_minor
    return QueueItem(
        group_key=first.group_key,
        operator_id=first.operator_id,
        action_kind=first.action_kind,
        codes=tuple(code for code in first.group_key.rpartition("|")[2].split(",") if code),
        members=(first, *others),
        total_minor=totals,
    )


def _require_review(connection: Connection[Any], review_id: str) -> Review:
    review = find_review(connection, review_id)
    if review is None:
        raise NotFound(f"no review {review_id}")
    return review


def _append_event(
    connection: Connection[Any], scope: GateScope, review: Review, event_type: str, operator_id: str | None, now: datetime
) -> None:
    append_event(
        connection,
        Event(
            event_id=make_id("evt", now),
            event_type=event_type,
            source=SOURCE,
            subject=review.review_id,
            tenant_id=scope.tenant_id,
            occurred_at=now,
            recorded_at=now,
            data={
                "review_id": review.review_id,
                "decision_id": review.decision_id,
                "proposal_id": review.proposal_id,
                "operator_id": operator_id,
                "priority": review.priority,
            },
        ),
    )
