"""The edge's world, started for a test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from masking.detection import Detector, build_detector
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.edge.world import ROOT, EdgeWorld


@pytest.fixture(scope="session")
def detector() -> Detector:
    """The real detector, with the name model that set-up made."""
    return build_detector(ROOT / "var" / "models" / "ner", regions=("GB", "DE"))


@pytest.fixture
def world(database: Database, tenant: Tenant, conn_as: ConnAs, detector: Detector) -> Iterator[EdgeWorld]:
    """Agents (scripted), money and edge on real sockets."""
    with tempfile.TemporaryDirectory(prefix="tg-edge-") as folder:
        opened = EdgeWorld(database, tenant, conn_as, detector, Path(folder))
        try:
            yield opened.open()
        finally:
            opened.close()
