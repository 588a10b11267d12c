"""A subject's data key: made once, wrapped by the tenant's key, gone for ever when the subject is erased."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psycopg import Connection

from domain.errors import Conflict
from masking.keys import KeyProvider, TenantKeyMissing, TenantKeys
from masking.sealing import bind_data_key, open_sealed, seal
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "data_keys.sql")
_KEY_VERSION = 1


class SubjectErased(Conflict):
    """Say that a value was to be stored for somebody who was erased."""

    code = "subject_erased"


def data_keys_of(
    conn: Connection[Any], provider: KeyProvider, keys: TenantKeys, subjects: Sequence[str]
) -> dict[str, tuple[int, bytes]]:
    """Return each subject's data key with its version; make those that are missing. Raises: SubjectErased, TenantKeyMissing."""
    held = _list_data_keys(conn, provider, keys.tenant_id, subjects)
    missing = [subject for subject in subjects if subject not in held]
    if missing:
        scope = {"tenant_id": keys.tenant_id, "subjects": missing}
        erased = list_erased(conn, missing, tenant_id=keys.tenant_id)
        if erased:
            raise SubjectErased(f"{min(erased)} was erased: nothing is stored about this customer any more")
        newest = _find_newest(conn, provider, keys.tenant_id)
        wrap_key = newest.wraps[newest.wrap_version]
        wrapped = [
            seal(wrap_key, os.urandom(32), bound_to=bind_data_key(keys.tenant_id, subject, _KEY_VERSION)) for subject in missing
        ]
        versions = {"key_version": _KEY_VERSION, "wrap_version": newest.wrap_version}
        conn.execute(_QUERIES["insert_data_keys"], scope | versions | {"wrapped_keys": wrapped})
        held |= _list_data_keys(conn, provider, keys.tenant_id, missing)
    return held


def list_erased(conn: Connection[Any], subjects: Sequence[str], *, tenant_id: str) -> frozenset[str]:
    """Return which of these subjects were erased."""
    rows = conn.execute(_QUERIES["list_erased"], {"tenant_id": tenant_id, "subjects": list(subjects)})
    return frozenset(row[0] for row in rows)


def unwrap_data_key(keys: TenantKeys, subject_id: str, key_version: int, wrapped_key: bytes, wrap_version: int) -> bytes:
    """Open a subject's data key. Raises: SealBroken, TenantKeyMissing."""
    if wrap_version not in keys.wraps:
        raise TenantKeyMissing(
            f"tenant {keys.tenant_id}: data keys are wrapped by version {wrap_version} of its key, and that one is not here:"
            " restore it"
        )
    place = bind_data_key(keys.tenant_id, subject_id, key_version)
    return open_sealed(keys.wraps[wrap_version], bytes(wrapped_key), bound_to=place)


def _find_newest(conn: Connection[Any], provider: KeyProvider, tenant_id: str) -> TenantKeys:
    """Return keys that hold what the last rotation goes to: this process may run since before it. Raises: TenantKeyMissing."""
    row = conn.execute(_QUERIES["find_wrap_version"]).fetchone()
    return provider.tenant_keys(tenant_id, at_least=row[0] if row else 1)


def _list_data_keys(
    conn: Connection[Any], provider: KeyProvider, tenant_id: str, subjects: Sequence[str]
) -> dict[str, tuple[int, bytes]]:
    rows = conn.execute(_QUERIES["list_data_keys"], {"tenant_id": tenant_id, "subjects": list(subjects)}).fetchall()
    keys = provider.tenant_keys(tenant_id, at_least=max((row[3] for row in rows), default=1))
    return {row[0]: (row[1], unwrap_data_key(keys, row[0], row[1], row[2], row[3])) for row in rows}
