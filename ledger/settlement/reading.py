"""A settlement file's lines: JSONL or CSV in, rows or bad lines out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal

from pydantic import ValidationError

from ledger.reconciliation.statement import BadLine, QuarantinedLine, UnreadableStatement
from ledger.reconciliation.text_lines import TextLine, read_text_lines, split_cells
from ledger.settlement.batch import BatchRow

SettlementFormat = Literal["jsonl", "csv"]
_COLUMNS = frozenset(BatchRow.model_fields)
_REQUIRED = frozenset(name for name, field in BatchRow.model_fields.items() if field.is_required())
_INTEGER = re.compile(r"\d{1,19}", re.ASCII)
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


class UnreadableSettlement(UnreadableStatement):
    """Say why a whole settlement file can't be read; nothing of it was imported."""

    code = "unreadable_settlement"


def read_rows(stream: BinaryIO, file_format: SettlementFormat) -> Iterator[tuple[int, BatchRow] | QuarantinedLine]:
    """Yield each line that is not blank as (line number, row), or as quarantined. Raises: UnreadableSettlement."""
    try:
        lines = read_text_lines(stream)
        read = _csv_reader(next(lines, None)) if file_format == "csv" else _read_json
        for line in lines:
            yield line if isinstance(line, QuarantinedLine) else _read_row(line, read)
    except UnreadableSettlement:
        raise
    except UnreadableStatement as error:
        raise UnreadableSettlement(error.message) from error


def _read_row(line: TextLine, read: Callable[[str], Any]) -> tuple[int, BatchRow] | QuarantinedLine:
    try:
        return line.line_number, BatchRow.model_validate(read(line.text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # A field's name can be a misplaced value, so only what looks like a name is repeated.
        parts = [str(part) for part in first["loc"] if isinstance(part, int) or _FIELD_NAME.fullmatch(part)]
        return QuarantinedLine(line.line_number, first["type"], f"field {'.'.join(parts) or '?'}: {first['msg']}"[:300])
    except BadLine as error:
        return QuarantinedLine(line.line_number, error.code, error.message)


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadLine("no JSON", code="bad_json") from error


def _csv_reader(header: TextLine | QuarantinedLine | None) -> Callable[[str], Any]:
    names, delimiter = _read_header(header)

    def read(text: str) -> Any:
        cells = split_cells(text, delimiter)
        if len(cells) != len(names):
            raise BadLine(f"has {len(cells)} cells, the header {len(names)}", code="bad_csv")
        return {name: _convert(name, cell) for name, cell in zip(names, cells, strict=True) if cell}

    return read


def _read_header(header: TextLine | QuarantinedLine | None) -> tuple[list[str], str]:
    if header is None:
        raise UnreadableSettlement("the file is empty")
    if isinstance(header, QuarantinedLine):
        raise UnreadableSettlement(f"line {header.line_number}, the CSV header, {header.reason}")
    for delimiter in (",", ";"):
        try:
            names = split_cells(header.text, delimiter)
        except BadLine:
            continue
        if _COLUMNS >= set(names) >= _REQUIRED and len(set(names)) == len(names):
            return names, delimiter
    raise UnreadableSettlement(
        f"line {header.line_number}: the CSV header must name {', '.join(sorted(_REQUIRED))} and may name "
        f"{', '.join(sorted(_COLUMNS - _REQUIRED))}, each once",
        code="wrong_header",
    )


def _convert(name: str, cell: str) -> Any:
    if name == "references":
        return cell.split("|")
    if name in {"amount_minor", "item_count"} and _INTEGER.fullmatch(cell):
        return int(cell)
    return cell
