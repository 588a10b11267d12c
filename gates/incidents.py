"""What of the gate is an incident: acts it could not decide, executions stopped, artifacts refused, a log that does not agree.

Each becomes a case once: the same cause, or the same thing while its case is open, opens no second one. What goes on after its
case was closed opens another one in the next hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.case import CaseKind
from domain.clock import render_time, require_utc
from domain.errors import TellergateError
from gates.submission import GateScope
from storage.cases import NewCase, open_cases
from storage.named_queries import load_queries
from storage.unit_of_work import unit_of_work

_QUERIES = load_queries(Path(__file__).parent / "sql" / "incidents.sql")
BURST_COUNT = 5
"""So many acts that could not be decided within BURST_WINDOW are an incident; fewer wait in the queue as any review does."""
BURST_WINDOW = timedelta(minutes=10)
LOG_FAULTS = frozenset({"log_tampered", "anchor_mismatch"})
"""Codes of errors that say that the stored log is not the one that was signed or anchored."""
_FREEZES_SINCE = timedelta(days=1)
_DUE = timedelta(hours=4)


def watch_gate(connection: Connection[Any], *, faults: frozenset[str], now: datetime) -> list[str]:
    """Open a case for each incident of the gate that none tells of, and return their ids. Role gate, in the caller's transaction.

    `faults` are the codes of what fails in keeping the log now. Idempotent.
    """
    require_utc(now)
    found = [*_find_burst(connection, now), *_find_freezes(connection, now)]
    found += [_hourly(CaseKind.LOG_TAMPERED, "log", code, {"fault": code}, now=now) for code in sorted(faults & LOG_FAULTS)]
    return open_cases(connection, found, now=now) if found else []


def tell_of_artifact(scope: GateScope, error: TellergateError, *, now: datetime) -> None:
    """Open a case about an artifact that was refused, in a transaction of its own. Idempotent within an hour."""
    case = _hourly(
        CaseKind.ARTIFACT_UNAPPROVED, "artifact", error.code, {"fault": error.code, "detail": error.message[:1000]}, now=now
    )
    with unit_of_work(scope.pool, scope.context) as connection:
        open_cases(connection, [case], now=now)


def _find_burst(connection: Connection[Any], now: datetime) -> list[NewCase]:
    row = _all(connection, "count_undecided", {"since": now - BURST_WINDOW, "now": now})[0]
    if row["decisions"] < BURST_COUNT:
        return []
    facts = {**row, "since": render_time(now - BURST_WINDOW), "until": render_time(now)}
    return [_hourly(CaseKind.GATE_UNDECIDED, "gate", "could_not_decide", facts, now=now)]


def _find_freezes(connection: Connection[Any], now: datetime) -> list[NewCase]:
    # Why it was frozen is a person's free text: it stays in the freeze.
    return [
        _new(CaseKind.GATE_FROZEN, row["freeze_id"], row["freeze_id"], {**row, "frozen_at": render_time(row["frozen_at"])}, now)
        for row in _all(connection, "list_untold_freezes", {"since": now - _FREEZES_SINCE})
    ]


def _hourly(kind: CaseKind, subject: str, cause: str, facts: Mapping[str, Any], *, now: datetime) -> NewCase:
    hour = now.replace(minute=0, second=0, microsecond=0)
    return _new(kind, subject, f"{cause}:{render_time(hour)}", facts, now)


def _new(kind: CaseKind, subject: str, opened_for: str, facts: Mapping[str, Any], now: datetime) -> NewCase:
    return NewCase(kind, subject, opened_for, facts, amount_minor=None, currency=None, due_at=now + _DUE)


def _all(connection: Connection[Any], query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_QUERIES[query], parameters).fetchall()
