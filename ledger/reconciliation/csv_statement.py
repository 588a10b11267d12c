"""A statement as CSV: our own documented columns, because no two banks write the same ones (docs/reconciliation.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO

from domain.money import EXPONENTS
from ledger.reconciliation.references import read_reference_keys, shown_reference
from ledger.reconciliation.statement import (
    MAX_ENTRIES,
    BadLine,
    QuarantinedLine,
    ReadStatement,
    StatementEntry,
    UnreadableStatement,
    parse_amount,
    parse_day,
    require_usable,
    span_days,
)
from ledger.reconciliation.text_lines import TextLine, read_text_lines, split_cells

REQUIRED_COLUMNS = ("booked_on", "amount", "currency")
OPTIONAL_COLUMNS = ("direction", "entry_reference", "end_to_end_id", "reference", "details", "account", "type")
_DIRECTIONS: Mapping[str, int] = {"credit": 1, "debit": -1}
_TYPES = frozenset({"entry", "opening", "closing"})
_DELIMITERS = (",", ";")


@dataclass(slots=True)
class _Reading:
    """The file at work."""

    decimal_comma: bool
    currency: str = ""
    account: str = ""
    balances: dict[str, tuple[date, int]] = field(default_factory=dict)
    entries: list[StatementEntry] = field(default_factory=list)
    quarantined: list[QuarantinedLine] = field(default_factory=list)


def read_csv_statement(stream: BinaryIO, *, decimal_comma: bool = False) -> ReadStatement:
    """Read one account's statement in one currency. A bad line is quarantined, the rest goes on.

    Raises: UnreadableStatement for a header that does not fit, for balances that cannot be read and when no line is good.
    """
    reading = _Reading(decimal_comma)
    lines = read_text_lines(stream)
    header = next(lines, None)
    names, delimiter = _read_header(header)
    for line in lines:
        if isinstance(line, QuarantinedLine):
            reading.quarantined.append(line)
            continue
        try:
            _read_line(reading, line, _name_cells(names, split_cells(line.text, delimiter)))
        except BadLine as error:
            reading.quarantined.append(QuarantinedLine(line.line_number, error.code, error.message))
        if len(reading.entries) + len(reading.quarantined) > MAX_ENTRIES:
            raise UnreadableStatement(f"the file holds more than {MAX_ENTRIES:,} entries: split it")
    statement = _finish(reading)
    require_usable([statement])
    return statement


def _read_header(header: TextLine | QuarantinedLine | None) -> tuple[Sequence[str], str]:
    if header is None:
        raise UnreadableStatement("the file is empty")
    if isinstance(header, QuarantinedLine):
        raise UnreadableStatement(f"line {header.line_number}, the CSV header, {header.reason}")
    known = {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS}
    for delimiter in _DELIMITERS:
        try:
            names = [name.lower() for name in split_cells(header.text, delimiter)]
        except BadLine:
            continue
        if known >= set(names) >= set(REQUIRED_COLUMNS) and len(set(names)) == len(names):
            return names, delimiter
    raise UnreadableStatement(
        f"line {header.line_number}: the CSV header must name {', '.join(REQUIRED_COLUMNS)} and may name "
        f"{', '.join(OPTIONAL_COLUMNS)}, each once, with commas or semicolons between; cut other columns away",
        code="wrong_header",
    )


def _name_cells(names: Sequence[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(names):
        raise BadLine(f"has {len(cells)} cells, the header {len(names)}", code="bad_csv")
    return dict(zip(names, cells, strict=True))


def _read_line(reading: _Reading, line: TextLine, row: Mapping[str, str]) -> None:
    row_type = row.get("type", "entry").lower() or "entry"
    if row_type not in _TYPES:
        raise BadLine("type is entry, opening or closing", code="bad_type")
    if row_type == "entry":
        _read_entry(reading, line, row)
        return
    try:
        _read_balance(reading, row_type, row)
    except BadLine as error:
        # A statement whose balance is wrong cannot be checked against itself: better none than one that looks checked.
        raise UnreadableStatement(f"line {line.line_number}, the {row_type} balance: {error.message}") from error


def _read_balance(reading: _Reading, row_type: str, row: Mapping[str, str]) -> None:
    if row_type in reading.balances:
        raise BadLine("stands twice", code="second_balance")
    currency = _read_currency(reading, row)
    _read_account(reading, row)
    is_zero = not row["amount"].strip("0.,")
    amount_minor = 0 if is_zero and row["amount"] else _read_signed_amount(reading, row, currency)
    reading.balances[row_type] = (parse_day(row["booked_on"]), amount_minor)
    _keep_identity(reading, currency, row)


def _read_entry(reading: _Reading, line: TextLine, row: Mapping[str, str]) -> None:
    currency = _read_currency(reading, row)
    _read_account(reading, row)
    entry = StatementEntry(
        line_number=line.line_number,
        amount_minor=_read_signed_amount(reading, row, currency),
        currency=currency,
        booked_on=parse_day(row["booked_on"]),
        entry_reference=shown_reference(row.get("entry_reference", "")),
        reference_keys=read_reference_keys(
            references=(row.get("end_to_end_id", ""), row.get("reference", "")), texts=(row.get("details", ""),)
        ),
    )
    reading.entries.append(entry)
    _keep_identity(reading, currency, row)


def _keep_identity(reading: _Reading, currency: str, row: Mapping[str, str]) -> None:
    reading.currency, reading.account = currency, row.get("account", "")


def _read_currency(reading: _Reading, row: Mapping[str, str]) -> str:
    currency = row["currency"]
    if currency not in EXPONENTS:
        raise BadLine("the currency is not in our ISO 4217 table", code="unlisted_currency")
    if reading.currency and currency != reading.currency:
        raise BadLine("another currency than the lines before: one file is one account in one currency", code="other_currency")
    return currency


def _read_account(reading: _Reading, row: Mapping[str, str]) -> None:
    if reading.account and row.get("account", "") != reading.account:
        raise UnreadableStatement("the file is about several accounts: split it by account", code="several_accounts")


def _read_signed_amount(reading: _Reading, row: Mapping[str, str], currency: str) -> int:
    text = row["amount"]
    if "direction" not in row:
        sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    else:
        direction = _DIRECTIONS.get(row["direction"].lower())
        if direction is None:
            raise BadLine("direction is credit or debit", code="bad_direction")
        sign, digits = direction, text
    return sign * parse_amount(digits, currency, decimal_comma=reading.decimal_comma)


def _finish(reading: _Reading) -> ReadStatement:
    days = [entry.booked_on for entry in reading.entries] + [day for day, _ in reading.balances.values()]
    first_day, end_day = span_days(days, reading.quarantined)
    opening, closing = reading.balances.get("opening"), reading.balances.get("closing")
    return ReadStatement(
        account=reading.account or None,
        currency=reading.currency,
        first_day=first_day,
        end_day=end_day,
        opening_minor=None if opening is None else opening[1],
        closing_minor=None if closing is None else closing[1],
        entries=tuple(reading.entries),
        quarantined=tuple(reading.quarantined),
    )
