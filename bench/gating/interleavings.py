"""Generated histories against the gate, on a server of their own: the engine and its model are those of the tests."""

from __future__ import annotations

from collections.abc import Callable

from bench.gating.people import open_desk
from bench.peer.server import start_server
from tests.integration.gates.interleaving import run_interleavings

_CHUNK = 250


def count_interleavings(count: int, *, seed: int, say: Callable[[str], None]) -> dict[str, int]:
    """Return how many postings of `count` histories were stale, double or lost. About a tenth of a second each."""
    found = {"stale": 0, "double": 0, "lost": 0}
    with start_server() as server:
        for first in range(0, count, _CHUNK):
            with open_desk(server, f"bench-{first}") as desk:
                for fault, number in run_interleavings(
                    desk, seed=seed + first, count=min(_CHUNK, count - first), say=say
                ).items():
                    found[fault] += number
            say(f"{min(first + _CHUNK, count)} of {count} histories: {found}")
    return found
