"""Decisions as rows: written once with their event, read back as they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from domain.clock import render_time
from domain.decision import Decision, ScoreResult
from domain.event import Event
from domain.ids import make_id
from ledger.transfer_digest import derive_transfer_id, digest_refund
from storage.events import append_event
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "decisions.sql")
SOURCE = "gate"
_COPIED = (
    "tenant_id", "decision_id", "proposal_id", "previous_decision_id", "approval_id", "outcome", "action", "action_digest",
    "reasons", "origins", "facts", "facts_digest", "policy_bundle_sha256", "policy_version", "engine_version", "prompt_id",
    "prompt_sha256", "model", "operator_id", "decided_at", "expires_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EventLinks:
    """Hold what came before a decision in the log: the proposal's digest and event, and the last approval's event."""

    proposal_digest: str
    proposal_event_id: str
    approval_event_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """Hold a decision with the event that told of it."""

    decision: Decision
    event_id: str


@dataclass(frozen=True, slots=True)
class PostingRead:
    """Hold what the ledger posted for a decision. `balance_after_minor` is the customer's side."""

    transfer_id: str
    amount_minor: int
    currency: str
    debit: str
    credit: str
    posted_at: datetime
    balance_after_minor: int


def store_decision(connection: Connection[Any], decision: Decision, links: EventLinks) -> StoredDecision:
    """Write a decision and its event in the caller's transaction.

    Raises: psycopg.errors.UniqueViolation when the proposal has a first decision already, or this one a successor.
    """
    event_id = make_id("evt", decision.decided_at)
    transfer_digest = digest_refund(decision.action, decision.decision_id)
    append_event(connection, _make_event(decision, links, event_id=event_id, transfer_digest=transfer_digest))
    record = decision.model_dump(mode="json")
    connection.execute(
        QUERIES["insert_decision"],
        {
            **{name: record[name] for name in _COPIED},
            **{name: Jsonb(record[name]) for name in ("action", "reasons", "origins", "facts")},
            "action_kind": decision.action.kind.value,
            "transaction_id": decision.action.transaction_id,
            "customer_id": decision.action.customer_id,
            "account_id": decision.action.account_id,
            "amount_minor": decision.action.amount_minor,
            "currency": decision.action.currency,
            "transfer_digest": transfer_digest,
            "transfer_id": None if transfer_digest is None else derive_transfer_id(decision.decision_id),
            "score": decision.score.score,
            "score_reasons": Jsonb(list(decision.score.reason_codes)),
            "score_ref": decision.score.model_ref,
            "event_id": event_id,
        },
    )
    return StoredDecision(decision=decision, event_id=event_id)


def find_decision(connection: Connection[Any], decision_id: str) -> StoredDecision | None:
    """Return one decision of the tenant."""
    return _find(connection, "find_decision", {"decision_id": decision_id})


def find_latest_decision(connection: Connection[Any], proposal_id: str) -> StoredDecision | None:
    """Return the last decision of a proposal's chain."""
    return _find(connection, "find_latest_decision", {"proposal_id": proposal_id})


def find_posting(connection: Connection[Any], decision_id: str) -> PostingRead | None:
    """Return what was posted for a decision, read back from the ledger."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERIES["find_posting"], {"decision_id": decision_id}).fetchone()
    if row is None:
        return None
    transfer_id = row.pop("transfer_id")
    return PostingRead(transfer_id=f"tfr_{transfer_id.hex}", **row)


def find_event_id(connection: Connection[Any], *, subject: str, event_type: str) -> str | None:
    """Return the id of the first event of a type about a subject."""
    row = connection.execute(QUERIES["find_event_id"], {"subject": subject, "event_type": event_type}).fetchone()
    return None if row is None else f"evt_{row[0].hex}"


def _find(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> StoredDecision | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERIES[name], parameters).fetchone()
    if row is None:
        return None
    score = ScoreResult(score=row["score"], reason_codes=tuple(row["score_reasons"]), model_ref=row["score_ref"])
    decision = Decision.model_validate({**{field: row[field] for field in _COPIED}, "score": score})
    return StoredDecision(decision=decision, event_id=row["event_id"])


def _make_event(decision: Decision, links: EventLinks, *, event_id: str, transfer_digest: bytes | None) -> Event:
    data = decision.model_dump(
        mode="json",
        include={
            "decision_id", "proposal_id", "previous_decision_id", "approval_id", "outcome", "reasons", "action", "action_digest",
            "origins", "facts_digest", "policy_bundle_sha256", "policy_version", "engine_version", "operator_id",
        },
    )  # fmt: skip
    return Event(
        event_id=event_id,
        event_type="gate.decided",
        source=SOURCE,
        subject=decision.decision_id,
        tenant_id=decision.tenant_id,
        occurred_at=decision.decided_at,
        recorded_at=decision.decided_at,
        account_id=decision.action.account_id,
        idempotency_key=decision.decision_id,
        amount_minor=decision.action.amount_minor,
        currency=decision.action.currency,
        policy_decision=decision.outcome.value,
        policy_version=decision.policy_version,
        model_score_ref=decision.score.model_ref,
        data={
            **data,
            "proposal_digest": links.proposal_digest,
            "proposal_event_id": links.proposal_event_id,
            "approval_event_id": links.approval_event_id,
            "transfer_digest": transfer_digest.hex() if transfer_digest else None,
            "decided_at": render_time(decision.decided_at),
            "expires_at": render_time(decision.expires_at),
        },
    )
