"""Who has to pass: each implementation by name, and how a test gets an empty ledger of it.

To add one: a function that takes pytest's request and returns a maker of ledgers, each call a tenant of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from uuid import uuid4

import pytest

from ledger.memory import MemoryLedger
from ledger.port import Ledger
from tests.conformance.ledger.postgres_ledger import make_postgres_ledgers

MakeLedger = Callable[[], Ledger]


def make_memory_ledgers(_: pytest.FixtureRequest) -> MakeLedger:
    return lambda: MemoryLedger(f"t-{uuid4().hex[:16]}")


IMPLEMENTATIONS: Mapping[str, Callable[[pytest.FixtureRequest], MakeLedger]] = {
    "memory": make_memory_ledgers,
    "postgres_one": partial(make_postgres_ledgers, is_batched=False),
    "postgres_many": partial(make_postgres_ledgers, is_batched=True),
}
