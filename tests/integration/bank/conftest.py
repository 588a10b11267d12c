"""Banks of both kinds, and a relay on the real database with a clock that stands still until it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ConnAs, Database, Tenant
from tests.doubles.bank_server import BankServer
from tests.integration.bank.counter import Counter


@pytest.fixture
def bank_server() -> Iterator[BankServer]:
    """A bank with an API."""
    server = BankServer()
    yield server
    server.stop()


@pytest.fixture
def counter(database: Database, tenant: Tenant, conn_as: ConnAs, bank_server: BankServer, tmp_path: Path) -> Iterator[Counter]:
    """One tenant's relay and bank."""
    opened = Counter(database, tenant, conn_as, bank_server, tmp_path / "bank")
    yield opened
    opened.close()
