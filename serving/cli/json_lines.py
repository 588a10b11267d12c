"""JSON on standard input: one document a line, read strictly, however long the line is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from domain.errors import InvalidInput

MAX_LINE_BYTES = 4 * 1024 * 1024


class MalformedJson(InvalidInput):
    """Say that a line is no JSON object, or one that two readers would read differently."""

    code = "malformed_json"


def read_document(line: bytes) -> dict[str, Any]:
    """Parse one JSON object strictly: UTF-8, no key twice, no NaN. Raises: MalformedJson."""
    if len(line) > MAX_LINE_BYTES:
        raise MalformedJson(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        document = json.loads(line.decode("utf-8"), object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise MalformedJson(f"not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise MalformedJson(str(error)) from None
    if not isinstance(document, dict):
        raise MalformedJson("a document is a JSON object")
    return document


def read_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each line that is not blank. Of a line that is too long only its beginning is kept."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES + 1)
        if line.strip():
            yield number, line


def write_document(stream: BinaryIO, document: dict[str, Any]) -> None:
    """Write one line at once: whoever waits for it may send the next one only then. Half a character is written as an escape."""
    try:
        line = json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        line = json.dumps(document).encode("ascii")
    stream.write(line + b"\n")
    stream.flush()


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
