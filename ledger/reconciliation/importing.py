"""A statement file in: told by its digest, read whole, stored and matched in one transaction, and a report of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import Connection
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from domain.event import Event
from domain.ids import make_id
from ledger.reconciliation.camt053 import read_camt053
from ledger.reconciliation.csv_statement import read_csv_statement
from ledger.reconciliation.mapping import Mapping, StatementAccount, resolve_mapping
from ledger.reconciliation.rules import BreakKind
from ledger.reconciliation.running import lock_account, reconcile_account, sweep_account
from ledger.reconciliation.statement import (
    MAX_FILE_BYTES,
    QuarantinedLine,
    ReadStatement,
    StatementFormat,
    UnreadableStatement,
)
from ledger.reconciliation.statement_store import StatementReport, store_statement
from storage.events import append_event
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "statements.sql")
_MAX_REPORTED = 20


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """Say what a file is and who brings it. `mapping` is needed where the statement's account is not mapped yet."""

    tenant_id: str
    operator_id: str
    file_format: StatementFormat
    mapping: Mapping | None = None
    decimal_comma: bool = False


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Hold what became of a file: lines matched by rule and breaks opened by kind, older open lines of the account included.

    `quarantined` are the first bad lines; `quarantined_lines` counts them all.
    """

    file_id: str
    sha256: str
    already_imported: bool
    statements: tuple[StatementReport, ...]
    matched: dict[str, int]
    breaks: dict[str, int]
    settled_cases: int
    quarantined_lines: int
    quarantined: tuple[QuarantinedLine, ...]


_REPORT = TypeAdapter(ImportReport)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Hold a file that was read and not stored yet."""

    sha256: str
    statements: tuple[ReadStatement, ...]


def digest_file(stream: BinaryIO) -> str:
    """Return the SHA-256 of a file. Raises: UnreadableStatement for one that is empty or too large."""
    size = stream.seek(0, 2)
    if size == 0:
        raise UnreadableStatement("the file is empty")
    if size > MAX_FILE_BYTES:
        raise UnreadableStatement(f"the file is larger than {MAX_FILE_BYTES:,} bytes: split it", code="statement_too_large")
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(1_048_576):
        digest.update(block)
    stream.seek(0)
    return digest.hexdigest()


def read_file(stream: BinaryIO, order: ImportOrder) -> ReadFile:
    """Read a whole seekable file, with no database. Raises: UnreadableStatement."""
    sha256 = digest_file(stream)
    if order.file_format == "csv":
        return ReadFile(sha256, (read_csv_statement(stream, decimal_comma=order.decimal_comma),))
    return ReadFile(sha256, read_camt053(stream))


def find_import(connection: Connection[Any], sha256: str) -> ImportReport | None:
    """Return the report of a file that is in already."""
    row = connection.execute(_QUERIES["find_file"], {"sha256": sha256}).fetchone()
    return None if row is None else replace(read_report(row[1]), already_imported=True)


def import_file(connection: Connection[Any], file: ReadFile, order: ImportOrder, *, now: datetime) -> ImportReport:
    """Store the statements of a file and match their accounts, in the caller's transaction, as role jobs.

    Idempotency: the same file again changes nothing and returns the first report. One event `statement.imported` a file.
    Raises: AccountNotMapped, MappedElsewhere, UnknownLedgerAccount, AccountBusy.
    """
    known = find_import(connection, file.sha256)
    if known is not None:
        return known
    placed = [(statement, *_place(connection, statement, order, now)) for statement in file.statements]
    codes = sorted({mapping.code for _, _, mapping in placed})
    for code in codes:
        lock_account(connection, code)
    # Somebody else may have brought the same file while the lock was not ours.
    known = find_import(connection, file.sha256)
    if known is not None:
        return known
    file_id = make_id("stf", now)
    reports = tuple(store_statement(connection, file_id, *place, now=now) for place in placed)
    quarantined = [line for statement in file.statements for line in statement.quarantined]
    _store_quarantined(connection, file_id, quarantined)
    report = _match(connection, codes, file_id, file, reports, quarantined, now)
    _store_file(connection, report, order, now)
    return report


def _place(
    connection: Connection[Any], statement: ReadStatement, order: ImportOrder, now: datetime
) -> tuple[StatementAccount, Mapping]:
    return resolve_mapping(
        connection,
        statement.account,
        order.mapping,
        tenant_id=order.tenant_id,
        operator_id=order.operator_id,
        now=now,
    )


def _match(
    connection: Connection[Any],
    codes: Sequence[str],
    file_id: str,
    file: ReadFile,
    reports: tuple[StatementReport, ...],
    quarantined: Sequence[QuarantinedLine],
    now: datetime,
) -> ImportReport:
    matched, breaks, settled = Counter[str](), Counter[str](), 0
    for code in codes:
        run = reconcile_account(connection, code, now=now)
        matched.update(run.matched)
        breaks.update(run.opened)
        settled += run.settled
        breaks[BreakKind.MISSING_IN_STATEMENT.value] += sweep_account(connection, code, now=now)
    breaks[BreakKind.DUPLICATE_LINE.value] += sum(report.duplicates for report in reports)
    breaks[BreakKind.BALANCE_DIFFERS.value] += sum(report.imbalance_minor != 0 for report in reports)
    return ImportReport(
        file_id=file_id,
        sha256=file.sha256,
        already_imported=False,
        statements=reports,
        matched=dict(matched),
        breaks={kind: count for kind, count in breaks.items() if count},
        settled_cases=settled,
        quarantined_lines=len(quarantined),
        quarantined=tuple(quarantined[:_MAX_REPORTED]),
    )


def _store_quarantined(connection: Connection[Any], file_id: str, quarantined: Sequence[QuarantinedLine]) -> None:
    parameters = {
        "file_id": file_id,
        "line_numbers": [line.line_number for line in quarantined],
        "reason_codes": [line.reason_code for line in quarantined],
        "reasons": [line.reason for line in quarantined],
    }
    connection.execute(_QUERIES["insert_quarantined"], parameters)


def _store_file(connection: Connection[Any], report: ImportReport, order: ImportOrder, now: datetime) -> None:
    kept = _REPORT.dump_python(report, mode="json")
    parameters = {
        "file_id": report.file_id,
        "sha256": report.sha256,
        "format": order.file_format,
        "operator_id": order.operator_id,
        "now": now,
        "report": Jsonb(kept),
    }
    connection.execute(_QUERIES["insert_file"], parameters)
    data = {name: kept[name] for name in ("file_id", "sha256", "matched", "breaks", "settled_cases", "quarantined_lines")}
    data |= {"imported_by": order.operator_id, "format": order.file_format}
    data |= {"lines": sum(statement.lines for statement in report.statements)}
    data |= {"statement_ids": [statement.statement_id for statement in report.statements]}
    append_event(
        connection,
        Event(
            event_id=make_id("evt", now),
            event_type="statement.imported",
            source="reconciliation",
            subject=report.file_id,
            tenant_id=order.tenant_id,
            occurred_at=now,
            recorded_at=now,
            data=data,
        ),
    )


def read_report(plain: MappingOf[str, Any]) -> ImportReport:
    """Return the report that a JSON object holds. Raises: pydantic.ValidationError."""
    return _REPORT.validate_python(plain)
