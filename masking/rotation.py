"""Rotate a tenant's key: every data key is wrapped anew, nothing sealed is touched, and masking goes on meanwhile.

Cut short anywhere, a rotation goes on from the data keys that still wait: the next call finds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from psycopg import Connection

from masking.data_keys import unwrap_data_key
from masking.keys import KeyProvider, TenantKeys
from masking.sealing import bind_data_key, seal
from masking.vault import Transact
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "upkeep.sql")
STEP = 2_000


class GrowingKeys(KeyProvider, Protocol):
    """Give a tenant's keys, and make the next version of them."""

    def add_version(self, tenant_id: str) -> int:
        """Make the next version and return its number. Raises: TenantKeyMissing."""
        ...


@dataclass(frozen=True, slots=True)
class RotationStep:
    """Hold how far a rotation is: data keys moved by this call, and those that still wait."""

    to_version: int
    rewrapped: int
    remaining: int


def rotate_keys(
    transact: Transact,
    keys: GrowingKeys,
    *,
    tenant_id: str,
    actor: str,
    now: datetime,
    only_continue: bool = False,
    limit: int = STEP,
) -> RotationStep:
    """Move up to `limit` data keys to the tenant's last key; make that key first unless some still wait for the one before.

    With `only_continue` no key is made. Raises: TenantKeyMissing, SealBroken, psycopg.Error.
    """
    with transact(tenant_id) as conn:
        last = conn.execute(_QUERIES["find_last_rotation"], {"tenant_id": tenant_id}).fetchone()
        last_version, finished = last or (1, True)
        held = keys.tenant_keys(tenant_id, at_least=last_version)
        waiting = _count_stale(conn, tenant_id, held.wrap_version)
    under_way = held.wrap_version == last_version and not finished
    # A key that was made by a call that died before it put the rotation on the record.
    begun = held.wrap_version > last_version and waiting > 0
    if not (under_way or begun):
        if only_continue:
            return RotationStep(held.wrap_version, 0, waiting)
        held = keys.tenant_keys(tenant_id, at_least=keys.add_version(tenant_id))
    version = held.wrap_version
    with transact(tenant_id) as conn:
        # Seen by all before the first key moves: who makes a data key from now on makes it under this version.
        row = {"tenant_id": tenant_id, "version": version, "actor": actor, "now": now}
        conn.execute(_QUERIES["insert_rotation"], row)
    with transact(tenant_id) as conn:
        moved = _rewrap(conn, held, limit)
        remaining = _count_stale(conn, tenant_id, version)
        if not remaining:
            conn.execute(_QUERIES["finish_rotation"], {"tenant_id": tenant_id, "version": version, "now": now})
    return RotationStep(version, moved, remaining)


def _rewrap(conn: Connection[Any], keys: TenantKeys, limit: int) -> int:
    version = keys.wrap_version
    rows = conn.execute(_QUERIES["list_stale_keys"], {"version": version, "limit": limit}).fetchall()
    if not rows:
        return 0
    wrapped = [
        seal(
            keys.wraps[version],
            unwrap_data_key(keys, subject_id, key_version, wrapped_key, wrap_version),
            bound_to=bind_data_key(keys.tenant_id, subject_id, key_version),
        )
        for subject_id, key_version, wrapped_key, wrap_version in rows
    ]
    moved = conn.execute(
        _QUERIES["rewrap_data_keys"], {"subjects": [row[0] for row in rows], "wrapped": wrapped, "version": version}
    ).fetchone()
    return int(moved[0]) if moved else 0


def _count_stale(conn: Connection[Any], tenant_id: str, version: int) -> int:
    row = conn.execute(_QUERIES["count_stale_keys"], {"tenant_id": tenant_id, "version": version}).fetchone()
    return int(row[0]) if row else 0
