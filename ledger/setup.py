"""Set the ledger up as role importer: the chart, accounts and their flags, opening balances and history from before.

Every call is idempotent and joins the caller's transaction. Each change of an account is an event (`ledger.account_…`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg import errors as sql_errors
from psycopg.rows import class_row

from domain.errors import Conflict, InvalidInput
from domain.transfer import MAX_BATCH, TransferCode, TransferKind, TransferRequest, TransferResult
from domain.transfer_input import require_well_typed
from ledger.columns import ask_by_column
from ledger.port import AccountExists, AccountInUse, AccountNotFound, BatchTooLarge
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "setup.sql")
_IMPORT_CODES = frozenset({TransferCode.OPENING_BALANCE, TransferCode.IMPORT})


class InvalidAccount(InvalidInput):
    """Say that an account or a line of the chart has a code, a currency or flags that none can have."""

    code = "invalid_account"


class NotImportable(InvalidInput):
    """Say that a request is no posting under the code of an opening balance or an import."""

    code = "not_importable"


class MonthArchived(Conflict):
    """Say that an id belongs to a month that was archived, so that nothing can be posted under it. Nothing was written."""

    code = "month_archived"


class AccountClass(StrEnum):
    """Name where an account stands in the books."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"
    EQUITY = "equity"
    CLEARING = "clearing"


@dataclass(frozen=True, slots=True)
class ChartLine:
    """Hold what account codes with this prefix mean, and the flags that their accounts open with. The longest prefix counts.

    `is_own`: the tenant's line and not the default.
    """

    prefix: str
    title: str
    account_class: AccountClass
    debits_must_not_exceed_credits: bool = False
    credits_must_not_exceed_debits: bool = False
    rolled_up: bool = False
    is_own: bool = True


def define_account(
    connection: Connection[Any],
    code: str,
    currency: str,
    *,
    debits_must_not_exceed_credits: bool = False,
    credits_must_not_exceed_debits: bool = False,
    rolled_up: bool = False,
    now: datetime,
) -> bool:
    """Open an account with flags of its own, whatever the chart says; return whether it is new.

    Raises: AccountExists when it is open with other flags, InvalidAccount.
    """
    parameters = {
        "code": code,
        "currency": currency,
        "debits_must_not_exceed_credits": debits_must_not_exceed_credits,
        "credits_must_not_exceed_debits": credits_must_not_exceed_debits,
        "rolled_up": rolled_up,
        "now": now,
    }
    return _change(connection, "define_account", parameters)


def close_account(connection: Connection[Any], code: str, currency: str, *, now: datetime) -> bool:
    """Let nothing more be posted to it, for good; return whether it was open. Raises: AccountNotFound, AccountInUse."""
    return _change(connection, "close_account", {"code": code, "currency": currency, "now": now})


def stop_account(connection: Connection[Any], code: str, currency: str, *, reason: str, now: datetime) -> bool:
    """Stop posting on it, as an incident does; return whether it was not stopped. For role jobs too.

    `reason` is a word of `a-z_`. Raises: AccountNotFound, InvalidInput.
    """
    return _change(connection, "stop_account", {"code": code, "currency": currency, "reason": reason, "now": now})


def resume_account(connection: Connection[Any], code: str, currency: str, *, reason: str, now: datetime) -> bool:
    """Let postings through again; return whether it was stopped. Raises: AccountNotFound, InvalidInput."""
    return _change(connection, "resume_account", {"code": code, "currency": currency, "reason": reason, "now": now})


def set_chart_line(connection: Connection[Any], line: ChartLine) -> None:
    """Write the tenant's own line of the chart. Accounts that are open keep the flags that they have. Raises: InvalidAccount."""
    parameters = {name: getattr(line, name) for name in ChartLine.__slots__ if name != "is_own"}
    with _named_errors(line.prefix):
        connection.execute(_QUERIES["set_chart_line"], parameters)


def list_chart(connection: Connection[Any]) -> list[ChartLine]:
    """Return the chart in force, by prefix."""
    with connection.cursor(row_factory=class_row(ChartLine)) as cursor:
        return cursor.execute(_QUERIES["list_chart"]).fetchall()


def import_transfers(connection: Connection[Any], requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
    """Post opening balances and history with event times of their own; one answer each, in their order. No decision is needed.

    Idempotent by id. A refusal is a value and is not remembered: mend the row and send it again.
    Raises: NotImportable, BatchTooLarge, MonthArchived, InvalidInput for a value of another type; nothing is written then.
    """
    require_well_typed(requests)
    if len(requests) > MAX_BATCH:
        raise BatchTooLarge(f"at most {MAX_BATCH:,} requests in one call, not {len(requests):,}")
    for index, request in enumerate(requests):
        if request.kind is not TransferKind.POSTED or request.code not in _IMPORT_CODES:
            raise NotImportable(f"requests[{index}]: an import is a posting with the code opening_balance or import")
    if not requests:
        return []
    try:
        return ask_by_column(connection, _QUERIES["import_transfers"], requests, now=now)
    except sql_errors.CheckViolation as error:
        raise MonthArchived("an id belongs to a month that is archived: whether it was used can't be told any more") from error


def _change(connection: Connection[Any], query: str, parameters: dict[str, Any]) -> bool:
    with _named_errors(f"{parameters['code']}/{parameters['currency']}"):
        row = connection.execute(_QUERIES[query], parameters).fetchone()
    assert row is not None
    return bool(row[0])


@contextmanager
def _named_errors(what: str) -> Iterator[None]:
    try:
        yield
    except sql_errors.UniqueViolation as error:
        raise AccountExists(f"{what}: it is open already, with other flags") from error
    except sql_errors.ObjectInUse as error:
        raise AccountInUse(f"{what}: holds on it are open; void them or let them expire first") from error
    except sql_errors.NoDataFound as error:
        raise AccountNotFound(f"{what}: there is no such account in this currency") from error
    except sql_errors.InvalidParameterValue as error:
        raise InvalidInput("the reason is a word of a-z and _, such as balance_differs", code="invalid_reason") from error
    except (sql_errors.CheckViolation, sql_errors.NotNullViolation) as error:
        raise InvalidAccount(
            f"{what}: a code begins with house:, customer: or escrow: and has up to 200 bytes without |, a currency is three "
            "capital letters, a rolled-up account has no limit"
        ) from error
