"""One whole service for the run, models included; tests that break it start their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a running service with both models. Tests must leave it whole."""
    whole = Service(tmp_path_factory.mktemp("service"), with_model=True)
    try:
        whole.start()
        yield whole
    finally:
        whole.stop()


@pytest.fixture
def small_service(tmp_path: Path) -> Iterator[Service]:
    """Give a service without models, not yet started, for a test of its own."""
    small = Service(tmp_path, with_model=False)
    try:
        yield small
    finally:
        small.stop()
