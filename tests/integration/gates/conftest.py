"""A support desk with real roles, for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.pools import open_pool
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.gates.desk import Desk


@pytest.fixture
def desk(database: Database, tenant: Tenant, conn_as: ConnAs) -> Iterator[Desk]:
    """An open desk; its pools are closed after the test."""
    gate = open_pool(database.dsn("gate"), name="test-gate", max_size=4)
    executor = open_pool(database.dsn("executor"), name="test-executor", max_size=2)
    yield Desk(tenant, conn_as, gate, executor).open()
    gate.close()
    executor.close()
