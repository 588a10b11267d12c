"""The money process on real pools, over ASGI; its clock can be moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from gates.policy.bundle import load_bundle_directory
from gates.receipts.checkpoint import CheckpointSigner
from serving.money.app import create_money_app
from serving.money.service import MoneyDeps
from storage.pools import open_pool
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.gates.desk import STARTER, Desk

TOKEN = "t" * 43


@dataclass(slots=True)
class MovableClock:
    """The machine's time plus a shift."""

    shift: timedelta = timedelta()

    def now(self) -> datetime:
        """Return the shifted time."""
        return datetime.now(UTC) + self.shift


@dataclass(slots=True)
class Process:
    """The money process and a desk that shares its tenant and its present."""

    desk: Desk
    deps: MoneyDeps
    clock: MovableClock
    signer: CheckpointSigner
    client: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = TestClient(
            create_money_app(self.deps), headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False
        )

    def post(self, path: str, **body: Any) -> Any:
        """Post a body with the tenant in it."""
        return self.client.post(path, json={"tenant_id": self.desk.tenant.tenant_id, **body})

    def get(self, path: str, **query: Any) -> Any:
        """Get with the tenant in the query."""
        return self.client.get(path, params={"tenant_id": self.desk.tenant.tenant_id, **query})


@pytest.fixture
def process(database: Database, tenant: Tenant, conn_as: ConnAs) -> Iterator[Process]:
    """A money process whose background thread runs only while its client is entered."""
    gate = open_pool(database.dsn("gate"), name="test-gate", max_size=6)
    executor = open_pool(database.dsn("executor"), name="test-executor", max_size=4)
    desk = Desk(tenant, conn_as, gate, executor, now=datetime.now(UTC)).open()
    clock, signer = MovableClock(), CheckpointSigner(Ed25519PrivateKey.generate())
    deps = MoneyDeps(
        gate_pool=gate,
        executor_pool=executor,
        mint=lambda tenant_id, role: Tenant(tenant_id, database.context_key).context(role),
        tenant_ids=(tenant.tenant_id,),
        rules=desk.rules,
        starter_bundle=load_bundle_directory(STARTER),
        signer=signer,
        clock=clock,
        process_token=TOKEN,
    )
    yield Process(desk, deps, clock, signer)
    gate.close()
    executor.close()
