"""Who acts for which tenant: a signed context that the database verifies on every query."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection, ClientCursor, Connection

from domain.clock import require_utc
from domain.errors import InvalidInput
from storage.named_queries import load_queries
from storage.roles import LoginRole
from storage.secrets import ensure_secret, read_secret

_QUERIES = load_queries(Path(__file__).parent / "sql" / "tenancy.sql")
_TENANT_ID = re.compile(r"[a-z0-9-]{1,40}")
_KEY_FILE = "tenant_context.key"
_BLOCK_BYTES = 64


class InvalidTenantId(InvalidInput):
    """Say that a text is no tenant id."""

    code = "invalid_tenant_id"


def require_tenant_id(text: str) -> str:
    """Return `text` if it is a slug of 1 to 40 of `a-z 0-9 -`. Raises: InvalidTenantId."""
    if not _TENANT_ID.fullmatch(text):
        raise InvalidTenantId("a tenant id is 1 to 40 characters of a-z, 0-9 and -")
    return text


def mint_context(key: bytes, *, tenant_id: str, role: LoginRole, expires_at: datetime) -> str:
    """Sign that `role` may act for the tenant until `expires_at`; for `set_config('tellergate.context', …)`.

    A context is a bearer token: keep it short-lived. The agents process never holds `key`. Raises: InvalidTenantId.
    """
    expires_s = int(require_utc(expires_at).timestamp())
    signed = f"v1.{require_tenant_id(tenant_id)}.{role}.{expires_s}"
    return f"{signed}.{hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()}"


def ensure_context_key(secrets_dir: Path) -> bytes:
    """Return the signing key; make it first if there is none (0600)."""
    return bytes.fromhex(ensure_secret(secrets_dir / _KEY_FILE))


def read_context_key(secrets_dir: Path) -> bytes:
    """Read the signing key. Raises: SecretFileMissing, SecretFileInsecure."""
    return bytes.fromhex(read_secret(secrets_dir / _KEY_FILE))


def install_context_key(connection: Connection[Any], key: bytes) -> None:
    """Make `key` the one key that the database accepts. Idempotent; `connection` is an administrator's.

    Source: RFC 2104; the database has SHA-256 but no HMAC, so it gets the two padded halves.
    """
    block = key.ljust(_BLOCK_BYTES, b"\0")
    inner_pad, outer_pad = bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
    with connection.transaction():
        connection.execute(_QUERIES["delete_context_keys"])
        connection.execute(_QUERIES["insert_context_key"], {"inner_pad": inner_pad, "outer_pad": outer_pad})


def begin_in_context(connection: Connection[Any], context: str) -> None:
    """Begin a transaction and set its context in one round trip. `connection` is in autocommit mode and idle."""
    ClientCursor(connection).execute(_QUERIES["begin_in_context"], {"context": context})


def set_context(connection: Connection[Any], context: str) -> None:
    """Set the context for the open transaction only."""
    connection.execute(_QUERIES["set_transaction_context"], {"context": context})


async def async_set_context(connection: AsyncConnection[Any], context: str) -> None:
    """Set the context for the open transaction only."""
    await connection.execute(_QUERIES["set_transaction_context"], {"context": context})


def set_session_context(connection: Connection[Any], context: str) -> None:
    """Set the context till it is cleared, for the one owner of a connection that serves one tenant."""
    connection.execute(_QUERIES["set_session_context"], {"context": context})


def clear_session_context(connection: Connection[Any]) -> None:
    """Take the context away before a connection goes back to its pool."""
    set_session_context(connection, "")
