"""SQL by name: `.sql` files of blocks that start with `-- name: find_x` and a comment that says why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from domain.errors import BrokenInvariant

_NAME_LINE = re.compile(r"--\s*name:\s*(\S+)\s*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class InvalidQueryFile(BrokenInvariant):
    """Say what is wrong in a file of named queries, and where."""

    code = "invalid_query_file"


class UnknownQuery(BrokenInvariant):
    """Say that no query has this name."""

    code = "unknown_query"


class NamedQueries(Mapping[str, str]):
    """Map names to SQL texts; frozen."""

    def __init__(self, texts: Mapping[str, str], source: Path) -> None:
        self._texts = MappingProxyType(dict(texts))
        self._source = source

    def __getitem__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise UnknownQuery(f"no query {name!r} in {self._source}; there are: {', '.join(self._texts)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def load_queries(path: Path) -> NamedQueries:
    """Load one `.sql` file, or every `.sql` file of a folder. Raises: InvalidQueryFile."""
    files = sorted(path.glob("*.sql")) if path.is_dir() else [path]
    if not files:
        raise InvalidQueryFile(f"no .sql file in {path}")
    texts: dict[str, str] = {}
    for file in files:
        for name, text in _read_blocks(file):
            if name in texts:
                raise InvalidQueryFile(f"query {name!r} stands twice, the second time in {file}")
            texts[name] = text
    return NamedQueries(texts, path)


def _read_blocks(file: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidQueryFile(f"cannot read {file}: {error.strerror}") from error
    starts = [number for number, line in enumerate(lines) if _NAME_LINE.fullmatch(line)]
    if not starts or any(line.strip() for line in lines[: starts[0]]):
        raise InvalidQueryFile(f"{file}, line 1: expected '-- name: find_x'")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield _read_block(file, start + 1, lines[start:end])


def _read_block(file: Path, line_number: int, lines: list[str]) -> tuple[str, str]:
    match = _NAME_LINE.fullmatch(lines[0])
    assert match is not None
    name = match.group(1)
    if not _NAME.fullmatch(name):
        raise InvalidQueryFile(f"{file}, line {line_number}: {name!r} is no lower_snake name")
    comments = [line for line in lines[1:] if line.startswith("--")]
    # Without its indentation: psycopg parses texts beyond 4,096 characters anew at every call. No literal of ours spans lines.
    statement = [line.lstrip() for line in lines[1:] if line.strip() and not line.startswith("--")]
    if not comments or not statement:
        raise InvalidQueryFile(f"{file}, line {line_number}: query {name!r} needs a comment line and a statement")
    return name, "\n".join(statement).rstrip().removesuffix(";")
