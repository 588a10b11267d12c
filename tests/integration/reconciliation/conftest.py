"""A tenant that posts refunds and gets statements about them."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.scene import Scene
from tests.integration.reconciliation.world import BankWorld


@pytest.fixture
def bank(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> BankWorld:
    """Its ledger has the house account, because one refund of ten years ago was posted."""
    world = BankWorld(tenant, conn_as, Scene(tenant, conn_as, admin_conn))
    world.refund(1)
    return world
