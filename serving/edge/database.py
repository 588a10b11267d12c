"""One transaction of the edge for one tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from storage.pools import Pool
from storage.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class EdgeDatabase:
    """Hold the pool of role `edge` and the way to a tenant context for it."""

    pool: Pool
    mint_context: Callable[[str], str]

    @contextmanager
    def work(self, tenant_id: str) -> Iterator[Connection[Any]]:
        """Open a transaction for this tenant; commits at the end. Raises: DatabaseUnavailable, CommitUnknown."""
        with unit_of_work(self.pool, self.mint_context(tenant_id)) as connection:
            yield connection
