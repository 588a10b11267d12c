"""Each test of this folder runs once for each implementation."""

from __future__ import annotations

import pytest

from ledger.port import Ledger
from tests.conformance.ledger.implementations import IMPLEMENTATIONS, MakeLedger
from tests.conformance.ledger.scene import Scene


@pytest.fixture(params=list(IMPLEMENTATIONS))
def make_ledger(request: pytest.FixtureRequest) -> MakeLedger:
    """Make an empty ledger, of a tenant of its own, at each call."""
    return IMPLEMENTATIONS[request.param](request)


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    """A ledger with a few accounts and money on some of them."""
    return Scene(ledger)
