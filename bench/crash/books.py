"""One tenant's raw rows in one snapshot, read as administrator: views and functions of the ledger have no part in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection, IsolationLevel

from bench.crash.place import QUERIES


@dataclass(frozen=True, slots=True)
class Account:
    """Hold an account's stored sums, with its tails; `entries` is its version, which counts them."""

    account: int
    code: str
    currency: str
    debits_within_credits: bool
    credits_within_debits: bool
    rolled_up: bool
    debits: int
    credits: int
    held_debits: int
    held_credits: int
    entries: int


@dataclass(frozen=True, slots=True)
class Row:
    """Hold a transfer as it is stored."""

    transfer_id: UUID
    kind: int
    debit: int
    credit: int
    amount_minor: int
    debit_version: int
    credit_version: int
    debit_balance_after: int | None
    credit_balance_after: int | None
    code: int
    flags: int
    target_id: UUID | None
    hold_expires_at: datetime | None
    decision_id: UUID | None
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class HoldRow:
    """Hold a hold as it is stored."""

    transfer_id: UUID
    amount_minor: int
    state: str
    posted_minor: int
    resolved_by: UUID | None


@dataclass(frozen=True, slots=True)
class Books:
    """Hold everything that is checked."""

    accounts: dict[int, Account]
    transfers: dict[UUID, Row]
    holds: dict[UUID, HoldRow]
    reversals: dict[UUID, tuple[int, int]]
    """Amount and what was reversed of it."""
    refusals: dict[UUID, str]
    authorizations: frozenset[UUID]
    waiting_events: Sequence[UUID]
    placed_events: Sequence[tuple[int, UUID, bytes]]
    checkpoint: tuple[int, bytes] | None


def read_books(admin_dsn: str, tenant_id: str) -> Books:
    """Read a tenant's rows in one snapshot."""
    with psycopg.connect(admin_dsn) as admin:
        admin.isolation_level = IsolationLevel.REPEATABLE_READ
        admin.read_only = True

        def rows(query: str) -> Iterator[Sequence[Any]]:
            return _ask(admin, query, tenant_id)

        checkpoint = next(rows("find_last_checkpoint"), None)
        return Books(
            accounts={row[0]: Account(*row) for row in rows("list_accounts")},
            transfers={row[0]: Row(*row) for row in rows("list_transfers")},
            holds={row[0]: HoldRow(*row) for row in rows("list_holds")},
            reversals={row[0]: (row[1], row[2]) for row in rows("list_reversals")},
            refusals={row[0]: row[1] for row in rows("list_refusals")},
            authorizations=frozenset(row[0] for row in rows("list_authorizations")),
            waiting_events=[row[0] for row in rows("list_waiting_events")],
            placed_events=[(row[0], row[1], bytes(row[2])) for row in rows("list_placed_events")],
            checkpoint=None if checkpoint is None else (checkpoint[0], bytes(checkpoint[1])),
        )


def _ask(admin: Connection[Any], query: str, tenant_id: str) -> Iterator[Sequence[Any]]:
    yield from admin.execute(QUERIES[query], {"tenant_id": tenant_id})
