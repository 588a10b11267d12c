"""The edge as wiring joins it: a detecting process of its own, the tenant's numbers, the watch over the log, the output guard."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI

from masking.classes import PiiClass
from masking.detector_pool import DetectorPool
from masking.keys import FileKeyProvider
from masking.masker import Masker, MaskScope
from masking.vault import PiiItem, Vault
from serving.artifacts import NAMES, NER, key_of
from serving.edge.masking_boundary import MaskingBoundary
from serving.edge.services import Services
from serving.launch import PEERS_OF, ROLES_OF, ProcessConfig
from serving.log_guard import OUTPUT_GUARD
from serving.wiring import build_edge
from storage.artifact_files import hash_path
from storage.pools import open_pool
from storage.roles import read_role_password
from storage.unit_of_work import unit_of_work
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.edge.test_events import wait_for
from tests.integration.masking.conftest import NER_FOLDER
from tests.integration.masking.test_leaks import log_event

ROOT = Path(__file__).parents[3]
ACCOUNT = "7304418829"


@dataclass(frozen=True, slots=True)
class Edge:
    """The application, and the parts that this test looks at."""

    app: FastAPI
    config: ProcessConfig

    @property
    def services(self) -> Services:
        """Return its parts."""
        services = self.app.state.services
        assert isinstance(services, Services)
        return services

    @property
    def masker(self) -> Masker:
        """Return the masker."""
        boundary = self.services.deps.boundary
        assert isinstance(boundary, MaskingBoundary)
        assert isinstance(boundary.masker, Masker)
        return boundary.masker


@pytest.fixture
def edge(database: Database, tenant: Tenant) -> Iterator[Edge]:
    with tempfile.TemporaryDirectory(prefix="tg-edge-") as name:
        folder = Path(name)
        config = ProcessConfig(
            name="edge",
            tenant_id=tenant.tenant_id,
            root_dir=ROOT,
            var_dir=folder,
            models_dir=NER_FOLDER.parent,
            socket_path=folder / "edge.sock",
            own_token="edge-token",
            peer_sockets={peer: folder / f"{peer}.sock" for peer in PEERS_OF["edge"]},
            peer_tokens=dict.fromkeys(PEERS_OF["edge"], "token"),
            database=database.address,
            passwords={role: read_role_password(database.cluster.secrets_dir, role) for role in ROLES_OF["edge"]},
            context_key_hex=database.context_key.hex(),
            artifacts={key_of(NER, NAMES): hash_path(NER_FOLDER)},
            masking_processes=1,
        )
        keys = FileKeyProvider(config.secrets_dir)
        keys.ensure_tenant_keys(tenant.tenant_id)
        _record(database, tenant, keys)
        edge = Edge(build_edge(config), config)
        yield edge
        edge.services.deps.close()
        OUTPUT_GUARD.leave()


def _record(database: Database, tenant: Tenant, keys: FileKeyProvider) -> None:
    pool = open_pool(database.dsn("vault"), name="test-vault", max_size=1)
    with unit_of_work(pool, tenant.context("vault")) as connection:
        Vault(keys).tokenize(connection, PiiItem(PiiClass.ACCOUNT, ACCOUNT, "cus_other"), tenant_id=tenant.tenant_id)
    pool.close()


def test_the_parts_work_together(edge: Edge, database: Database, tenant: Tenant, conn_as: ConnAs) -> None:
    assert isinstance(edge.masker._detector, DetectorPool)
    place = MaskScope(tenant.tenant_id, "cnv_" + "1" * 32, "cus_one")
    message = edge.masker.mask_message(f"Adebayo Okonkwo sent it to {ACCOUNT}.", scope=place)
    assert {(span.pii_class, span.source) for span in message.spans} >= {(PiiClass.ACCOUNT, "known")}
    assert ACCOUNT not in message.masked.text
    index_of = edge.services.deps.number_index_of
    index = index_of(tenant.tenant_id)
    assert index is not None
    assert list(index.find(ACCOUNT))
    log_event(conn_as, database, tenant, "record.ingested")
    wait_for(lambda: index_of(tenant.tenant_id) is not index)
    assert b"masked_texts_total 1.0" in edge.services.deps.metrics.render(tenant_id=tenant.tenant_id, leak_incidents=0)
    classes: set[str] = set()
    assert OUTPUT_GUARD.clean_text(f"ref {ACCOUNT}", classes) == "[blocked ACCOUNT]"
