"""The daily digest: what was paid, by whose consent, and what was stopped, from the rows of gate and ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from domain.ids import make_uuid7
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "digest.sql")


@dataclass(frozen=True, slots=True)
class DigestLine:
    """Hold one kind in one currency. Acts that move no money have amount 0 in XXX."""

    action_kind: str
    currency: str
    acts: int
    amount_minor: int
    largest_minor: int


@dataclass(frozen=True, slots=True)
class Digest:
    """Hold a day in UTC, from its midnight until before the next.

    `proposed_by` and `approved_by` count executed acts by username, `decisions` by outcome, `holds` those placed that day by how
    they stand now, `incidents` those opened by kind.
    """

    day: date
    lines: tuple[DigestLine, ...]
    proposed_by: dict[str, int]
    approved_by: dict[str, int]
    decisions: dict[str, int]
    holds: dict[str, int]
    freezes_made: int
    freezes_ended: int
    incidents: dict[str, int]


def read_digest(connection: Connection[Any], day: date) -> Digest:
    """Return the digest of a day."""
    since = datetime.combine(day, time(), UTC)
    until = since + timedelta(days=1)
    span = {"since": since, "until": until, "first_id": _first_id(since), "after_id": _first_id(until)}
    with connection.cursor(row_factory=class_row(DigestLine)) as cursor:
        lines = cursor.execute(_QUERIES["sum_executed"], span).fetchall()
    made, ended = connection.execute(_QUERIES["count_freezes"], span).fetchall()[0]
    return Digest(
        day=day,
        lines=tuple(lines),
        proposed_by=_count(connection, "count_proposers", span),
        approved_by=_count(connection, "count_approvers", span),
        decisions=_count(connection, "count_decisions", span),
        holds=_count(connection, "count_holds", span),
        freezes_made=made,
        freezes_ended=ended,
        incidents=_count(connection, "count_incidents", span),
    )


def _count(connection: Connection[Any], query: str, span: dict[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in connection.execute(_QUERIES[query], span)}


def _first_id(moment: datetime) -> str:
    """Return what is at or before every decision id of this millisecond: the time, and nothing after it."""
    return f"dec_{make_uuid7(moment, random_bits=0).hex[:12]}"
