"""A fresh tenant, a signing key, the gate's pool, and the public key in a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from domain.receipt import Receipt
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.export import export_receipt
from gates.receipts.sequencing import Sequenced, sequence_events
from gates.receipts.signing_key import ensure_signer, publish_verifier_key
from storage.pools import Pool, open_pool
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.ledger.scene import NOW, Scene


@dataclass(frozen=True, slots=True)
class Log:
    """Hold what sequencing and export need."""

    scene: Scene
    pool: Pool
    signer: CheckpointSigner
    key_file: Path

    def sequence(self, limit: int = 500) -> Sequenced:
        """Place what waits."""
        return sequence_events(self.pool, self.scene.tenant.context("gate"), self.signer, now=NOW, limit=limit)

    def export(self, decision_id: str) -> Receipt | None:
        """Cut a receipt as role gate."""
        return export_receipt(self.scene.gate, decision_id)


@pytest.fixture
def log(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any], database: Database, tmp_path: Path) -> Iterator[Log]:
    """A tenant whose events can be sequenced."""
    signer = ensure_signer(tmp_path / "receipts.key")
    publish_verifier_key(signer, tmp_path / "receipts.pub")
    pool = open_pool(database.dsn("gate"), name="gate", max_size=2)
    scene = Scene(tenant, conn_as, admin_conn)
    yield Log(scene, pool, signer, tmp_path / "receipts.pub")
    pool.close()
