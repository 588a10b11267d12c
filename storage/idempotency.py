"""Same key and same body: same answer. The key is stored in the transaction of its effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.errors import Conflict
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "idempotency.sql")


class KeyReused(Conflict):
    """Say that the key was used before with another body (HTTP 422)."""

    code = "idempotency_key_reused"


class StillRunning(Conflict):
    """Say that a request with this key is being worked on now (HTTP 409)."""

    code = "idempotency_still_running"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Hold a caller's key within its scope (such as `refund`), and the SHA-256 of the canonical body (hex)."""

    scope: str
    key: str
    body_digest: str


def claim_key(connection: Connection[Any], key: IdempotencyKey) -> dict[str, Any] | None:
    """Return the stored answer, or None after claiming the key until the end of this transaction.

    Raises: KeyReused, StillRunning.
    """
    parameters = {"scope": key.scope, "key": key.key}
    locked = connection.execute(_QUERIES["try_lock_key"], parameters).fetchone()
    if locked is None or not locked[0]:
        raise StillRunning(f"a {key.scope} request with this idempotency key is still running; ask again")
    row = connection.execute(_QUERIES["find_response"], parameters).fetchone()
    if row is None:
        return None
    if row[0] != key.body_digest:
        raise KeyReused(f"this idempotency key was used before for another {key.scope} request")
    response: dict[str, Any] = row[1]
    return response


def store_response(
    connection: Connection[Any], *, tenant_id: str, key: IdempotencyKey, response: Mapping[str, Any], now: datetime
) -> None:
    """Store the answer beside its effect, once. Call after `claim_key` in the same transaction."""
    connection.execute(
        _QUERIES["insert_response"],
        {
            "tenant_id": tenant_id,
            "scope": key.scope,
            "key": key.key,
            "body_digest": key.body_digest,
            "response": Jsonb(dict(response)),
            "created_at": now,
        },
    )
