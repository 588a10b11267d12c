"""The lines of a text file that somebody hands over: UTF-8, one physical line a record, each fault with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ledger.reconciliation.statement import BadLine, QuarantinedLine, UnreadableStatement

_MAX_LINE_BYTES = 65_536
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"\x1f\x8b", "gzip"),
    (b"%PDF", "a PDF"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"{1:", "a SWIFT MT message"),
    (b":20:", "a SWIFT MT message"),
)


@dataclass(frozen=True, slots=True)
class TextLine:
    """Hold one line without its end, and its number from 1."""

    line_number: int
    text: str


def read_text_lines(stream: BinaryIO) -> Iterator[TextLine | QuarantinedLine]:
    """Yield the lines that are not blank; one that is no text comes as quarantined. Raises: UnreadableStatement."""
    head = stream.read(4)
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            raise UnreadableStatement(f"the file is {name}; expected text in UTF-8")
    stream.seek(3 if head.startswith(b"\xef\xbb\xbf") else 0)
    number = 0
    while raw := stream.readline(_MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > _MAX_LINE_BYTES and not raw.endswith(b"\n"):
            while (rest := stream.readline(_MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield QuarantinedLine(number, "line_too_long", f"longer than {_MAX_LINE_BYTES} bytes")
            continue
        line = raw.rstrip(b"\r\n")
        if line.strip():
            yield _decode(number, line)


def _decode(number: int, line: bytes) -> TextLine | QuarantinedLine:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return QuarantinedLine(number, "invalid_utf8", "is not UTF-8 text")
    if "\x00" in text:
        return QuarantinedLine(number, "nul_character", "holds a NUL byte")
    return TextLine(number, text)


def split_cells(text: str, delimiter: str) -> list[str]:
    """Return the cells of one CSV line, without the blanks around them. Raises: BadLine."""
    try:
        return [cell.strip() for cell in next(csv.reader([text], strict=True, delimiter=delimiter), [])]
    except csv.Error as error:
        raise BadLine(f"no CSV: {error}", code="bad_csv") from error
