"""The tests' support desk, with its people and records, on a throw-away server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from psycopg import Connection

from bench.peer.server import BenchServer
from storage.pools import open_pool
from storage.roles import LoginRole, read_role_password
from storage.setup import set_up_database
from storage.tenancy import read_context_key
from tests.conftest import Tenant
from tests.integration.gates.desk import Desk

_DBNAME = "tellergate"


@contextmanager
def open_desk(server: BenchServer, tenant_id: str) -> Iterator[Desk]:
    """Open a desk of a tenant of its own; the database is made for the first one. Its contexts live ten minutes."""
    secrets_dir = server.folder / "secrets"
    set_up_database(
        maintenance_dsn=server.embedded.admin_dsn(),
        admin_dsn=server.embedded.admin_dsn(_DBNAME),
        dbname=_DBNAME,
        secrets_dir=secrets_dir,
    )
    address = server.embedded.address.with_dbname(_DBNAME)
    with ExitStack() as opened:

        def write_dsn(role: LoginRole) -> str:
            return address.dsn(role, read_role_password(secrets_dir, role))

        def connect(role: LoginRole, tenant: Tenant) -> Connection[Any]:
            connection = opened.enter_context(psycopg.connect(write_dsn(role), autocommit=True))
            connection.execute("SELECT set_config('tellergate.context', %s, FALSE)", [tenant.context(role)])
            return connection

        gate, executor = (open_pool(write_dsn(role), name=f"bench-{role}") for role in ("gate", "executor"))
        opened.callback(gate.close)
        opened.callback(executor.close)
        yield Desk(Tenant(tenant_id, read_context_key(secrets_dir)), connect, gate, executor).open()
