"""The door with the real database and the real vault behind it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection

from masking.detection import Detector, build_detector
from masking.keys import FileKeyProvider
from masking.masker import Masker
from masking.number_index import NumberIndexes
from masking.vault import Vault
from serving.ingest.ingest import IngestDeps
from storage.pools import Pool, open_pool
from storage.roles import LoginRole
from storage.tenancy import mint_context
from storage.unit_of_work import unit_of_work
from tests.conftest import Database, Tenant
from tests.integration.masking.conftest import NER_FOLDER

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="session")
def detector() -> Detector:
    """The real detector: it needs the name model that the set-up made."""
    return build_detector(NER_FOLDER)


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
def ingest_deps(
    database: Database, tenant: Tenant, keys: FileKeyProvider, pools: dict[LoginRole, Pool], detector: Detector
) -> IngestDeps:
    keys.ensure_tenant_keys(tenant.tenant_id)

    def as_role(role: LoginRole) -> Callable[[str], AbstractContextManager[Connection[Any]]]:
        def transact(tenant_id: str) -> AbstractContextManager[Connection[Any]]:
            expires_at = datetime.now(UTC) + timedelta(minutes=5)
            context = mint_context(database.context_key, tenant_id=tenant_id, role=role, expires_at=expires_at)
            return unit_of_work(pools[role], context)

        return transact

    transact_vault, vault = as_role("vault"), Vault(keys)
    indexes = NumberIndexes(transact_vault, keys)

    def make_masker() -> Masker:
        return Masker(detector=detector, vault=vault, keys=keys, transact=transact_vault, indexes=indexes)

    return IngestDeps(as_role("jobs"), transact_vault, vault, functools.cache(make_masker), indexes)
