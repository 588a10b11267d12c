"""Which ledger account a statement is about: set by an admin, kept with who and when, the newest counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection

from domain.errors import Conflict, InvalidInput, NotFound
from domain.event import Event
from domain.ids import make_id
from ledger.reconciliation.references import digest_of_text
from storage.events import append_event
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "statements.sql")
_SHOWN_CHARACTERS = 4


class AccountNotMapped(InvalidInput):
    """Say that nobody has said yet which ledger account a statement is about."""

    code = "account_not_mapped"


class MappedElsewhere(Conflict):
    """Say that a statement's account is mapped to another ledger account than the one named."""

    code = "account_mapped_elsewhere"


class UnknownLedgerAccount(NotFound):
    """Say that the ledger has no account of this code."""

    code = "unknown_ledger_account"


@dataclass(frozen=True, slots=True)
class StatementAccount:
    """Hold what a bank calls an account: as a digest, and the last characters for people to know it by."""

    account_key: str
    shown: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """Hold which ledger account it is. `mirrored`: the bank's credit is a debit there."""

    code: str
    mirrored: bool


def statement_account(name: str) -> StatementAccount:
    """Return the key of a bank's name for an account, such as an IBAN, which itself is not kept."""
    compact = "".join(name.split()).upper()
    return StatementAccount(digest_of_text(compact), f"…{compact[-_SHOWN_CHARACTERS:]}")


def unnamed_account(code: str) -> StatementAccount:
    """Return the key for statements that name no account: the ledger account that the caller said."""
    return StatementAccount(f"code:{digest_of_text(code)}", code)


def find_mapping(connection: Connection[Any], account: StatementAccount) -> Mapping | None:
    """Return what was set last."""
    row = connection.execute(_QUERIES["find_mapping"], {"account_key": account.account_key}).fetchone()
    return None if row is None else Mapping(*row)


def set_mapping(
    connection: Connection[Any],
    account: StatementAccount,
    mapping: Mapping,
    *,
    tenant_id: str,
    operator_id: str,
    now: datetime,
) -> None:
    """Set which ledger account it is from now on; statements that are in stay where they are. Raises: UnknownLedgerAccount."""
    row = connection.execute(_QUERIES["has_ledger_account"], {"code": mapping.code}).fetchone()
    if row is None or not row[0]:
        raise UnknownLedgerAccount(f"the ledger has no account {mapping.code!r}: nothing was ever posted there")
    parameters = {
        "account_key": account.account_key,
        "shown": account.shown,
        "code": mapping.code,
        "mirrored": mapping.mirrored,
        "operator_id": operator_id,
        "now": now,
    }
    connection.execute(_QUERIES["insert_mapping"], parameters)
    data = {name: parameters[name] for name in ("account_key", "shown", "code", "mirrored")} | {"set_by": operator_id}
    append_event(
        connection,
        Event(
            event_id=make_id("evt", now),
            event_type="statement.account_mapped",
            source="reconciliation",
            subject=account.account_key,
            tenant_id=tenant_id,
            occurred_at=now,
            recorded_at=now,
            data=data,
        ),
    )


def resolve_mapping(
    connection: Connection[Any],
    name: str | None,
    wanted: Mapping | None,
    *,
    tenant_id: str,
    operator_id: str,
    now: datetime,
) -> tuple[StatementAccount, Mapping]:
    """Return the account of a statement and what it is mapped to; map it where it is new and the caller said to what.

    `name` is what the file calls the account. Raises: AccountNotMapped, MappedElsewhere, UnknownLedgerAccount.
    """
    if name is None and wanted is None:
        raise AccountNotMapped("the file names no account: say which ledger account it is about, with --account")
    account = statement_account(name) if name is not None else unnamed_account(wanted.code if wanted else "")
    held = find_mapping(connection, account)
    if held is not None:
        if wanted is not None and (wanted.code != held.code or (wanted.mirrored and not held.mirrored)):
            raise MappedElsewhere(
                f"the account {account.shown} is mapped to {held.code}{' (mirrored)' if held.mirrored else ''}: leave --account "
                "and --mirrored away, or change the mapping first with ./tellergate reconcile map"
            )
        return account, held
    if wanted is None:
        raise AccountNotMapped(f"the account {account.shown} is not mapped to a ledger account yet: say which, with --account")
    set_mapping(connection, account, wanted, tenant_id=tenant_id, operator_id=operator_id, now=now)
    return account, wanted
