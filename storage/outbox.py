"""Instructions to the bank: written with their posting, sent afterwards, and never forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from domain.errors import NotFound
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "outbox.sql")

InstructionState = Literal["pending", "sent", "confirmed", "failed"]


class UnknownInstruction(NotFound):
    """Say that the tenant has no such instruction."""

    code = "unknown_instruction"


@dataclass(frozen=True, slots=True)
class Instruction:
    """Hold one instruction. `reference` names its cause (such as a transfer id): one instruction a kind and cause."""

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


def take_pending(connection: Connection[Any], limit: int) -> list[Instruction]:
    """Return pending instructions, oldest first, locked until commit; others skip them. Role jobs."""
    with connection.cursor(row_factory=class_row(Instruction)) as cursor:
        return cursor.execute(_QUERIES["take_pending"], {"limit": limit}).fetchall()


def find_instruction(connection: Connection[Any], instruction_id: UUID) -> Instruction:
    """Return one instruction. Raises: UnknownInstruction."""
    with connection.cursor(row_factory=class_row(Instruction)) as cursor:
        found = cursor.execute(_QUERIES["find_instruction"], {"instruction_id": instruction_id}).fetchone()
    if found is None:
        raise UnknownInstruction(f"no instruction {instruction_id}")
    return found


def mark_sent(connection: Connection[Any], instruction_id: UUID, *, now: datetime) -> None:
    """Note that the bank was told; counts the attempt. Again after a lost answer: the reference makes it one. Role jobs."""
    _move(connection, instruction_id, state="sent", attempts=1, failure=None, now=now)


def mark_confirmed(connection: Connection[Any], instruction_id: UUID, *, now: datetime) -> None:
    """Note that the bank did it. Role jobs."""
    _move(connection, instruction_id, state="confirmed", attempts=0, failure=None, now=now)


def mark_failed(connection: Connection[Any], instruction_id: UUID, *, failure: str, now: datetime) -> None:
    """Note that the bank refused, with its reason code; the money plane opens a reversal case. Role jobs."""
    _move(connection, instruction_id, state="failed", attempts=0, failure=failure, now=now)


def _move(
    connection: Connection[Any],
    instruction_id: UUID,
    *,
    state: InstructionState,
    attempts: int,
    failure: str | None,
    now: datetime,
) -> None:
    """The database refuses a way back (psycopg.errors.CheckViolation)."""
    parameters = {"instruction_id": instruction_id, "state": state, "attempts": attempts, "failure": failure, "now": now}
    if connection.execute(_QUERIES["move_instruction"], parameters).rowcount != 1:
        raise UnknownInstruction(f"no instruction {instruction_id}")
