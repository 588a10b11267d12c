"""Decisions as rows: written once with their event, read back as they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from psycopg import Connection
from psycopg.rows import dict_row

from domain.clock import render_time
from domain.decision import Decision, ScoreResult
from domain.event import Event
from domain.ids import make_id, uuid_of
from ledger.transfer_digest import derive_transfer_id, digest_decision
from storage.events import append_events
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "decisions.sql")
SOURCE = "gate"
_COPIED = (
    "tenant_id", "decision_id", "proposal_id", "previous_decision_id", "approval_id", "outcome", "action", "action_digest",
    "reasons", "origins", "facts", "facts_digest", "policy_bundle_sha256", "policy_version", "engine_version", "prompt_id",
    "prompt_sha256", "model", "operator_id", "decided_at", "expires_at", "hold_expires_at",
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
    """Hold what the ledger posted for a decision. `balance_after_minor`: of the customer's side, 0 where neither side is one."""

    transfer_id: str
    amount_minor: int
    currency: str
    debit: str
    credit: str
    posted_at: datetime
    balance_after_minor: int


@dataclass(frozen=True, slots=True)
class HoldRead:
    """Hold a placed hold as the ledger has it."""

    transfer_id: str
    state: str
    expires_at: datetime | None

    def is_open(self, now: datetime) -> bool:
        """Say whether it still keeps the amount."""
        return self.state == "pending" and (self.expires_at is None or self.expires_at > now)


def store_decision(
    connection: Connection[Any], decision: Decision, links: EventLinks, *, told_before: Sequence[Event] = ()
) -> StoredDecision:
    """Write a decision and its event in the caller's transaction, after the events that have to be told before it.

    Raises: psycopg.errors.UniqueViolation when the proposal has a first decision already, or this one a successor.
    """
    event_id = make_id("evt", decision.decided_at)
    transfer_digest = digest_decision(decision)
    append_events(connection, [*told_before, _make_event(decision, links, event_id=event_id, transfer_digest=transfer_digest)])
    record = decision.model_dump(mode="json", exclude={"score"})
    row = {
        **record,
        "action_kind": decision.action.kind.value,
        "transaction_id": decision.action.transaction_id,
        "customer_id": decision.action.customer_id,
        "account_id": decision.action.account_id,
        "beneficiary_id": decision.action.beneficiary_id,
        "merchant_id": decision.action.merchant_id,
        "subject_id": decision.action.subject_id,
        "amount_minor": decision.action.amount_minor,
        "currency": decision.action.currency,
        "hold_transfer_id": None if decision.hold_transfer_id is None else str(uuid_of(decision.hold_transfer_id)),
        "transfer_digest": None if transfer_digest is None else f"\\x{transfer_digest.hex()}",
        "transfer_id": None if transfer_digest is None else str(derive_transfer_id(decision.decision_id)),
        "score": decision.score.score,
        "score_reasons": list(decision.score.reason_codes),
        "score_ref": decision.score.model_ref,
        "event_id": event_id,
    }
    connection.execute(QUERIES["insert_decision"], {"decision": orjson.dumps(row).decode()})
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


def find_execution_id(connection: Connection[Any], decision_id: str) -> UUID | None:
    """Return the id of the transfer or of the event that carried a decision out; None while nothing has."""
    row = connection.execute(QUERIES["find_execution_id"], {"decision_id": decision_id}).fetchone()
    return None if row is None else UUID(str(row[0]))


def find_hold(connection: Connection[Any], proposal_id: str) -> HoldRead | None:
    """Return the last hold that a proposal's chain placed, as the ledger has it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERIES["find_hold"], {"proposal_id": proposal_id}).fetchone()
    if row is None:
        return None
    return HoldRead(transfer_id=f"tfr_{row['transfer_id'].hex}", state=row["state"], expires_at=row["expires_at"])


def list_latest_holds(connection: Connection[Any], *, now: datetime, limit: int) -> list[str]:
    """Return decisions that hold and are the latest of their proposal: others each time when there are more than `limit`."""
    parameters = {"turn": render_time(now), "limit": limit}
    return [str(row[0]) for row in connection.execute(QUERIES["list_latest_holds"], parameters)]


def is_frozen(connection: Connection[Any], *, kind: str, operator_id: str) -> bool:
    """Say whether a freeze of the tenant, of this kind or of this operator is in force."""
    row = connection.execute(QUERIES["is_frozen"], {"kind": kind, "operator_id": operator_id}).fetchone()
    # Without an answer nothing is free to go.
    return row is None or bool(row[0])


def find_event_id(connection: Connection[Any], *, subject: str, event_type: str) -> str | None:
    """Return the id of the first event of a type about a subject."""
    row = connection.execute(QUERIES["find_event_id"], {"subject": subject, "event_type": event_type}).fetchone()
    return None if row is None else f"evt_{row[0].hex}"


def _find(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> StoredDecision | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERIES[name], parameters).fetchone()
    return None if row is None else read_decision_row(row)


def read_decision_row(row: Mapping[str, Any]) -> StoredDecision:
    """Read a whole row of `gate.decisions` back as the decision that was made. Raises: pydantic.ValidationError."""
    score = ScoreResult(score=row["score"], reason_codes=tuple(row["score_reasons"]), model_ref=row["score_ref"])
    hold = row["hold_transfer_id"]
    record = {**{field: row[field] for field in _COPIED}, "hold_transfer_id": None if hold is None else f"tfr_{hold.hex}"}
    decision = Decision.model_validate({**record, "score": score})
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
            "hold_transfer_id": decision.hold_transfer_id,
            "hold_expires_at": None if decision.hold_expires_at is None else render_time(decision.hold_expires_at),
            "decided_at": render_time(decision.decided_at),
            "expires_at": render_time(decision.expires_at),
        },
    )
