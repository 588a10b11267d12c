"""One run on one account: match what is open, write the matches, and keep the cases as the result says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from domain.case import CaseKind, CaseOutcome
from domain.errors import Unavailable
from domain.event import Event
from domain.ids import make_id
from ledger.reconciliation.match_store import (
    OpenLine,
    UnmatchedMovement,
    drop_open_lines,
    list_barred_pairs,
    list_movements,
    list_named_batches,
    list_open_lines,
    list_unmatched_movements,
    record_matches,
    require_live_match,
    resolve_batches,
    transfer_id_of,
)
from ledger.reconciliation.matching import Break, Line, Result, match_lines
from ledger.reconciliation.rules import RULES, BreakKind, RuleSet
from storage.cases import NewCase, open_cases, settle_cases
from storage.events import append_event
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql")
_DUE_AFTER = timedelta(days=3)
_MAX_SHOWN = 20


class AccountBusy(Unavailable):
    """Say that another run works on this account now; nothing was done."""

    code = "reconciliation_busy"


@dataclass(frozen=True, slots=True)
class RunReport:
    """Hold what one run changed: matches by rule, breaks that came up by kind, cases that settled themselves."""

    matched: Mapping[str, int]
    opened: Mapping[str, int]
    settled: int


@dataclass(frozen=True, slots=True)
class _Held:
    """What core.cases says about one subject."""

    subject: str
    cases: int
    is_decided: bool
    open_case_id: str | None
    open_break: str | None


@dataclass(frozen=True, slots=True)
class _Period:
    statement_id: str
    currency: str
    period_start: datetime
    period_end: datetime


def lock_account(connection: Connection[Any], code: str) -> None:
    """Keep other runs off this account until the transaction ends. Raises: AccountBusy."""
    row = connection.execute(_QUERIES["try_lock_account"], {"code": code}).fetchone()
    if row is None or not row[0]:
        raise AccountBusy(f"a reconciliation of {code} is at work: nothing was done, try again in a minute")


def reconcile_account(connection: Connection[Any], code: str, *, now: datetime, rules: RuleSet = RULES) -> RunReport:
    """Match the open lines of an account and bring the cases up to date, in the caller's transaction, which holds the lock.

    Idempotency: a second run with nothing new changes nothing.
    """
    lines, held = _list_undecided(connection, code)
    if not lines:
        return RunReport({}, {}, 0)
    result = _match(connection, code, [opened.line for opened in lines.values()], rules, now)
    transfers = [_transfer_subject(item, code) for match in result.matches for item in match.transfer_ids]
    matched = [held[match.line_id] for match in result.matches if match.line_id in held]
    settled = _settle(connection, [*matched, *_list_held(connection, transfers).values()], CaseOutcome.MATCHED_LATER, now)
    fresh = [found for found in result.breaks if not _stands_open(held.get(found.line_id), found)]
    _settle(connection, [held[found.line_id] for found in fresh if found.line_id in held], CaseOutcome.SUPERSEDED, now)
    cases = [_line_case(code, found, lines[found.line_id], held.get(found.line_id), now) for found in fresh]
    open_cases(connection, cases, now=now)
    return RunReport(
        matched=dict(Counter(match.rule.value for match in result.matches)),
        opened=dict(Counter(found.kind.value for found in fresh)),
        settled=settled,
    )


def _list_undecided(connection: Connection[Any], code: str) -> tuple[dict[str, OpenLine], dict[str, _Held]]:
    """Return the open lines and their cases. A line whose case a person closed is decided: it drops out for good."""
    lines = {opened.line.line_id: opened for opened in list_open_lines(connection, code)}
    held = _list_held(connection, list(lines))
    decided = [line_id for line_id in lines if line_id in held and held[line_id].is_decided]
    drop_open_lines(connection, code, decided)
    return {line_id: opened for line_id, opened in lines.items() if line_id not in set(decided)}, held


def _match(connection: Connection[Any], code: str, lines: Sequence[Line], rules: RuleSet, now: datetime) -> Result:
    batches = list_named_batches(connection, lines)
    members = {member for group in batches.values() for member in group}
    movements = list_movements(connection, code, lines, members=members, rules=rules)
    result = match_lines(
        lines,
        movements,
        batches=resolve_batches(batches, movements),
        barred=list_barred_pairs(connection, code),
        rules=rules,
    )
    if result.matches:
        amounts = {movement.transfer_id: movement.amount_minor for movement in movements}
        record_matches(connection, code, result.matches, amounts, rules=rules, now=now)
    return result


def sweep_account(connection: Connection[Any], code: str, *, now: datetime, rules: RuleSet = RULES) -> int:
    """Open a case for each transfer of an ended statement's period that no line is matched with. Returns how many.

    A period is looked through once, when its grace is over. The caller's transaction holds the lock.
    """
    parameters = {"code": code, "ended_before": now - rules.grace}
    opened = 0
    for statement_id, _, currency, period_start, period_end in connection.execute(
        _QUERIES["list_unswept"], parameters
    ).fetchall():
        period = _Period(statement_id, currency, period_start, period_end)
        opened += _open_missing(connection, code, period, None, now)
        connection.execute(_QUERIES["mark_swept"], {"statement_id": statement_id, "now": now})
    return opened


def list_accounts_at_work(connection: Connection[Any], *, now: datetime, rules: RuleSet = RULES) -> list[str]:
    """Return the codes of accounts with open lines or with a period to look through."""
    rows = connection.execute(_QUERIES["list_accounts_at_work"], {"ended_before": now - rules.grace})
    return [str(row[0]) for row in rows]


def unmatch_line(
    connection: Connection[Any], line_id: str, *, tenant_id: str, operator_id: str, reason: str, now: datetime
) -> RunReport:
    """Take a line's match back, with who and why. The pair is never matched by a rule again, and what is open then is a case.

    Raises: LineNotMatched, AccountBusy, InvalidId.
    """
    match = require_live_match(connection, line_id)
    lock_account(connection, match.code)
    parameters = {"match_id": match.match_id, "line_id": line_id, "operator_id": operator_id, "reason": reason, "now": now}
    connection.execute(_QUERIES["insert_unmatch"], parameters)
    connection.execute(_QUERIES["insert_open_lines"], {"code": match.code, "line_ids": [line_id]})
    report = reconcile_account(connection, match.code, now=now)
    with connection.cursor(row_factory=class_row(_Period)) as cursor:
        periods = cursor.execute(_QUERIES["list_swept_periods"], {"code": match.code}).fetchall()
    for period in periods:
        _open_missing(connection, match.code, period, match.transfer_ids, now)
    append_event(
        connection,
        Event(
            event_id=make_id("evt", now),
            event_type="statement.unmatched",
            source="reconciliation",
            subject=line_id,
            tenant_id=tenant_id,
            occurred_at=now,
            recorded_at=now,
            data={
                "line_id": line_id,
                "match_id": match.match_id,
                "transfer_ids": sorted(map(transfer_id_of, match.transfer_ids)),
                "unmatched_by": operator_id,
            },
        ),
    )
    return report


def break_case(
    *, subject: str, earlier: int, facts: Mapping[str, Any], amount_minor: int, currency: str, now: datetime
) -> NewCase:
    """Return the case of a break. `earlier` is how many cases the subject had before: one that is back is another case."""
    return NewCase(
        kind=CaseKind.RECONCILIATION_BREAK,
        subject=subject,
        opened_for=f"{subject}#{earlier + 1}",
        facts=facts,
        amount_minor=amount_minor,
        currency=currency,
        due_at=now + _DUE_AFTER,
    )


def _transfer_subject(transfer_id: str, code: str) -> str:
    # A transfer between two accounts that both have statements can be missing in either.
    return f"{transfer_id}@{code}"


def _list_held(connection: Connection[Any], subjects: Sequence[str]) -> dict[str, _Held]:
    with connection.cursor(row_factory=class_row(_Held)) as cursor:
        rows = cursor.execute(_QUERIES["list_break_cases"], {"subjects": list(subjects)}).fetchall()
    return {row.subject: row for row in rows}


def _settle(connection: Connection[Any], held: Iterable[_Held], outcome: CaseOutcome, now: datetime) -> int:
    open_ids = [item.open_case_id for item in held if item.open_case_id is not None]
    return settle_cases(connection, open_ids, outcome=outcome, now=now) if open_ids else 0


def _stands_open(held: _Held | None, found: Break) -> bool:
    return held is not None and held.open_case_id is not None and held.open_break == found.kind


def _line_case(code: str, found: Break, opened: OpenLine, held: _Held | None, now: datetime) -> NewCase:
    return break_case(
        subject=found.line_id,
        earlier=0 if held is None else held.cases,
        facts=_facts_of(code, found, opened),
        amount_minor=opened.line.amount_minor,
        currency=opened.line.currency,
        now=now,
    )


def _facts_of(code: str, found: Break, opened: OpenLine) -> dict[str, Any]:
    return {
        "break": found.kind.value,
        "code": code,
        "statement_id": opened.statement_id,
        "line_number": opened.line_number,
        "entry_reference": opened.entry_reference,
        "booked_on": opened.line.booked_on.isoformat(),
        "transfer_ids": list(found.transfer_ids[:_MAX_SHOWN]),
        "transfers": len(found.transfer_ids),
        "difference_minor": found.difference_minor,
    }


def _open_missing(
    connection: Connection[Any], code: str, period: _Period, transfer_ids: Sequence[UUID] | None, now: datetime
) -> int:
    movements = list_unmatched_movements(
        connection,
        code,
        currency=period.currency,
        period_start=period.period_start,
        period_end=period.period_end,
        transfer_ids=transfer_ids,
    )
    subjects = {_transfer_subject(transfer_id_of(item.transfer_id), code): item for item in movements}
    held = _list_held(connection, list(subjects))
    fresh = {subject: item for subject, item in subjects.items() if subject not in held or held[subject].open_case_id is None}
    cases = [
        _missing_case(code, period, item, subject, held[subject].cases if subject in held else 0, now)
        for subject, item in fresh.items()
    ]
    return len(open_cases(connection, cases, now=now))


def _missing_case(code: str, period: _Period, movement: UnmatchedMovement, subject: str, earlier: int, now: datetime) -> NewCase:
    return break_case(
        subject=subject,
        earlier=earlier,
        facts={
            "break": BreakKind.MISSING_IN_STATEMENT.value,
            "code": code,
            "statement_id": period.statement_id,
            "transfer_ids": [transfer_id_of(movement.transfer_id)],
        },
        amount_minor=movement.amount_minor,
        currency=movement.currency,
        now=now,
    )
