"""The records that training reads: files as the door takes them, or the demo tenant. Ids, amounts, times; nothing of a person."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from demo.generator import GENERATOR_VERSION, generate
from demo.writing import render_row
from domain.clock import NaiveTime, require_utc
from domain.errors import InvalidInput
from domain.label import Label

KINDS = ("customers", "accounts", "beneficiaries", "devices", "logins", "transactions", "disputes", "labels")
_TIMES = frozenset({"opened_at", "added_at", "first_seen_at", "occurred_at", "known_at"})
# The own id comes before the ids of others.
_IDS = ("label_id", "dispute_id", "transaction_id", "login_id", "device_id", "beneficiary_id", "account_id", "customer_id")
_NEEDED = MappingProxyType(
    {
        "customers": ("customer_id", "country", "opened_at"),
        "accounts": ("account_id", "customer_id", "opened_at"),
        "beneficiaries": ("beneficiary_id", "customer_id", "added_at"),
        "devices": ("device_id", "customer_id", "first_seen_at"),
        "logins": ("login_id", "customer_id", "country", "outcome", "occurred_at"),
        "transactions": ("transaction_id", "account_id", "kind", "status", "amount_minor", "currency", "occurred_at"),
        "disputes": ("dispute_id", "transaction_id", "opened_at"),
        "labels": ("label_id", "subject_kind", "subject_id", "label", "source", "occurred_at", "known_at"),
    }
)
# What a row names must be there: the door sees to it, and a folder that did not come through it may be torn.
_NAMED = (
    ("accounts", "customer_id", "customers"),
    ("logins", "customer_id", "customers"),
    ("transactions", "account_id", "accounts"),
    ("transactions", "beneficiary_id", "beneficiaries"),
    ("disputes", "transaction_id", "transactions"),
)
Row = Mapping[str, Any]


class UnreadableRecords(InvalidInput):
    """Say which file of records cannot be read, and where."""

    code = "unreadable_records"


@dataclass(frozen=True, slots=True)
class Records:
    """Hold the records by kind, in order of their times, and what they were read from."""

    source: str
    sha256: str
    rows: Mapping[str, tuple[Row, ...]]

    @property
    def labels(self) -> tuple[Label, ...]:
        """Return the labels in the order in which they became known."""
        return tuple(
            Label(pattern=row.get("pattern"), **{name: row[name] for name in _NEEDED["labels"]}) for row in self.rows["labels"]
        )


def make_demo_records(*, seed: int, as_of: date) -> Records:
    """Make the demo tenant's records. The same arguments give the same records."""
    dataset = generate(seed=seed, as_of=as_of)
    lines = {kind: [render_row(row) for row in dataset.records[kind]] for kind in KINDS}
    return _gather(f"demo@{GENERATOR_VERSION}:{seed}:{as_of.isoformat()}", lines)


def read_folder(folder: Path) -> Records:
    """Read a folder of JSON lines, one file for each kind. Raises: UnreadableRecords."""
    lines: dict[str, list[bytes]] = {}
    for kind in KINDS:
        path = folder.joinpath(f"{kind}.jsonl")
        try:
            lines[kind] = path.read_bytes().splitlines()
        except OSError as error:
            raise UnreadableRecords(f"cannot read {path}: {error.strerror}") from error
    return _gather(folder.name, lines)


def _gather(source: str, lines: Mapping[str, Iterable[bytes]]) -> Records:
    digest = hashlib.sha256()
    rows: dict[str, tuple[Row, ...]] = {}
    for kind in KINDS:
        found: list[Row] = []
        for number, line in enumerate(lines[kind], 1):
            digest.update(kind.encode() + b"|" + line.rstrip(b"\n") + b"\n")
            found.append(_read_line(kind, number, line))
        rows[kind] = tuple(sorted(found, key=_moment_of))
    _require_named(rows)
    return Records(source=source, sha256=digest.hexdigest(), rows=rows)


def _read_line(kind: str, number: int, line: bytes) -> Row:
    try:
        row = orjson.loads(line)
        read = {name: require_utc(datetime.fromisoformat(value)) if name in _TIMES else value for name, value in row.items()}
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError, NaiveTime) as error:
        raise UnreadableRecords(f"{kind}, line {number}: {type(error).__name__}") from error
    lacking = [name for name in _NEEDED[kind] if name not in read]
    if lacking or type(read.get("amount_minor", 0)) is not int:
        raise UnreadableRecords(f"{kind}, line {number}: lacks {', '.join(lacking) or 'an amount of whole minor units'}")
    return read


def _require_named(rows: Mapping[str, Iterable[Row]]) -> None:
    for kind, name, parents in _NAMED:
        known = {row[_NEEDED[parents][0]] for row in rows[parents]}
        for row in rows[kind]:
            if row.get(name) is not None and row[name] not in known:
                raise UnreadableRecords(f"{kind}, {row[_NEEDED[kind][0]]}: its {name} is not among the {parents}")


def _moment_of(row: Row) -> tuple[datetime, str]:
    # Of a label the moment is when it became known.
    moment = next(name for name in ("known_at", "occurred_at", "opened_at", "added_at", "first_seen_at") if name in row)
    return row[moment], next(str(row[name]) for name in _IDS if name in row)


def group_times(rows: Iterable[Row], key: str, moment: str) -> dict[str, list[datetime]]:
    """Return the times of rows by one of their fields, ascending."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        found[row[key]].append(row[moment])
    for times in found.values():
        times.sort()
    return found
