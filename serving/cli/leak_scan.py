"""Does a planted value stand anywhere outside the vault? Every table and every file is searched, for every writing of it."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from psycopg import Connection, sql

from demo.canaries import CANARIES, Canary
from masking.number_prints import fold_number
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "leak_scan.sql")
BLOCK_BYTES = 4_194_304
_ROWS_AT_ONCE = 5_000
# A shorter run of letters and digits stands in ids and digests by chance.
_MIN_FOLDED = 10
_BETWEEN = b"\x00\x01\x00"
_NO_ALNUM = re.compile(rb"[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+")
# Below var: what the vault's keys open, what models are made of, and copies of the database and its log as a whole.
UNSEARCHED = ("pg", "models", "secrets", "setup", "cache", "backup", "mask")
"""Folders below `var` that are left out: the database is searched by its tables, and a backup holds the same rows."""

Surface = Literal["database", "file"]


@dataclass(frozen=True, slots=True)
class Writing:
    """Hold the forms in which one value can stand in bytes: as they are, whatever their case, and without separators."""

    pii_class: str
    exact: frozenset[bytes]
    folded_case: frozenset[bytes]
    compact: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class LeakFound:
    """Hold one place where a planted value stands. Never the value."""

    surface: Surface
    place: str
    pii_class: str
    count: int


@dataclass(frozen=True, slots=True)
class ScanReport:
    """Hold what was searched and what was found."""

    columns: int
    files: int
    searched_bytes: int
    found: tuple[LeakFound, ...]

    def to_record(self) -> dict[str, Any]:
        """Return it for JSON."""
        found = [{"surface": one.surface, "place": one.place, "class": one.pii_class, "count": one.count} for one in self.found]
        return {"columns": self.columns, "files": self.files, "searched_bytes": self.searched_bytes, "found": found}


def writings_of(canary: Canary) -> Writing:
    """Return every form of a value that is searched for: plain, JSON, URL, UTF-16, hex, base64 at any offset, compact."""
    value = canary.value
    compact = fold_number(value)
    exact: set[bytes] = set()
    folded: set[bytes] = set()
    for text in {value, compact} if len(compact) >= _MIN_FOLDED else {value}:
        raw = text.encode()
        exact |= {text.encode("utf-16-le"), text.encode("utf-16-be"), *_base64_cores(raw)}
        folded |= {_fold_case(raw), _fold_case(json.dumps(text)[1:-1].encode()), _fold_case(quote(text).encode())}
        folded.add(raw.hex().encode())
    is_long = len(compact) >= _MIN_FOLDED
    return Writing(
        canary.pii_class, frozenset(exact), frozenset(folded), frozenset({_fold_case(compact.encode())} if is_long else ())
    )


class Searcher:
    """Count planted values in pieces of bytes. A value never goes over two pieces: each is a cell or a whole file's block."""

    def __init__(self, canaries: Sequence[Canary] = CANARIES) -> None:
        self._writings = tuple(writings_of(canary) for canary in canaries)
        self.overlap = max(
            len(form) for writing in self._writings for form in (*writing.exact, *writing.folded_case, *writing.compact)
        )
        self.searched_bytes = 0

    def count(self, pieces: Iterable[bytes]) -> Counter[str]:
        """Return how often each class was found in these pieces."""
        content = _BETWEEN.join(pieces)
        self.searched_bytes += len(content)
        folded = _fold_case(content)
        compact = _NO_ALNUM.sub(b"", folded)
        found: Counter[str] = Counter()
        for writing in self._writings:
            hits = sum(content.count(form) for form in writing.exact)
            hits += sum(folded.count(form) for form in writing.folded_case)
            # The compact form stands wherever the plain one of a number does, so it counts only where nothing else was seen.
            hits = hits or sum(compact.count(form) for form in writing.compact)
            if hits:
                found[writing.pii_class] += hits
        return found


def scan_database(connection: Connection[Any], searcher: Searcher) -> tuple[int, list[LeakFound]]:
    """Search every column of text, JSON or bytes outside the vault's schema. Returns how many there are, and what was found.

    The connection is a superuser's: row-level security hides nothing from it.
    """
    columns = connection.execute(_QUERIES["list_columns"]).fetchall()
    found: list[LeakFound] = []
    for schema, table, column, is_bytes in columns:
        counted: Counter[str] = Counter()
        for cells in _read_cells(connection, schema, table, column, is_bytes=is_bytes):
            counted += searcher.count(cells)
        found += [
            LeakFound("database", f"{schema}.{table}.{column}", pii_class, count) for pii_class, count in sorted(counted.items())
        ]
    return len(columns), found


def scan_files(folder: Path, searcher: Searcher) -> tuple[int, list[LeakFound]]:
    """Search every file below a folder, but for `UNSEARCHED`; of the database's own folder its log. Raises: OSError."""
    found: list[LeakFound] = []
    files = 0
    for path in _list_files(folder):
        files += 1
        counted: Counter[str] = Counter()
        for block in _read_blocks(path, searcher.overlap):
            counted |= searcher.count([block])
        place = str(path.relative_to(folder))
        found += [LeakFound("file", place, pii_class, count) for pii_class, count in sorted(counted.items())]
    return files, found


def _read_cells(connection: Connection[Any], schema: str, table: str, column: str, *, is_bytes: bool) -> Iterator[list[bytes]]:
    name = sql.Identifier(column)
    shown = name if is_bytes else sql.SQL("{}::TEXT").format(name)
    query = sql.SQL("SELECT {} FROM {} WHERE {} IS NOT NULL").format(shown, sql.Identifier(schema, table), name)
    with connection.transaction(), connection.cursor(name="leak_scan") as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            yield [bytes(row[0]) if is_bytes else str(row[0]).encode() for row in rows]


def _list_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        first = path.relative_to(folder).parts[0]
        is_log_of_database = first == "pg" and path.suffix == ".log"
        if path.is_file() and not path.is_symlink() and (first not in UNSEARCHED or is_log_of_database):
            yield path


def _read_blocks(path: Path, overlap: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        tail = b""
        while block := file.read(BLOCK_BYTES):
            yield tail + block
            tail = (tail + block)[-overlap:]


def _fold_case(content: bytes) -> bytes:
    try:
        return content.decode().casefold().encode()
    except UnicodeDecodeError:
        return content.lower()


def _base64_cores(raw: bytes) -> Iterator[bytes]:
    """Yield the letters that stay the same whatever stands around the value, in both alphabets."""
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw)
        first = -(-offset * 8 // 6)
        core = encoded.rstrip(b"=")[first:-1]
        yield core
        yield core.translate(bytes.maketrans(b"+/", b"-_"))
