"""An attacker with the agents' credentials, on a server of his own: the engine is that of the tests."""

from __future__ import annotations

from collections.abc import Callable

from bench.gating.people import open_desk
from bench.peer.server import start_server
from tests.integration.gates.attacker import count_postings_by_attacker as count_at_desk

_CHUNK = 500


def count_postings_by_attacker(count: int, *, seed: int, say: Callable[[str], None]) -> int:
    """Return how many acts were carried out in `count` attempts, statements and submissions. About 50 ms each."""
    carried_out = 0
    with start_server() as server:
        for first in range(0, count, _CHUNK):
            with open_desk(server, f"bench-{first}") as desk:
                carried_out += count_at_desk(desk, seed=seed + first, count=min(_CHUNK, count - first))
            say(f"{min(first + _CHUNK, count)} of {count} attempts: {carried_out} acts")
    return carried_out
