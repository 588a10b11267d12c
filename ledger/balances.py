"""Read the ledger: balances with holds, the trial balance, accounts that drifted. Each is one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "balances.sql")


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Hold an account's sums. `balance_minor` is credits minus debits, posted only."""

    code: str
    currency: str
    balance_minor: int
    debits_posted_minor: int
    credits_posted_minor: int
    debits_pending_minor: int
    credits_pending_minor: int
    version: int


@dataclass(frozen=True, slots=True)
class TrialBalanceLine:
    """Hold one currency's sums over all accounts."""

    currency: str
    debits_posted_minor: int
    credits_posted_minor: int


def find_balances(connection: Connection[Any], codes: Sequence[str]) -> list[AccountBalance]:
    """Return the balances of these account codes, one per currency; a code without an account is left out."""
    with connection.cursor(row_factory=class_row(AccountBalance)) as cursor:
        return cursor.execute(_QUERIES["find_balances"], {"codes": list(codes)}).fetchall()


def list_trial_balance(connection: Connection[Any]) -> list[TrialBalanceLine]:
    """Return one line per currency of the tenant."""
    with connection.cursor(row_factory=class_row(TrialBalanceLine)) as cursor:
        return cursor.execute(_QUERIES["list_trial_balance"]).fetchall()


def list_drift(connection: Connection[Any]) -> list[tuple[str, str]]:
    """Return (code, currency) of accounts whose sums or version are not those of their entries. Reads all transfers."""
    return [(str(row[0]), str(row[1])) for row in connection.execute(_QUERIES["list_drift"])]
