"""Instructions to the bank: written with their posting, sent afterwards, and never forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from domain.errors import NotFound
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "outbox.sql")
_BEFORE_ALL = (datetime(1, 1, 2, tzinfo=UTC), UUID(int=0))

InstructionState = Literal["pending", "sent", "confirmed", "failed"]
UnsettledState = Literal["pending", "sent", "failed"]
"""What anybody still has to look after, and the only states that are listed: confirmed ones are by far the most."""
Channel = Literal["answer", "question", "callback", "file"]


class UnknownInstruction(NotFound):
    """Say that the tenant has no such instruction."""

    code = "unknown_instruction"


@dataclass(frozen=True, slots=True)
class Instruction:
    """Hold one instruction. `reference` names its cause (such as a decision id): one instruction a kind and cause.

    `attempts` counts how often the bank was told or asked; `next_attempt_at` None means at once.
    """

    tenant_id: str
    instruction_id: UUID
    kind: str
    reference: str
    payload: Mapping[str, Any]
    state: InstructionState
    attempts: int
    failure: str | None
    created_at: datetime
    changed_at: datetime
    next_attempt_at: datetime | None
    bank_reference: str | None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Hold what the bank said of an instruction, and what it did. The digest names what was said, without its time."""

    tenant_id: str
    instruction_id: UUID
    acknowledgement_digest: str
    status: str
    reason_code: str | None
    bank_reference: str | None
    amount_minor: int | None
    currency: str | None
    acknowledged_at: datetime | None
    received_at: datetime
    channel: Channel
    effect: str


@dataclass(frozen=True, slots=True)
class StateCount:
    """Hold how many instructions stand in a state, and when the oldest of them was written."""

    state: UnsettledState
    count: int
    oldest_created_at: datetime


def enqueue_instruction(
    connection: Connection[Any],
    *,
    tenant_id: str,
    instruction_id: UUID,
    kind: str,
    reference: str,
    payload: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write a pending instruction in the transaction of its posting. Role executor."""
    parameters = {"tenant_id": tenant_id, "instruction_id": instruction_id, "kind": kind, "reference": reference}
    connection.execute(_QUERIES["insert_instruction"], {**parameters, "payload": Jsonb(dict(payload)), "now": now})


def claim_due(connection: Connection[Any], *, limit: int, now: datetime, leased_until: datetime) -> list[Instruction]:
    """Take open instructions whose time has come, longest waiting first; others skip them until the lease ends. Role jobs.

    Commit before you speak to the bank: the counted attempt is what a crash leaves behind.
    """
    parameters = {"limit": limit, "now": now, "leased_until": leased_until}
    with connection.cursor(row_factory=class_row(Instruction)) as cursor:
        claimed = cursor.execute(_QUERIES["claim_due"], parameters).fetchall()
    return sorted(claimed, key=lambda one: (one.created_at, one.instruction_id))


def find_instruction(connection: Connection[Any], instruction_id: UUID) -> Instruction:
    """Return one instruction. Raises: UnknownInstruction."""
    return _one(connection, "find_instruction", instruction_id)


def lock_instruction(connection: Connection[Any], instruction_id: UUID) -> Instruction:
    """Return one instruction and keep others from moving it until the transaction ends. Raises: UnknownInstruction."""
    return _one(connection, "lock_instruction", instruction_id)


def list_instructions(
    connection: Connection[Any], *, state: UnsettledState, after: tuple[datetime, UUID] | None, limit: int
) -> list[Instruction]:
    """Return instructions in one unsettled state, oldest first, after the given (created_at, instruction_id)."""
    after_created_at, after_id = after or _BEFORE_ALL
    parameters = {"state": state, "after_created_at": after_created_at, "after_id": after_id, "limit": limit}
    with connection.cursor(row_factory=class_row(Instruction)) as cursor:
        return cursor.execute(_QUERIES["list_instructions"], parameters).fetchall()


def count_unsettled(connection: Connection[Any]) -> list[StateCount]:
    """Count what is pending, sent or failed; states without instructions are left out."""
    with connection.cursor(row_factory=class_row(StateCount)) as cursor:
        return cursor.execute(_QUERIES["count_unsettled"]).fetchall()


def mark_sent(
    connection: Connection[Any],
    instruction_id: UUID,
    *,
    now: datetime,
    next_attempt_at: datetime | None = None,
    bank_reference: str | None = None,
) -> None:
    """Note that the bank has it; it is asked again at `next_attempt_at`. Role jobs."""
    _move(connection, instruction_id, state="sent", now=now, next_attempt_at=next_attempt_at, bank_reference=bank_reference)


def mark_confirmed(
    connection: Connection[Any], instruction_id: UUID, *, now: datetime, bank_reference: str | None = None
) -> None:
    """Note that the bank did it. Role jobs."""
    _move(connection, instruction_id, state="confirmed", now=now, bank_reference=bank_reference)


def mark_failed(
    connection: Connection[Any], instruction_id: UUID, *, failure: str, now: datetime, bank_reference: str | None = None
) -> None:
    """Note that the bank refused, with its reason code; whoever notes it opens a case. Role jobs."""
    _move(connection, instruction_id, state="failed", failure=failure, now=now, bank_reference=bank_reference)


def postpone(connection: Connection[Any], instruction_id: UUID, *, next_attempt_at: datetime, now: datetime) -> None:
    """Set when an open instruction is tried next; one that was settled meanwhile stays as it is. Role jobs."""
    connection.execute(_QUERIES["postpone"], {"instruction_id": instruction_id, "next_attempt_at": next_attempt_at, "now": now})


def has_acknowledgement(connection: Connection[Any], instruction_id: UUID, acknowledgement_digest: str) -> bool:
    """Say whether the bank said exactly this before."""
    parameters = {"instruction_id": instruction_id, "acknowledgement_digest": acknowledgement_digest}
    return connection.execute(_QUERIES["has_acknowledgement"], parameters).fetchone() is not None


def record_acknowledgement(connection: Connection[Any], said: Acknowledgement) -> None:
    """Keep what the bank said. Idempotent: the same again changes nothing. Role jobs."""
    connection.execute(_QUERIES["insert_acknowledgement"], asdict(said))


def list_acknowledgements(connection: Connection[Any], instruction_id: UUID) -> list[Acknowledgement]:
    """Return what the bank said of one instruction, in the order it reached us."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERIES["list_acknowledgements"], {"instruction_id": instruction_id}).fetchall()
    return [Acknowledgement(**row) for row in rows]


def _one(connection: Connection[Any], query: str, instruction_id: UUID) -> Instruction:
    with connection.cursor(row_factory=class_row(Instruction)) as cursor:
        found = cursor.execute(_QUERIES[query], {"instruction_id": instruction_id}).fetchone()
    if found is None:
        raise UnknownInstruction(f"no instruction {instruction_id}")
    return found


def _move(
    connection: Connection[Any],
    instruction_id: UUID,
    *,
    state: InstructionState,
    now: datetime,
    failure: str | None = None,
    next_attempt_at: datetime | None = None,
    bank_reference: str | None = None,
) -> None:
    """The database refuses a way back (psycopg.errors.CheckViolation)."""
    parameters = {
        "instruction_id": instruction_id,
        "state": state,
        "failure": failure,
        "next_attempt_at": next_attempt_at,
        "bank_reference": bank_reference,
        "now": now,
    }
    if connection.execute(_QUERIES["move_instruction"], parameters).rowcount != 1:
        raise UnknownInstruction(f"no instruction {instruction_id}")
