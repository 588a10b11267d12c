"""One account's statement in: which of its lines are new, whether its balances agree, what stands in it twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from psycopg import Connection

from domain.case import CaseOutcome
from domain.ids import make_id
from ledger.reconciliation.mapping import Mapping, StatementAccount
from ledger.reconciliation.recognition import NewLine, Recognized, recognize_entries
from ledger.reconciliation.rules import BreakKind
from ledger.reconciliation.running import break_case
from ledger.reconciliation.statement import ReadStatement
from storage.cases import NewCase, open_cases, settle_cases
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "statements.sql")


@dataclass(frozen=True, slots=True)
class StatementReport:
    """Hold what became of one account's statement.

    `repeated` lines stood in an earlier file, `duplicates` have a reference that another line has.
    `imbalance_minor` is closing less opening less entries.
    """

    statement_id: str
    account: str
    code: str
    currency: str
    first_day: date
    end_day: date
    lines: int
    repeated: int
    not_booked: int
    imbalance_minor: int
    duplicates: int


def store_statement(
    connection: Connection[Any],
    file_id: str,
    statement: ReadStatement,
    account: StatementAccount,
    mapping: Mapping,
    *,
    now: datetime,
) -> StatementReport:
    """Store a statement and its new lines; open cases for what it says against itself. The caller holds the account's lock."""
    sign = -1 if mapping.mirrored else 1
    recognized = _recognize(connection, mapping.code, statement, sign, now)
    statement_id = make_id("stm", now)
    period_start, period_end = (datetime.combine(day, time(), UTC) for day in (statement.first_day, statement.end_day))
    row = {
        "statement_id": statement_id,
        "file_id": file_id,
        "account_key": account.account_key,
        "code": mapping.code,
        "mirrored": mapping.mirrored,
        "currency": statement.currency,
        "period_start": period_start,
        "period_end": period_end,
        "opening_minor": statement.opening_minor,
        "closing_minor": statement.closing_minor,
        "entries_minor": statement.entries_minor,
        "lines": len(statement.entries),
    }
    connection.execute(_QUERIES["insert_statement"], row)
    _store_lines(connection, row, recognized.lines)
    _check_balance(connection, statement, row, now)
    duplicates = [line for line in recognized.lines if line.duplicate_of is not None]
    open_cases(connection, [_duplicate_case(row, line, now) for line in duplicates], now=now)
    return StatementReport(
        statement_id=statement_id,
        account=account.shown,
        code=mapping.code,
        currency=statement.currency,
        first_day=statement.first_day,
        end_day=statement.end_day,
        lines=len(statement.entries),
        repeated=recognized.repeated,
        not_booked=statement.not_booked,
        imbalance_minor=statement.imbalance_minor,
        duplicates=len(duplicates),
    )


def _recognize(connection: Connection[Any], code: str, statement: ReadStatement, sign: int, now: datetime) -> Recognized:
    entries = [replace(entry, amount_minor=sign * entry.amount_minor) for entry in statement.entries]
    contents = sorted({entry.content_sha256() for entry in entries})
    references = sorted({entry.entry_reference for entry in entries if entry.entry_reference is not None})
    known_contents = connection.execute(_QUERIES["list_known_contents"], {"code": code, "contents": contents}).fetchall()
    known_references = connection.execute(
        _QUERIES["list_known_references"], {"code": code, "entry_references": references}
    ).fetchall()
    return recognize_entries(entries, known_contents=set(known_contents), known_references=dict(known_references), now=now)


def _store_lines(connection: Connection[Any], statement: dict[str, Any], lines: Sequence[NewLine]) -> None:
    entries = [line.entry for line in lines]
    parameters = {
        **{name: statement[name] for name in ("statement_id", "code", "currency")},
        "line_ids": [line.line_id for line in lines],
        "line_numbers": [entry.line_number for entry in entries],
        "entry_references": [entry.entry_reference for entry in entries],
        "amounts": [entry.amount_minor for entry in entries],
        "booked_on": [entry.booked_on for entry in entries],
        "reference_keys": [" ".join(entry.reference_keys) for entry in entries],
        "contents": [line.content_sha256 for line in lines],
        "occurrences": [line.occurrence for line in lines],
        "duplicates_of": [line.duplicate_of for line in lines],
    }
    connection.execute(_QUERIES["insert_lines"], parameters)
    waiting = [line.line_id for line in lines if line.duplicate_of is None]
    connection.execute(_QUERIES["insert_open_lines"], {"code": statement["code"], "line_ids": waiting})


def _check_balance(connection: Connection[Any], statement: ReadStatement, row: dict[str, Any], now: datetime) -> None:
    """Open a case where the file contradicts itself; close that of an earlier file of the period where this one agrees."""
    if statement.opening_minor is None or statement.closing_minor is None:
        return
    if statement.imbalance_minor == 0:
        earlier = [str(held[0]) for held in connection.execute(_QUERIES["list_imbalances"], row)]
        settle_cases(connection, earlier, outcome=CaseOutcome.MATCHED_LATER, now=now)
        return
    facts = {name: row[name] for name in ("code", "statement_id", "opening_minor", "closing_minor", "entries_minor")}
    case = break_case(
        subject=row["statement_id"],
        earlier=0,
        facts={"break": BreakKind.BALANCE_DIFFERS.value, "quarantined_lines": len(statement.quarantined), **facts},
        amount_minor=statement.imbalance_minor,
        currency=statement.currency,
        now=now,
    )
    open_cases(connection, [case], now=now)


def _duplicate_case(statement: dict[str, Any], line: NewLine, now: datetime) -> NewCase:
    facts = {
        "break": BreakKind.DUPLICATE_LINE.value,
        "code": statement["code"],
        "statement_id": statement["statement_id"],
        "line_number": line.entry.line_number,
        "entry_reference": line.entry.entry_reference,
        "duplicate_of": line.duplicate_of,
    }
    return break_case(
        subject=line.line_id,
        earlier=0,
        facts=facts,
        amount_minor=line.entry.amount_minor,
        currency=line.entry.currency,
        now=now,
    )
