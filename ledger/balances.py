"""Read the ledger: balances with holds, now and at a time, statements by the page, holds, the trial balance.

Each read is one statement, so one snapshot, and shows the tenant of the session only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg import errors as sql_errors
from psycopg.rows import class_row, dict_row

from domain.errors import Conflict
from domain.transfer import Balancing, TransferCode, TransferKind
from ledger.port import AccountBalance, Hold, HoldState, Side, StatementLine, Transfer, TrialBalanceLine
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "balances.sql")
_NEWEST = 2**63 - 1
_CODES = {code.name.lower(): code for code in TransferCode}


class BalanceArchived(Conflict):
    """Say that a balance was asked for a time whose entries are archived: the archive's file has them."""

    code = "balance_archived"


@dataclass(frozen=True, slots=True)
class AccountLine:
    """Hold an account with its sums and flags, in one snapshot. `stopped`: an incident stopped posting on it."""

    code: str
    currency: str
    balance_minor: int
    debits_posted_minor: int
    credits_posted_minor: int
    debits_pending_minor: int
    credits_pending_minor: int
    version: int
    debits_must_not_exceed_credits: bool
    credits_must_not_exceed_debits: bool
    rolled_up: bool
    closed: bool
    stopped: bool


def find_balances(connection: Connection[Any], codes: Sequence[str]) -> list[AccountBalance]:
    """Return the balances of these account codes, one per currency; a code without an account is left out."""
    with connection.cursor(row_factory=class_row(AccountBalance)) as cursor:
        return cursor.execute(_QUERIES["find_balances"], {"codes": list(codes)}).fetchall()


def find_balance(connection: Connection[Any], code: str, currency: str) -> AccountBalance | None:
    """Return an account's sums now, with what is held."""
    with connection.cursor(row_factory=class_row(AccountBalance)) as cursor:
        return cursor.execute(_QUERIES["find_balance"], {"code": code, "currency": currency}).fetchone()


def find_balance_at(connection: Connection[Any], code: str, currency: str, at: datetime) -> AccountBalance | None:
    """Return an account's sums over the entries recorded at `at` or before. Reads all of the account's entries.

    Raises: BalanceArchived.
    """
    parameters = {"code": code, "currency": currency, "at": at}
    try:
        with connection.cursor(row_factory=class_row(AccountBalance)) as cursor:
            return cursor.execute(_QUERIES["find_balance_at"], parameters).fetchone()
    except sql_errors.ObjectNotInPrerequisiteState as error:
        raise BalanceArchived(f"{code}/{currency}: entries of that time are archived, ask for a later one") from error


def list_accounts(
    connection: Connection[Any], *, prefix: str = "", after: tuple[str, str] | None = None, limit: int = 100
) -> list[AccountLine]:
    """Return accounts whose codes begin with `prefix`, by code and currency, from the one after `after`."""
    after_code, after_currency = after or (None, None)
    parameters = {"prefix": prefix, "after_code": after_code, "after_currency": after_currency, "limit": limit}
    with connection.cursor(row_factory=class_row(AccountLine)) as cursor:
        return cursor.execute(_QUERIES["list_accounts"], parameters).fetchall()


def list_entries(
    connection: Connection[Any], code: str, currency: str, *, after: int | None = None, limit: int = 100
) -> list[StatementLine]:
    """Return a page of the account's statement, oldest first: lines with a version above `after`."""
    parameters = {"code": code, "currency": currency, "after": -1 if after is None else after, "limit": limit}
    return _lines(connection, "list_entries", parameters)


def list_entries_before(
    connection: Connection[Any], code: str, currency: str, *, before: int | None = None, limit: int = 100
) -> list[StatementLine]:
    """Return a page of the account's history, newest first: lines with a version below `before`, or the newest ones."""
    parameters = {"code": code, "currency": currency, "before": _NEWEST if before is None else before, "limit": limit}
    return _lines(connection, "list_entries_before", parameters)


def find_last_entry(connection: Connection[Any], code: str, currency: str) -> StatementLine | None:
    """Return the account's last transfer, as its statement shows it."""
    lines = list_entries_before(connection, code, currency, limit=1)
    return lines[0] if lines else None


def find_transfer(connection: Connection[Any], transfer_id: UUID) -> Transfer | None:
    """Return one accepted transfer."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["find_transfer"], {"transfer_id": transfer_id}).fetchone()
    return None if row is None else _transfer_of(row)


def find_hold(connection: Connection[Any], transfer_id: UUID) -> Hold | None:
    """Return what a pending transfer set aside, and what became of it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["find_hold"], {"transfer_id": transfer_id}).fetchone()
    return None if row is None else _hold_of(row)


def list_open_holds(connection: Connection[Any], *, code: str | None = None, limit: int = 100) -> list[Hold]:
    """Return holds that are open, the first due first; of one account where `code` is given."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_hold_of(row) for row in cursor.execute(_QUERIES["list_open_holds"], {"code": code, "limit": limit})]


def list_trial_balance(connection: Connection[Any]) -> list[TrialBalanceLine]:
    """Return one line per currency of the tenant."""
    with connection.cursor(row_factory=class_row(TrialBalanceLine)) as cursor:
        return cursor.execute(_QUERIES["list_trial_balance"]).fetchall()


def list_drift(connection: Connection[Any]) -> list[tuple[str, str]]:
    """Return (code, currency) of accounts whose sums or version are not those of their entries. Reads all transfers."""
    return [(str(row[0]), str(row[1])) for row in connection.execute(_QUERIES["list_drift"])]


def _lines(connection: Connection[Any], query: str, parameters: Mapping[str, Any]) -> list[StatementLine]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERIES[query], parameters).fetchall()
    return [
        StatementLine(**{**row, "kind": TransferKind(row["kind"]), "code": TransferCode(row["code"]), "side": Side(row["side"])})
        for row in rows
    ]


def _hold_of(row: Mapping[str, Any]) -> Hold:
    return Hold(**{**row, "state": HoldState(row["state"])})


def _transfer_of(row: Mapping[str, Any]) -> Transfer:
    fields = dict(row)
    flags, code = fields.pop("flags"), fields.pop("action_kind")
    balancing = {2: Balancing.DEBIT, 4: Balancing.CREDIT}.get(flags & 6)
    return Transfer(
        **{**fields, "kind": TransferKind(fields["kind"])}, code=_CODES[code], linked=bool(flags & 1), balancing=balancing
    )
