"""The door with the real database and the real vault behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection

from masking.keys import FileKeyProvider
from masking.vault import Vault
from serving.ingest.ingest import IngestDeps
from storage.pools import Pool, open_pool
from storage.roles import LoginRole
from storage.tenancy import mint_context
from storage.unit_of_work import unit_of_work
from tests.conftest import Database, Tenant

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def keys(database: Database) -> FileKeyProvider:
    return FileKeyProvider(database.cluster.secrets_dir)


@pytest.fixture
def pools(database: Database) -> Iterator[dict[LoginRole, Pool]]:
    roles: tuple[LoginRole, ...] = ("jobs", "vault")
    opened = {role: open_pool(database.dsn(role), name=f"test-{role}", max_size=2) for role in roles}
    yield opened
    for pool in opened.values():
        pool.close()


@pytest.fixture
def ingest_deps(database: Database, tenant: Tenant, keys: FileKeyProvider, pools: dict[LoginRole, Pool]) -> IngestDeps:
    keys.ensure_tenant_keys(tenant.tenant_id)

    def as_role(role: LoginRole) -> Callable[[str], AbstractContextManager[Connection[Any]]]:
        def transact(tenant_id: str) -> AbstractContextManager[Connection[Any]]:
            expires_at = datetime.now(UTC) + timedelta(minutes=5)
            context = mint_context(database.context_key, tenant_id=tenant_id, role=role, expires_at=expires_at)
            return unit_of_work(pools[role], context)

        return transact

    return IngestDeps(transact_jobs=as_role("jobs"), transact_vault=as_role("vault"), vault=Vault(keys))
