"""A file's lines, one at a time: JSONL or CSV in, rows or problems out. Nothing is held but the line at hand."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, get_args, get_origin

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.errors import InvalidInput
from serving.ingest.kinds import KindSpec
from serving.ingest.rows import IngestRow

MAX_LINE_BYTES = 1_048_576
MAX_FILE_BYTES = 1_073_741_824
FileFormat = Literal["jsonl", "csv"]

# What starts a file that is no text at all, and what it probably is.
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"\x1f\x8b", "gzip"),
    (b"%PDF", "a PDF"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"PAR1", "Parquet"),
)
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_REASON_OF_ERROR = {
    "json_invalid": "bad_json", "model_type": "bad_json", "missing": "missing_field", "extra_forbidden": "unknown_field",
    "greater_than": "negative_amount", "greater_than_equal": "negative_amount", "less_than_equal": "amount_too_large",
    "literal_error": "unknown_value", "enum": "unknown_value", "string_too_short": "empty_value", "too_short": "empty_value",
    "string_too_long": "value_too_long", "too_long": "value_too_long", "string_pattern_mismatch": "bad_value",
    "dict_type": "wrong_type", "int_type": "wrong_type", "bool_type": "wrong_type", "string_type": "wrong_type",
    "tuple_type": "wrong_type",
}  # fmt: skip


class UnreadableFile(InvalidInput):
    """Say why a whole file can't be read: no text, too large, or its header doesn't fit."""

    code = "unreadable_file"


@dataclass(frozen=True, slots=True)
class Problem:
    """Hold why one line went into quarantine. `reason` never repeats a value. `raw` is sealed before it is stored."""

    line: int
    reason_code: str
    reason: str
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ReadRow:
    """Hold one valid row and where it stood."""

    line: int
    row: IngestRow
    raw: bytes = field(repr=False)


def require_text_file(stream: BinaryIO) -> None:
    """Refuse a stream that is too large or that isn't text, and leave it at its start, after a byte order mark.

    Raises: UnreadableFile.
    """
    if stream.seek(0, 2) > MAX_FILE_BYTES:
        raise UnreadableFile(f"the file is larger than {MAX_FILE_BYTES} bytes; split it")
    stream.seek(0)
    head = stream.read(4)
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            raise UnreadableFile(f"the file is {name}; expected JSON lines or CSV in UTF-8")
    stream.seek(3 if head.startswith(b"\xef\xbb\xbf") else 0)


def read_rows(stream: BinaryIO, spec: KindSpec, file_format: FileFormat) -> Iterator[ReadRow | Problem]:
    """Yield every non-blank line as a valid row or as a problem. Raises: UnreadableFile for a CSV header that doesn't fit."""
    lines = _read_lines(stream)
    to_json = _csv_to_json(lines, spec) if file_format == "csv" else _same
    for line in lines:
        yield line if isinstance(line, Problem) else _parse(line, spec, to_json)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    raw: bytes


def _read_lines(stream: BinaryIO) -> Iterator[_Line | Problem]:
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Problem(number, "line_too_long", f"longer than {MAX_LINE_BYTES} bytes", raw[:4_096])
            continue
        raw = raw.rstrip(b"\r\n")
        if not raw.strip():
            continue
        if b"\x00" in raw:
            yield Problem(number, "nul_character", "holds a NUL byte", raw)
        elif _is_utf8(raw):
            yield _Line(number, raw)
        else:
            yield Problem(number, "invalid_utf8", "is not UTF-8 text", raw)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(line: _Line, spec: KindSpec, to_json: Callable[[bytes], bytes]) -> ReadRow | Problem:
    try:
        return ReadRow(line.number, spec.row.model_validate_json(to_json(line.raw)), line.raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return Problem(line.number, _reason_code(first), _reason(first), line.raw)
    except csv.Error as error:
        return Problem(line.number, "bad_csv", str(error), line.raw)


def _reason_code(error: ErrorDetails) -> str:
    return _REASON_OF_ERROR.get(error["type"], error["type"])


def _reason(error: ErrorDetails) -> str:
    # A field's name can be a misplaced value, so only what looks like a name is repeated.
    parts = [str(part) if isinstance(part, int) or _FIELD_NAME.fullmatch(part) else "(unprintable name)" for part in error["loc"]]
    place = f"field {'.'.join(parts)}: " if parts else ""
    return f"{place}{error['msg']}"[:300]


def _same(raw: bytes) -> bytes:
    return raw


def _csv_to_json(lines: Iterator[_Line | Problem], spec: KindSpec) -> Callable[[bytes], bytes]:
    header = next(lines, None)
    if header is None:
        return _same
    names = _read_header(header, spec)
    fields = spec.row.model_fields
    converters = {name: _converter(fields[name].annotation) for name in names}

    def convert(raw: bytes) -> bytes:
        cells = _cells(raw)
        if len(cells) != len(names):
            raise csv.Error(f"has {len(cells)} cells, the header {len(names)}")
        return orjson.dumps({name: converters[name](cell) for name, cell in zip(names, cells, strict=True) if cell != ""})

    return convert


def _read_header(header: _Line | Problem, spec: KindSpec) -> list[str]:
    if isinstance(header, Problem):
        raise UnreadableFile(f"line {header.line}, the CSV header, {header.reason}")
    try:
        names = _cells(header.raw)
    except csv.Error as error:
        raise UnreadableFile(f"line {header.number}, the CSV header: {error}") from error
    required = [name for name, info in spec.row.model_fields.items() if info.is_required()]
    missing = [name for name in required if name not in names]
    unknown = [name for name in names if name not in spec.row.model_fields]
    if unknown or missing or len(set(names)) < len(names):
        raise UnreadableFile(
            f"line {header.number}: the CSV header must name columns of {spec.kind}, each once; required: {', '.join(required)}; "
            f"missing here: {', '.join(missing) or 'none'}; columns that we do not know: {len(unknown)}"
        )
    return names


def _cells(raw: bytes) -> list[str]:
    # One physical line is one record, so that an open quote can't swallow the rest of the file.
    return next(csv.reader([raw.decode()], strict=True), [])


def _converter(annotation: Any) -> Callable[[str], Any]:
    types = set(_flatten(annotation))
    if tuple in types:
        return _read_list
    if bool in types:
        return lambda cell: {"true": True, "false": False}.get(cell, cell)
    if int in types:
        return lambda cell: int(cell) if _INTEGER.fullmatch(cell) else cell
    return str


def _flatten(annotation: Any) -> Iterator[Any]:
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        if get_origin(annotation) is not Literal:
            yield from _flatten(part)


def _read_list(cell: str) -> Any:
    """Read `support|approver`, or a JSON list in a cell. What is neither fails later, by the row's own types."""
    if not cell.startswith("["):
        return cell.split("|")
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell
