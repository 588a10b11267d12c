"""Check the ledger's invariants in one snapshot, whole or since the last check, and open an incident for each breach.

Nothing here keeps a posting waiting: a check only reads. An incident stops posting on the accounts that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from domain.case import CaseKind
from domain.clock import render_time
from domain.errors import BrokenInvariant
from ledger.setup import stop_account
from storage.cases import open_case
from storage.named_queries import load_queries

_CHECKS = load_queries(Path(__file__).parent / "sql" / "checks.sql")
_QUERIES = load_queries(Path(__file__).parent / "sql" / "checking.sql")
MAX_FINDINGS = 100
"""Of each check. More would say no more."""
MAX_RECENT = 200_000
"""A check of what is recent becomes a whole one when there is more than this."""
_DUE = timedelta(hours=4)
_MAX_FACTS = 10


class NotOneSnapshot(BrokenInvariant):
    """Say that a check was asked for in a transaction that sees others commit: its figures would not belong together."""

    code = "not_one_snapshot"


class Breach(StrEnum):
    """Name what is wrong."""

    CURRENCY_NOT_ZERO = "currency_not_zero"
    BALANCE_DIFFERS = "balance_differs"
    """An account's sums or version are not those of its entries."""
    VERSION_GAP = "version_gap"
    VERSION_FORK = "version_fork"
    BALANCE_CHAIN_BROKEN = "balance_chain_broken"
    """A balance-after is not the one before it and what the entry moved."""
    LIMIT_BROKEN = "limit_broken"
    HOLD_DIFFERS = "hold_differs"
    REVERSAL_DIFFERS = "reversal_differs"
    DECISION_MISSING = "decision_missing"
    DIFFERS_FROM_DECISION = "differs_from_decision"
    DECISION_WITHOUT_TRANSFER = "decision_without_transfer"
    """An authorization was used up and there is nothing to show for it."""
    PLACE_MISSING = "place_missing"
    """A transfer has no place in the log and does not wait for one."""


_OF_A_TRANSFER = frozenset(
    {
        Breach.HOLD_DIFFERS,
        Breach.REVERSAL_DIFFERS,
        Breach.DECISION_MISSING,
        Breach.DIFFERS_FROM_DECISION,
        Breach.PLACE_MISSING,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold one breach: the account, transfer or decision that it is about, and what was seen. Amounts are minor units."""

    finding: Breach
    code: str | None
    currency: str | None
    transfer_id: UUID | None
    decision_id: str | None
    detail: dict[str, Any]

    @property
    def subject(self) -> str:
        """Return what it is about: `tfr_…`, `dec_…`, `code/CUR`, or a currency."""
        if self.finding is Breach.DECISION_WITHOUT_TRANSFER:
            return str(self.decision_id)
        if self.finding in _OF_A_TRANSFER and self.transfer_id is not None:
            return f"tfr_{self.transfer_id.hex}"
        return f"{self.code}/{self.currency}" if self.code else f"{self.currency or 'unknown'}"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Hold what a check looked at and found. `whole`: all transfers, and not only those since the last check."""

    checked_at: datetime
    whole: bool
    transfers: int
    accounts: int
    findings: tuple[Finding, ...]
    took_ms: dict[str, int] = field(default_factory=dict)
    """How long each check took, by the caller's stopwatch."""


@dataclass(frozen=True, slots=True)
class LastCheck:
    """Hold where the last check stood: the position in the log (-1: before the first)."""

    position: int
    checked_at: datetime
    whole_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """Hold a breach that was told: its case, and the accounts on which posting was stopped now."""

    case_id: str
    subject: str
    stopped: tuple[str, ...]


def find_last_check(connection: Connection[Any]) -> LastCheck | None:
    """Return where the tenant's last check stood."""
    with connection.cursor(row_factory=class_row(LastCheck)) as cursor:
        return cursor.execute(_QUERIES["find_last_check"]).fetchone()


def run_check(
    connection: Connection[Any], *, whole: bool, now: datetime, note: bool = True, stopwatch_ns: Callable[[], int] | None = None
) -> CheckReport:
    """Check in the caller's transaction, which must be at REPEATABLE READ, as role jobs; as auditor with `note=False`.

    `note` remembers where it stood for the next check of what is recent. Without an earlier check it is a whole one.
    Raises: NotOneSnapshot.
    """
    isolation = connection.execute(_QUERIES["begin_check"]).fetchone()
    if isolation is None or isolation[0] not in ("repeatable read", "serializable"):
        raise NotOneSnapshot("a check needs a transaction at REPEATABLE READ")
    last = find_last_check(connection)
    ids = None if whole or last is None else _list_since(connection, last.position)
    parameters = {"ids": ids, "limit": MAX_FINDINGS, "since": None if ids is None or last is None else last.checked_at - _DUE}
    if ids is None:
        connection.execute(_QUERIES["prefer_hashing"])
    findings: list[Finding] = []
    took_ms: dict[str, int] = {}
    for name in _CHECKS:
        begun_ns = stopwatch_ns() if stopwatch_ns else 0
        findings += _run(connection, name, parameters)
        took_ms[name] = ((stopwatch_ns() if stopwatch_ns else 0) - begun_ns) // 1_000_000
    counts = connection.execute(_QUERIES["count_scope"]).fetchone() if ids is None else None
    report = CheckReport(
        checked_at=now,
        whole=ids is None,
        transfers=int(counts[0]) if counts else len(ids or ()),
        accounts=int(counts[1]) if counts else 0,
        findings=tuple(findings),
        took_ms=took_ms if stopwatch_ns else {},
    )
    if note:
        _note(connection, report)
    return report


def open_incidents(connection: Connection[Any], report: CheckReport) -> list[Incident]:
    """Stop posting on the accounts of each breach, open a case and append the event, in the caller's transaction, as role jobs.

    Idempotent: while the case of a subject is open, the same breach opens no other and tells nothing more.
    """
    sides = _find_sides(connection, report)
    by_subject: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_subject.setdefault(finding.subject, []).append(finding)
    # In the order of the codes, as everyone locks accounts.
    stopped = {
        account: stop_account(connection, *account, reason=reason, now=report.checked_at)
        for account, reason in sorted(_accounts_of(report.findings, sides).items())
    }
    return [
        _open(
            connection,
            subject,
            found,
            [account for account, news in stopped.items() if news and _concerns(found, account, sides)],
            report,
        )
        for subject, found in sorted(by_subject.items())
    ]


def _list_since(connection: Connection[Any], position: int) -> list[UUID] | None:
    rows = connection.execute(_QUERIES["list_since"], {"position": position, "limit": MAX_RECENT + 1}).fetchall()
    return None if len(rows) > MAX_RECENT else [row[0] for row in rows]


def _run(connection: Connection[Any], name: str, parameters: dict[str, Any]) -> Iterator[Finding]:
    # Planned for these very parameters: with all transfers in view another plan is right than with a few.
    for row in connection.execute(_CHECKS[name], parameters, prepare=False).fetchall():
        yield Finding(Breach(row[0]), *row[1:])


def _note(connection: Connection[Any], report: CheckReport) -> None:
    waiting = [row[0] for row in connection.execute(_QUERIES["list_waiting"])]
    parameters = {"now": report.checked_at, "whole": report.whole, "waiting": waiting}
    connection.execute(_QUERIES["note_check"], parameters)
    connection.execute(_QUERIES["note_sums"], parameters, prepare=False)


_Sides = dict[UUID, tuple[tuple[str, str], tuple[str, str]]]


def _find_sides(connection: Connection[Any], report: CheckReport) -> _Sides:
    wanted = [one.transfer_id for one in report.findings if one.transfer_id is not None]
    rows = connection.execute(_QUERIES["find_sides"], {"ids": wanted}).fetchall() if wanted else []
    return {row[0]: ((row[1], row[3]), (row[2], row[3])) for row in rows}


def _accounts_of(findings: Sequence[Finding], sides: _Sides) -> dict[tuple[str, str], str]:
    accounts: dict[tuple[str, str], str] = {}
    for one in findings:
        if one.finding not in _OF_A_TRANSFER and one.code and one.currency:
            accounts.setdefault((one.code, one.currency), one.finding.value)
        elif one.finding in _OF_A_TRANSFER and one.transfer_id in sides:
            for account in sides[one.transfer_id]:
                accounts.setdefault(account, one.finding.value)
    return accounts


def _concerns(findings: Sequence[Finding], account: tuple[str, str], sides: _Sides) -> bool:
    return account in _accounts_of(findings, sides)


def _open(
    connection: Connection[Any],
    subject: str,
    findings: Sequence[Finding],
    stopped: Sequence[tuple[str, str]],
    report: CheckReport,
) -> Incident:
    first, now = findings[0], report.checked_at
    case_id = open_case(
        connection,
        kind=CaseKind.LEDGER_INCIDENT,
        subject=subject,
        # With the time: the same breach after its case was closed is another case.
        opened_for=f"{first.finding}:{subject}:{render_time(now)}",
        facts={"findings": [{"finding": one.finding.value, "detail": one.detail} for one in findings[:_MAX_FACTS]]},
        amount_minor=None,
        currency=None,
        now=now,
        due_at=now + _DUE,
    )
    parameters = {"case_id": case_id, "finding": first.finding.value, "subject": subject, "now": now}
    connection.execute(_QUERIES["tell_of_incident"], parameters)
    return Incident(case_id=case_id, subject=subject, stopped=tuple(f"{code}/{currency}" for code, currency in stopped))
