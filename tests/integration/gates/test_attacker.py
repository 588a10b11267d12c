"""With every credential of the agents process, nothing moves that no person asked for."""

from __future__ import annotations

from tests.integration.gates.attacker import count_postings_by_attacker
from tests.integration.gates.desk import Desk


def test_an_attacker_in_the_agents_place_moves_nothing(desk: Desk) -> None:
    assert count_postings_by_attacker(desk, seed=7, count=250) == 0
