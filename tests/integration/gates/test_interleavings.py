"""Whatever order people, programs and crashes come in: nothing stale, nothing twice, nothing lost."""

from __future__ import annotations

from tests.integration.gates.desk import Desk
from tests.integration.gates.interleaving import run_interleavings


def test_generated_histories_are_neither_stale_nor_double_nor_lost(desk: Desk) -> None:
    assert run_interleavings(desk, seed=4, count=100) == {"stale": 0, "double": 0, "lost": 0}
