"""One whole service for the run, models included; tests that break it start their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.edge.conftest import chromium, desk
from tests.acceptance.service import Service

__all__ = ["chromium", "desk"]


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """Give a running service with both models. Tests must leave it whole."""
    with tempfile.TemporaryDirectory(prefix="tellergate-whole-", ignore_cleanup_errors=True) as folder:
        whole = Service(Path(folder), with_model=True)
        try:
            whole.start()
            yield whole
        finally:
            whole.stop()


@pytest.fixture
def small_service() -> Iterator[Service]:
    """Give a service without models, not yet started, for a test of its own."""
    with tempfile.TemporaryDirectory(prefix="tellergate-small-", ignore_cleanup_errors=True) as folder:
        small = Service(Path(folder), with_model=False)
        try:
            yield small
        finally:
            small.stop()
