"""How reconciliation stands: accounts with their statements, and the open breaks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row, dict_row

from domain.case import Case
from ledger.reconciliation.rules import BreakKind
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "overview.sql")


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """Hold how one account stands. `stated_until`: statements reach up to there, without it."""

    code: str
    currency: str
    statements: int
    stated_until: datetime
    imported_at: datetime
    lines: int
    open_lines: int


@dataclass(frozen=True, slots=True)
class BreakCount:
    """Hold the open breaks of one kind on one account. `amount_minor` sums them without their signs."""

    code: str
    kind: str
    currency: str
    breaks: int
    amount_minor: int
    overdue: int
    oldest_at: datetime


def list_account_status(connection: Connection[Any]) -> list[AccountStatus]:
    """Return one line for each account and currency that has statements."""
    with connection.cursor(row_factory=class_row(AccountStatus)) as cursor:
        return cursor.execute(_QUERIES["list_account_status"]).fetchall()


def list_break_counts(connection: Connection[Any], now: datetime) -> list[BreakCount]:
    """Return the open breaks by account, kind and currency."""
    with connection.cursor(row_factory=class_row(BreakCount)) as cursor:
        return cursor.execute(_QUERIES["list_break_counts"], {"now": now}).fetchall()


def list_breaks(
    connection: Connection[Any],
    *,
    code: str | None = None,
    kind: BreakKind | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Case]:
    """Return open breaks, oldest first; `after` is the case id of the last one of the page before."""
    parameters = {"code": code, "break": kind, "after": after, "limit": limit}
    with connection.cursor(row_factory=dict_row) as cursor:
        return [Case.model_validate(row) for row in cursor.execute(_QUERIES["list_breaks"], parameters)]
