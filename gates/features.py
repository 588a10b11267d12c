"""Features: counts and sums over what was executed, kept per act and rolled up per hour, rebuildable from events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.clock import require_utc
from gates.facts import VELOCITY_WINDOWS_H, VelocityFacts
from gates.resolution import ResolvedIds
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "features.sql")
_HOUR = timedelta(hours=1)
# Longer than a person's request may take: one tenant's whole history is written again.
REBUILD_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class PayeeHistory:
    """Hold what was executed for a payee. `max_paid_minor` is of the act's currency."""

    changed_30d_count: int
    paid_count: int
    max_paid_minor: int


@dataclass(frozen=True, slots=True)
class DisputeSums:
    """Hold what was credited provisionally and what was written off for a dispute, in its currency."""

    provisional_minor: int
    writeoff_minor: int


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
        "now": now,
        **_edges(require_utc(now)),
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERIES["count_velocity"], parameters).fetchall()
    return VelocityFacts(
        **{
            f"{row['subject']}_{window}_{measure}": int(row[f"{measure}_{window}"] or 0)
            for row in rows
            for window in VELOCITY_WINDOWS_H
            for measure in ("count", "minor")
        }
    )


def read_payee_history(connection: Connection[Any], beneficiary_id: str, *, currency: str, now: datetime) -> PayeeHistory:
    """Return what was executed for a payee until now."""
    parameters = {"beneficiary_id": beneficiary_id, "currency": currency, "now": require_utc(now)}
    return PayeeHistory(**_only(connection, "find_payee_history", parameters))


def read_dispute_sums(connection: Connection[Any], dispute_id: str) -> DisputeSums:
    """Return what was executed for a dispute."""
    return DisputeSums(**_only(connection, "sum_dispute", {"dispute_id": dispute_id}))


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


def _edges(now: datetime) -> dict[str, datetime]:
    """Return where each window begins, and where its first whole hour does."""
    edges: dict[str, datetime] = {}
    for window, hours in VELOCITY_WINDOWS_H.items():
        since = now - hours * _HOUR
        edges |= {f"since_{window}": since, f"whole_{window}": since.replace(minute=0, second=0, microsecond=0) + _HOUR}
    return edges


def _only(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one row that an aggregate gives."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES[name], parameters).fetchone()
    if row is None:
        raise LookupError(f"{name} gave no row")
    return row
