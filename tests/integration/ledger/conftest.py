"""A fresh tenant with one customer, for each test."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.scene import Scene


@pytest.fixture
def scene(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> Scene:
    """A tenant with one customer and one account."""
    return Scene(tenant, conn_as, admin_conn)
