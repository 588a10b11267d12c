"""Where the storm happens: one tenant in one database, and how each role gets in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from storage.named_queries import load_queries
from storage.roles import LoginRole, read_role_password
from storage.server_address import ServerAddress
from storage.tenancy import mint_context, read_context_key

QUERIES = load_queries(Path(__file__).parent / "crash.sql")
DATABASE = "tellergate"
# Short, so that contexts expire and are renewed during a run.
CONTEXT_LIFETIME = timedelta(minutes=2)
_RETRY_PAUSE_S = 0.05


class ServerGone(RuntimeError):
    """Say that the database did not come back."""


@dataclass(frozen=True, slots=True)
class Place:
    """Hold what a process needs to reach the tenant. Travels to the worker as JSON."""

    host: str
    port: int
    secrets_dir: str
    tenant_id: str

    def dsn(self, role: LoginRole) -> str:
        """Write the DSN of a role."""
        return ServerAddress(self.host, self.port, DATABASE).dsn(role, read_role_password(Path(self.secrets_dir), role))

    def mint(self, role: LoginRole) -> str:
        """Sign that the role may act for the tenant."""
        key = read_context_key(Path(self.secrets_dir))
        return mint_context(key, tenant_id=self.tenant_id, role=role, expires_at=datetime.now(UTC) + CONTEXT_LIFETIME)

    @contextmanager
    def connect(self, role: LoginRole) -> Iterator[Connection[Any]]:
        """Open an autocommit connection with the tenant's context. Raises: psycopg.Error."""
        with psycopg.connect(self.dsn(role), autocommit=True, connect_timeout=5) as connection:
            connection.execute("SELECT set_config('tellergate.context', %s, FALSE)", [self.mint(role)])
            yield connection

    @contextmanager
    def connect_patiently(self, role: LoginRole, *, timeout_s: float = 60) -> Iterator[Connection[Any]]:
        """Do what `connect` does, once the server is back. Raises: ServerGone."""
        deadline = time.monotonic() + timeout_s
        stack = contextlib.ExitStack()
        while True:
            try:
                connection = stack.enter_context(self.connect(role))
                break
            except psycopg.Error as error:
                if time.monotonic() > deadline:
                    raise ServerGone(f"no connection as {role} for {timeout_s} s: {error}") from error
                time.sleep(_RETRY_PAUSE_S)
        with stack:
            yield connection
