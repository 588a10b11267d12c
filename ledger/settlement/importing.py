"""A settlement file in: new batches, new steps, new members. What is known already changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import Connection
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from domain.event import Event
from domain.ids import make_id
from ledger.reconciliation.references import reference_key
from ledger.reconciliation.statement import MAX_ENTRIES, MAX_FILE_BYTES, QuarantinedLine
from ledger.settlement.batch import BatchRow
from ledger.settlement.reading import SettlementFormat, UnreadableSettlement, read_rows
from storage.events import append_event
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "settlement.sql")
_MAX_REPORTED = 20
_CLOCK_LEEWAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SettlementReport:
    """Hold what became of a settlement file. `repeated` lines held a known step; `quarantined` are the first bad lines."""

    sha256: str
    already_imported: bool
    lines: int
    new_batches: int
    new_states: int
    new_members: int
    repeated: int
    quarantined_lines: int
    quarantined: tuple[QuarantinedLine, ...]


_REPORT = TypeAdapter(SettlementReport)
_Identity = tuple[str, str, int, int]
_StepKey = tuple[str, str, datetime]
_StepFacts = tuple[datetime | None, str | None]


@dataclass(frozen=True, slots=True)
class ReadSettlement:
    """Hold a file that was read and not stored yet."""

    sha256: str
    rows: tuple[tuple[int, BatchRow], ...]
    quarantined: tuple[QuarantinedLine, ...]


@dataclass(slots=True)
class _News:
    """What a file brings that is not known yet."""

    batches: list[BatchRow] = field(default_factory=list)
    states: list[BatchRow] = field(default_factory=list)
    members: list[tuple[str, str]] = field(default_factory=list)
    repeated: int = 0
    quarantined: list[QuarantinedLine] = field(default_factory=list)


def read_settlement(stream: BinaryIO, file_format: SettlementFormat, *, now: datetime) -> ReadSettlement:
    """Read a whole seekable file, with no database. Raises: UnreadableSettlement, also when no line is good."""
    size = stream.seek(0, 2)
    if size == 0:
        raise UnreadableSettlement("the file is empty")
    if size > MAX_FILE_BYTES:
        raise UnreadableSettlement(f"the file is larger than {MAX_FILE_BYTES:,} bytes: split it", code="settlement_too_large")
    stream.seek(0)
    sha256 = hashlib.sha256(stream.read()).hexdigest()
    stream.seek(0)
    rows: list[tuple[int, BatchRow]] = []
    quarantined: list[QuarantinedLine] = []
    for item in read_rows(stream, file_format):
        if isinstance(item, QuarantinedLine):
            quarantined.append(item)
        elif item[1].occurred_at > now + _CLOCK_LEEWAY:
            quarantined.append(QuarantinedLine(item[0], "future_time", "field occurred_at: lies in the future"))
        else:
            rows.append(item)
        if len(rows) + len(quarantined) > MAX_ENTRIES:
            raise UnreadableSettlement(f"the file holds more than {MAX_ENTRIES:,} lines: split it")
    if not rows:
        first = f"; the first, line {quarantined[0].line_number}: {quarantined[0].reason}" if quarantined else ""
        raise UnreadableSettlement(f"no line of the file is good{first}", code="no_good_line")
    return ReadSettlement(sha256, tuple(rows), tuple(quarantined))


def import_settlement(
    connection: Connection[Any], file: ReadSettlement, *, tenant_id: str, operator_id: str, now: datetime
) -> SettlementReport:
    """Store what is new, in the caller's transaction, as role jobs. One event `settlement.imported` a file.

    Idempotency: the same file again changes nothing and returns the first report; the same step again, in any file, is no news.
    """
    connection.execute(_QUERIES["lock_imports"])
    held = connection.execute(_QUERIES["find_import"], {"sha256": file.sha256}).fetchone()
    if held is not None:
        return replace(read_settlement_report(held[0]), already_imported=True)
    news = _find_news(connection, file)
    _store_batches(connection, news.batches, now)
    _store_states(connection, news.states, now)
    new_members = _store_members(connection, news.members, now)
    quarantined = sorted([*file.quarantined, *news.quarantined], key=lambda line: line.line_number)
    report = SettlementReport(
        sha256=file.sha256,
        already_imported=False,
        lines=len(file.rows) + len(file.quarantined),
        new_batches=len(news.batches),
        new_states=len(news.states),
        new_members=new_members,
        repeated=news.repeated,
        quarantined_lines=len(quarantined),
        quarantined=tuple(quarantined[:_MAX_REPORTED]),
    )
    _store_import(connection, report, tenant_id=tenant_id, operator_id=operator_id, now=now)
    return report


def read_settlement_report(plain: Mapping[str, Any]) -> SettlementReport:
    """Return the report that a JSON object holds. Raises: pydantic.ValidationError."""
    return _REPORT.validate_python(plain)


def _find_news(connection: Connection[Any], file: ReadSettlement) -> _News:
    batch_ids = sorted({row.batch_id for _, row in file.rows})
    known: dict[str, _Identity] = {
        batch_id: (scheme, currency, amount_minor, item_count)
        for batch_id, scheme, currency, amount_minor, item_count in connection.execute(
            _QUERIES["list_batches"], {"batch_ids": batch_ids}
        )
    }
    steps: dict[_StepKey, _StepFacts] = {
        (batch_id, state, occurred_at): (expected_at, reason_code)
        for batch_id, state, occurred_at, expected_at, reason_code, _ in connection.execute(
            _QUERIES["list_states"], {"batch_ids": batch_ids}
        )
    }
    news = _News()
    for line_number, row in file.rows:
        _take_row(news, line_number, row, known, steps)
    return news


def _take_row(
    news: _News, line_number: int, row: BatchRow, known: dict[str, _Identity], steps: dict[_StepKey, _StepFacts]
) -> None:
    identity = (row.scheme, row.currency, row.amount_minor, row.item_count)
    facts = (row.expected_at, row.reason_code)
    step = (row.batch_id, row.state.value, row.occurred_at)
    if known.get(row.batch_id, identity) != identity:
        words = "the batch is known with another scheme, currency, amount or count"
        news.quarantined.append(QuarantinedLine(line_number, "batch_differs", words))
        return
    if steps.get(step, facts) != facts:
        words = "the step is known at this time with another expected_at or reason_code"
        news.quarantined.append(QuarantinedLine(line_number, "state_differs", words))
        return
    if row.batch_id not in known:
        known[row.batch_id] = identity
        news.batches.append(row)
    if step in steps:
        news.repeated += 1
    else:
        steps[step] = facts
        news.states.append(row)
    news.members += [(row.batch_id, reference) for reference in row.references]


def _store_batches(connection: Connection[Any], rows: Sequence[BatchRow], now: datetime) -> None:
    parameters = {
        "now": now,
        "batch_ids": [row.batch_id for row in rows],
        "reference_keys": [reference_key(row.batch_id) for row in rows],
        "schemes": [row.scheme for row in rows],
        "currencies": [row.currency for row in rows],
        "amounts": [row.amount_minor for row in rows],
        "counts": [row.item_count for row in rows],
    }
    connection.execute(_QUERIES["insert_batches"], parameters)


def _store_states(connection: Connection[Any], rows: Sequence[BatchRow], now: datetime) -> None:
    parameters = {
        "now": now,
        "batch_ids": [row.batch_id for row in rows],
        "states": [row.state.value for row in rows],
        "occurred": [row.occurred_at for row in rows],
        "expected": [row.expected_at for row in rows],
        "reason_codes": [row.reason_code for row in rows],
    }
    connection.execute(_QUERIES["insert_states"], parameters)


def _store_members(connection: Connection[Any], members: Iterable[tuple[str, str]], now: datetime) -> int:
    pairs = list(members)
    parameters = {
        "now": now,
        "batch_ids": [batch_id for batch_id, _ in pairs],
        "member_references": [reference for _, reference in pairs],
    }
    return len(connection.execute(_QUERIES["insert_members"], parameters).fetchall())


def _store_import(
    connection: Connection[Any], report: SettlementReport, *, tenant_id: str, operator_id: str, now: datetime
) -> None:
    kept: dict[str, Any] = _REPORT.dump_python(report, mode="json")
    parameters = {"sha256": report.sha256, "operator_id": operator_id, "now": now, "report": Jsonb(kept)}
    connection.execute(_QUERIES["insert_import"], parameters)
    counts = ("sha256", "lines", "new_batches", "new_states", "new_members", "repeated", "quarantined_lines")
    append_event(
        connection,
        Event(
            event_id=make_id("evt", now),
            event_type="settlement.imported",
            source="settlement",
            subject=f"sha256:{report.sha256}",
            tenant_id=tenant_id,
            occurred_at=now,
            recorded_at=now,
            data={name: kept[name] for name in counts} | {"imported_by": operator_id},
        ),
    )
