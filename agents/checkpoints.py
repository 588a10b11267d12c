"""LangGraph's Postgres checkpoints under our tenancy: each statement in one transaction that has proved its tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import AsyncCursor
from psycopg.rows import DictRow, dict_row

from storage.pools import AsyncPool
from storage.tenancy import require_tenant_id
from storage.unit_of_work import async_unit_of_work

_SEARCH_PATH = "SELECT SET_CONFIG('search_path', 'graph, extensions', TRUE)"


class TenantCheckpoints(AsyncPostgresSaver):
    """Save and read the checkpoints of one turn. Made per turn: it holds the turn's tenant context, and no other.

    State is plain data; nothing in a checkpoint is imported or called when it is read.
    """

    def __init__(self, pool: AsyncPool, context: str) -> None:
        super().__init__(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self._pool = pool
        self._context = context

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:  # noqa: ARG002 - the base class's
        async with self.lock, async_unit_of_work(self._pool, self._context) as connection:
            # The library names its tables without a schema.
            await connection.execute(_SEARCH_PATH)
            async with connection.cursor(binary=True, row_factory=dict_row) as cursor:
                yield cursor

    async def setup(self) -> None:
        """Refuse: our own migration makes the tables."""
        raise NotImplementedError("storage/migrations/sql/0006_ai.sql makes the tables")


def thread_id(*, tenant_id: str, conversation_id: str, message_id: str) -> str:
    """Name the thread of one turn. The row policy reads the tenant from its first part."""
    return f"{require_tenant_id(tenant_id)}:{conversation_id}:{message_id}"


def checkpoint_config(thread: str) -> dict[str, Any]:
    """Return what LangGraph wants to know to find a thread."""
    return {"configurable": {"thread_id": thread}}
