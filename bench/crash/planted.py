"""Faults planted on purpose: each is a promise broken, and a harness that does not report it is worth nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal, get_args

from psycopg import Connection, OperationalError

from domain.ids import make_uuid7
from domain.transfer import TransferRequest, TransferResult
from gates import batching, execution
from gates.batching import Outcome, resolve

Fault = Literal["early_answer", "new_ids", "no_id_check", "no_lock", "no_limit_check", "tails_twice", "lazy_commit"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

DATABASE_SETTINGS: Mapping[Fault, Mapping[str, str]] = {"lazy_commit": {"synchronous_commit": "off", "wal_writer_delay": "10s"}}
"""Settings of the server under a fault."""

_WAIT_S = 0.02
_execute = execution.execute_transfers


def plant_in_worker(fault: Fault | None) -> Callable[[Sequence[Outcome]], None]:
    """Break the worker's process; return how its writer hands answers out."""
    if fault == "early_answer":
        return _answer_early()
    if fault == "new_ids":
        _replace_execution(_resend_with_new_ids())
    return resolve


def plant_in_database(fault: Fault | None, admin: Connection[Any]) -> None:
    """Break the ledger's functions."""
    if fault == "no_id_check":
        # What was written before is no longer found, so that nothing is recognised as a repeat.
        _edit_function(admin, "ledger.explain_missing", "stored.transfer_id = asked.id", "FALSE")
        _edit_function(admin, "ledger.explain_missing", "refusals.transfer_id = asked.id", "FALSE")
    elif fault == "no_lock":
        _edit_function(admin, "ledger.lock_accounts", "FOR NO KEY UPDATE OF accounts", "")
    elif fault == "no_limit_check":
        admin.execute("ALTER TABLE ledger.accounts DROP CONSTRAINT IF EXISTS accounts_debits_within_credits")
        _edit_function(admin, "ledger.play_batch", "db[d] + hd[d] + amt > cr[d]", "FALSE")


def fold_twice(admin: Connection[Any], tenant_id: str) -> None:
    """Fold the tails in and leave them where they are."""
    with admin.transaction():
        admin.execute("SET LOCAL ROLE ledger_writer")
        admin.execute("SELECT set_config('tellergate.tenant', %s, TRUE)", [tenant_id])
        admin.execute(
            "UPDATE ledger.accounts SET debits_posted_minor = accounts.debits_posted_minor + tail.debits,"
            " credits_posted_minor = accounts.credits_posted_minor + tail.credits"
            " FROM (SELECT account, SUM(debits_posted_minor) AS debits, SUM(credits_posted_minor) AS credits"
            " FROM ledger.tails GROUP BY account) AS tail WHERE tail.account = accounts.account"
        )


def _answer_early() -> Callable[[Sequence[Outcome]], None]:
    """The writer's batches commit after the callers have heard."""
    open_on: list[Connection[Any]] = []

    def execute(connection: Connection[Any], requests: Sequence[TransferRequest], **named: Any) -> list[TransferResult]:
        connection.execute("BEGIN")
        try:
            results = _execute(connection, requests, **named)
        except Exception:
            if not connection.broken:
                connection.execute("ROLLBACK")
            raise
        open_on.append(connection)
        return results

    def deliver(outcomes: Sequence[Outcome]) -> None:
        resolve(outcomes)
        time.sleep(_WAIT_S)
        while open_on:
            open_on.pop().execute("COMMIT")

    _replace_execution(execute)
    return deliver


def _replace_execution(execute: Callable[..., list[TransferResult]]) -> None:
    vars(batching)["execute_transfers"] = execute


def _resend_with_new_ids() -> Callable[..., list[TransferResult]]:
    """A batch in doubt goes again as if it were a new one."""
    rng = Random(0)
    lost = False

    def execute(connection: Connection[Any], requests: Sequence[TransferRequest], **named: Any) -> list[TransferResult]:
        nonlocal lost
        now = datetime.now(UTC)
        if lost:
            requests = [replace(one, transfer_id=make_uuid7(now, random_bits=rng.getrandbits(74))) for one in requests]
        try:
            results = _execute(connection, requests, **named)
        except OperationalError:
            lost = True
            raise
        lost = False
        return results

    return execute


def _edit_function(admin: Connection[Any], name: str, old: str, new: str) -> None:
    row = admin.execute("SELECT pg_get_functiondef(to_regproc(%s))", [name]).fetchone()
    if row is None or row[0] is None or old not in row[0]:
        raise RuntimeError(f"{name} has no {old!r}: the fault can't be planted")
    admin.execute(row[0].replace(old, new).encode())
