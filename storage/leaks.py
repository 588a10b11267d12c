"""Leak incidents: something that should have been masked was stopped at the last step. Any process may say so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection

from domain.ids import make_id, make_uuid7
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "leaks.sql")


def leak_parameters(*, surface: str, classes: Sequence[str], place: str, now: datetime) -> dict[str, Any]:
    """Return what `report_leak` of `sql/leaks.sql` takes, for a caller that runs it on an asynchronous connection."""
    return {
        "case_id": make_id("cas", now),
        "event_id": make_uuid7(now),
        "surface": surface,
        "classes": sorted(set(classes)),
        "place": place,
        "now": now,
    }


def report_leak(connection: Connection[Any], *, surface: str, classes: Sequence[str], place: str, now: datetime) -> str | None:
    """Open the incident and return its id; None when it stands already. `place` is a name and a hash, never a value.

    Idempotency: one for each surface, set of classes and hour, and one open for each surface.
    """
    parameters = leak_parameters(surface=surface, classes=classes, place=place, now=now)
    row = connection.execute(QUERIES["report_leak"], parameters).fetchone()
    assert row is not None
    return None if row[0] is None else str(row[0])


def count_leaks(connection: Connection[Any]) -> int:
    """Return how many incidents there ever were: the number `masked_field_leakage_incidents`. For roles that read cases."""
    row = connection.execute(QUERIES["count_leaks"]).fetchone()
    assert row is not None
    return int(row[0])
