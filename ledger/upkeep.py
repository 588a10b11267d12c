"""Keep the ledger in shape: fold rolled-up accounts in, expire holds, make parts ahead of time, rebuild balances from entries.

Each call joins the caller's transaction and may be repeated at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from domain.errors import InvalidInput
from domain.transfer import MAX_BATCH
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "upkeep.sql")
MONTHS_AHEAD = 2
_MAX_MONTHS = 24


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """Hold what a rebuilding of balances from entries came to. The hashes are SHA-256 over code, currency, sums and version.

    `differing`: accounts that did not hold what their entries give. `applied`: the rebuilt balances are the ones in use.
    """

    accounts: int
    differing: int
    hash_before: str
    hash_rebuilt: str
    applied: bool


def roll_up(connection: Connection[Any]) -> int:
    """Fold what rolled-up accounts moved into their stored sums; return how many entries. No balance changes. Role jobs."""
    return _ask(connection, "roll_up", {})


def expire_holds(connection: Connection[Any], *, now: datetime, limit: int = 1000) -> int:
    """Release open holds whose time has passed, the longest due first; return how many. Role jobs. Raises: InvalidInput."""
    if not 1 <= limit <= MAX_BATCH:
        raise InvalidInput(f"the limit is 1 to {MAX_BATCH:,}, not {limit:,}", code="invalid_limit")
    return _ask(connection, "expire_holds", {"now": now, "limit": limit})


def ensure_partitions(connection: Connection[Any], *, now: datetime, months: int = MONTHS_AHEAD) -> int:
    """Make the parts of this month and of `months` after it; return how many were missing. Role jobs. Raises: InvalidInput."""
    if not 0 <= months <= _MAX_MONTHS:
        raise InvalidInput(f"0 to {_MAX_MONTHS} months ahead, not {months}", code="invalid_months")
    return _ask(connection, "ensure_partitions", {"now": now, "months": months})


def rebuild_balances(connection: Connection[Any], *, apply: bool, now: datetime) -> Rebuilding:
    """Add every account up from its entries, beside the balances in use, and compare. Role importer.

    With `apply` the rebuilt ones are put in their place in this transaction, and postings wait for it. Without it nothing waits;
    call it at REPEATABLE READ then, so that both sides are of one moment.
    """
    connection.execute(_QUERIES["allow_time"])
    with connection.cursor(row_factory=class_row(Rebuilding)) as cursor:
        done = cursor.execute(_QUERIES["rebuild_balances"], {"apply": apply, "now": now}).fetchone()
    assert done is not None
    return done


def _ask(connection: Connection[Any], query: str, parameters: dict[str, Any]) -> int:
    row = connection.execute(_QUERIES[query], parameters).fetchone()
    assert row is not None
    return int(row[0])
