"""Features: counts and sums over what was executed, kept per act and rolled up per hour, rebuildable from events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.clock import require_utc
from gates.facts import VelocityFacts
from gates.resolution import ResolvedIds
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "features.sql")
# Longer than a person's request may take: one tenant's whole history is written again.
REBUILD_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Hold what a rebuild found: how many acts, and the hash over all features before and after it."""

    acts: int
    hash_before: str
    hash_after: str


def read_velocity(
    connection: Connection[Any], ids: ResolvedIds, *, operator_id: str, currency: str, proposal_id: str, now: datetime
) -> VelocityFacts:
    """Count what was executed, and what is allowed and waits, for each subject of an act; its own proposal is left out."""
    parameters = {
        "customer_id": ids.customer_id,
        "operator_id": operator_id,
        "merchant_id": ids.merchant_id,
        "beneficiary_id": ids.beneficiary_id,
        "currency": currency,
        "proposal_id": proposal_id,
        "now": require_utc(now),
    }
    return VelocityFacts(*_only(connection, "count_velocity", parameters)["velocity"])


def list_currencies(connection: Connection[Any], customer_id: str) -> tuple[str, ...]:
    """Return the currencies of a customer's accounts."""
    return tuple(str(row[0]) for row in connection.execute(_QUERIES["list_currencies"], {"customer_id": customer_id}))


def fold_hours(connection: Connection[Any], now: datetime) -> int:
    """Roll the hours up that are over, in the caller's transaction, and return how many rows that wrote. Idempotent."""
    return int(_only(connection, "fold_hours", {"now": require_utc(now)})["folded"])


def rebuild_features(connection: Connection[Any]) -> Rebuilt:
    """Drop the tenant's features and build them again from events, in the caller's transaction. Executions wait meanwhile."""
    connection.execute(f"SET LOCAL statement_timeout = '{REBUILD_TIMEOUT_S}s'")
    return Rebuilt(**_only(connection, "rebuild", {}))


def _only(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one row that an aggregate gives."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES[name], parameters).fetchone()
    if row is None:
        raise LookupError(f"{name} gave no row")
    return row
