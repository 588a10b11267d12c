"""Tables in a text: a line of keys, then lines with as many cells. CSV, TSV, semicolons, pipes, Markdown, columns of spaces."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator

_DELIMITERS = ("\t", "|", ";", ",")
_MAX_COLUMNS = 60
_MIN_COLUMNS = 3
_MAX_HEADER = 1500
_QUOTED = {
    delimiter: re.compile(
        rf"\s?\"(?P<q>(?:[^\"\n]|\"\"){{0,2000}})\"\s?(?={re.escape(delimiter)}|$)|(?P<p>[^{re.escape(delimiter)}\n]*)"
    )
    for delimiter in _DELIMITERS
}
_RULE_LINE = re.compile(r"[\s|:+=-]{3,}")
_COLUMN = re.compile(r"\S+(?: \S+)*")
_MIN_KNOWN_OF_SPACES = 2

Cell = tuple[int, int]
Rows = Generator[tuple[str, int, int], None, int]
"""Yields key, start and end of each cell; returns how many lines were read."""


def find_cells(text: str, *, is_known: Callable[[str], bool]) -> Iterator[tuple[str, int, int]]:
    """Yield the key of the column and the place of each cell below a line of keys."""
    if "\n" not in text:
        return
    lines = _list_lines(text)
    at = 0
    while at < len(lines) - 1:
        start, end = lines[at]
        delimiter = _delimiter_of(text, start, end)
        if delimiter is not None:
            keys = [text[low:high].strip() for low, high in _split(text, start, end, delimiter)]
            if _is_header(keys, is_known):
                rows = yield from _read_rows(text, lines, at + 1, keys, delimiter)
                at += rows
        elif end - start <= _MAX_HEADER and "  " in text[start:end]:
            rows = yield from _read_columns(text, lines, at, is_known)
            at += rows
        at += 1


def _list_lines(text: str) -> list[Cell]:
    lines, start = [], 0
    for line in text.split("\n"):
        lines.append((start, start + len(line)))
        start += len(line) + 1
    return lines


def _delimiter_of(text: str, start: int, end: int) -> str | None:
    if end - start > _MAX_HEADER:
        return None
    counts = {delimiter: text.count(delimiter, start, end) for delimiter in _DELIMITERS}
    for delimiter in _DELIMITERS:
        if _MIN_COLUMNS - 1 <= counts[delimiter] <= _MAX_COLUMNS:
            return delimiter
    return None


def _is_header(keys: list[str], is_known: Callable[[str], bool]) -> bool:
    named = [key for key in keys if key]
    if len(named) < _MIN_COLUMNS - 1 or any(len(key) > 40 or sum(map(str.isdigit, key)) > 3 for key in named):
        return False
    known = sum(is_known(key.strip('"')) for key in named)
    return known >= 2 and known * 3 >= len(named)


def _read_rows(text: str, lines: list[Cell], first: int, keys: list[str], delimiter: str) -> Rows:
    rows = 0
    for start, end in lines[first:]:
        if _RULE_LINE.fullmatch(text, start, end):
            rows += 1
            continue
        cells = _split(text, start, end, delimiter)
        if len(cells) < 2 or abs(len(cells) - len(keys)) > 1:
            break
        if len(cells) == len(keys):
            for key, (low, high) in zip(keys, cells, strict=True):
                if key and high > low:
                    yield key.strip('"'), low, high
        rows += 1
    return rows


def _split(text: str, start: int, end: int, delimiter: str) -> list[Cell]:
    """Return the cells of a line; quotes may hold the delimiter."""
    cells: list[Cell] = []
    at = start
    shape = _QUOTED[delimiter]
    while at <= end:
        match = shape.match(text, at, end)
        if match is None:
            break
        cells.append(match.span("q") if match["q"] is not None else match.span("p"))
        at = match.end()
        if at >= end or text[at] != delimiter:
            break
        at += 1
    return cells


def _read_columns(text: str, lines: list[Cell], at: int, is_known: Callable[[str], bool]) -> Rows:
    """Read columns that stand below their keys. A cell belongs to the key that it shares most places with."""
    start, end = lines[at]
    heads = [(match[0], match.start() - start, match.end() - start) for match in re.finditer(r"\S+(?: \S+)*", text[start:end])]
    heads = [(key, low + start, high + start) for key, low, high in heads]
    if len(heads) < _MIN_COLUMNS - 1 or sum(is_known(key) for key, _, _ in heads) < _MIN_KNOWN_OF_SPACES:
        return 0
    columns = [(key, low - start, high - start) for key, low, high in heads]
    rows = 0
    for low, high in lines[at + 1 :]:
        line = text[low:high]
        if not line.strip() or ("  " not in line and rows):
            break
        cells = [(match.start(), match.end()) for match in _COLUMN.finditer(line)]
        if len(cells) < 2 and not _RULE_LINE.fullmatch(line):
            break
        for key, left, right in columns:
            for cell_start, cell_end in cells:
                if min(right, cell_end) - max(left, cell_start) > 0:
                    yield key, low + cell_start, low + cell_end
        rows += 1
    return rows
