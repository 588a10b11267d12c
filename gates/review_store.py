"""Reviews and verdicts as rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row, dict_row

from domain.decision import Decision
from domain.ids import make_id
from gates.review_ranking import measure_priority, name_group
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "reviews.sql")
Verdict = Literal["approve", "refuse"]
ReviewState = Literal["open", "approved", "refused", "expired"]


@dataclass(frozen=True, slots=True)
class Review:
    """Hold a review: bound to the digest of the exact action and of the state it is read in.

    A claim is a lease: past `claimed_until` it is nobody's. `priority` is 0 upwards, the riskier the higher.
    """

    review_id: str
    proposal_id: str
    decision_id: str
    action_digest: str
    state_digest: str
    state: ReviewState
    required_approvals: int
    opened_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    priority: int
    group_key: str
    claimed_by: str | None
    claimed_at: datetime | None
    claimed_until: datetime | None
    escalated_at: datetime | None

    def find_claimant(self, now: datetime) -> str | None:
        """Return who holds the review at this moment."""
        return self.claimed_by if self.claimed_until is not None and now < self.claimed_until else None


@dataclass(frozen=True, slots=True)
class Approval:
    """Hold what one person said on one review.

    `handled_s`: at most how long he had it before him. `group_size`: how many alike were open when he answered.
    """

    approval_id: str
    review_id: str
    operator_id: str
    verdict: Verdict
    action_digest: str
    reason: str
    idempotency_key: str
    event_id: str
    created_at: datetime
    handled_s: int
    group_size: int


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """Hold what a person said before under the same key."""

    approval_id: str
    review_id: str
    verdict: Verdict
    action_digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class Person:
    """Hold who is behind a live session."""

    operator_id: str
    roles: frozenset[str]


def insert_review(
    connection: Connection[Any], decision: Decision, *, state_digest: str, required_approvals: int, expires_at: datetime
) -> str:
    """Open the review that a decision asks for; return its id."""
    review_id = make_id("rev", decision.decided_at)
    connection.execute(
        QUERIES["insert_review"],
        {
            "tenant_id": decision.tenant_id,
            "review_id": review_id,
            "proposal_id": decision.proposal_id,
            "decision_id": decision.decision_id,
            "action_digest": decision.action_digest,
            "state_digest": state_digest,
            "required_approvals": required_approvals,
            "opened_at": decision.decided_at,
            "expires_at": expires_at,
            "priority": measure_priority(decision),
            "group_key": name_group(decision),
            "operator_id": decision.operator_id,
        },
    )
    return review_id


def find_review(connection: Connection[Any], review_id: str) -> Review | None:
    """Return one review."""
    return _find(connection, "find_review", {"review_id": review_id})


def take_claim(connection: Connection[Any], review_id: str, *, operator_id: str, now: datetime, until: datetime) -> bool:
    """Lease a review that is open and not held by another; say whether it is his now. Idempotent: it only extends."""
    parameters = {"review_id": review_id, "operator_id": operator_id, "now": now, "until": until}
    return connection.execute(QUERIES["take_claim"], parameters).rowcount == 1


def drop_claim(connection: Connection[Any], review_id: str, *, operator_id: str) -> bool:
    """Give an open review back that this person holds; say whether he held it."""
    return connection.execute(QUERIES["drop_claim"], {"review_id": review_id, "operator_id": operator_id}).rowcount == 1


def find_review_of_decision(connection: Connection[Any], decision_id: str) -> Review | None:
    """Return the review that a decision opened."""
    return _find(connection, "find_review_of_decision", {"decision_id": decision_id})


def lock_review(connection: Connection[Any], review_id: str) -> None:
    """Keep other verdicts on this review out until the transaction ends."""
    connection.execute(QUERIES["lock_review"], {"review_id": review_id})


def list_reviews(connection: Connection[Any], *, state: ReviewState, limit: int) -> list[tuple[str, str]]:
    """Return (review, decision) in a state, the oldest first."""
    rows = connection.execute(QUERIES["list_reviews"], {"state": state, "limit": limit})
    return [(str(row[0]), str(row[1])) for row in rows]


def list_expired_reviews(connection: Connection[Any], *, now: datetime, limit: int) -> list[str]:
    """Return reviews that are open beyond their time."""
    return [str(row[0]) for row in connection.execute(QUERIES["list_expired_reviews"], {"now": now, "limit": limit})]


def close_review(connection: Connection[Any], review_id: str, *, state: ReviewState, now: datetime) -> None:
    """Close an open review, for good."""
    connection.execute(QUERIES["close_review"], {"review_id": review_id, "state": state, "now": now})


def insert_approval(connection: Connection[Any], approval: Approval, *, tenant_id: str) -> None:
    """Write a verdict. Raises: psycopg.errors.UniqueViolation when the person has answered this review."""
    parameters = {name: getattr(approval, name) for name in Approval.__slots__}
    connection.execute(QUERIES["insert_approval"], {"tenant_id": tenant_id, **parameters})


def has_answered(connection: Connection[Any], *, review_id: str, operator_id: str) -> bool:
    """Say whether a person has answered a review."""
    parameters = {"review_id": review_id, "operator_id": operator_id}
    return connection.execute(QUERIES["find_approval_of_operator"], parameters).fetchone() is not None


def find_earlier_answer(connection: Connection[Any], *, operator_id: str, idempotency_key: str) -> EarlierAnswer | None:
    """Return what a person said under this key before."""
    parameters = {"operator_id": operator_id, "idempotency_key": idempotency_key}
    with connection.cursor(row_factory=class_row(EarlierAnswer)) as cursor:
        return cursor.execute(QUERIES["find_approval_by_key"], parameters).fetchone()


def count_alike(connection: Connection[Any], group_key: str) -> int:
    """Count the open reviews of a group."""
    return _count(connection, "count_alike", {"group_key": group_key})


def count_answers(connection: Connection[Any], operator_id: str, *, after: datetime) -> int:
    """Count the verdicts of a person after a moment."""
    return _count(connection, "count_answers", {"operator_id": operator_id, "after": after})


def find_last_answer_at(connection: Connection[Any], operator_id: str) -> datetime | None:
    """Return when a person last gave a verdict."""
    row = connection.execute(QUERIES["find_last_answer_at"], {"operator_id": operator_id}).fetchone()
    return None if row is None else row[0]


def count_valid_approvals(connection: Connection[Any], *, review_id: str, proposer_id: str) -> int:
    """Count distinct people who may approve now and did; the operator who asked never counts."""
    return _count(connection, "count_valid_approvals", {"review_id": review_id, "proposer_id": proposer_id})


def find_person(connection: Connection[Any], session_token: str, *, now: datetime) -> Person | None:
    """Return who holds a session token now, or None when nobody does."""
    digest = hashlib.sha256(session_token.encode()).digest()
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERIES["find_session"], {"token_sha256": digest, "now": now}).fetchone()
    return None if row is None else Person(operator_id=row["operator_id"], roles=frozenset(row["roles"]))


def _count(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> int:
    row = connection.execute(QUERIES[name], parameters).fetchone()
    return int(row[0]) if row else 0


def _find(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> Review | None:
    with connection.cursor(row_factory=class_row(Review)) as cursor:
        return cursor.execute(QUERIES[name], parameters).fetchone()
