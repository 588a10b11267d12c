"""A world, turns and a guard for the tests of the support agent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from agents.output_checks.guard import SentenceGuard, load_guard
from agents.ports import ChatModel
from agents.support.state import Budgets, SupportDeps
from agents.support.turn import SupportTurns
from prompts.library import load_library
from retrieval.search import KnowledgeSearch
from storage.pools import AsyncPool, open_async_pool
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.agents.world import World, make_world

MakeTurns = Callable[..., SupportTurns]


@pytest.fixture(scope="session")
def guard() -> SentenceGuard:
    """The real guard, loaded once: it takes seconds."""
    return load_guard("support")


@pytest.fixture
def world(conn_as: ConnAs, tenant: Tenant) -> World:
    """One customer with a double charge, a decline, a fee, a payout."""
    return make_world(conn_as, tenant)


@pytest_asyncio.fixture
async def pool(database: Database) -> AsyncIterator[AsyncPool]:
    """The agents process's only way to the database."""
    pool = await open_async_pool(database.dsn("ai"), name="test", max_size=4)
    yield pool
    await pool.close()


@pytest.fixture
def make_turns(pool: AsyncPool, guard: SentenceGuard) -> MakeTurns:
    """`make_turns(chat=None, budgets=Budgets())`."""

    def make(chat: ChatModel | None = None, budgets: Budgets | None = None) -> SupportTurns:
        knowledge = KnowledgeSearch(pool, None)
        return SupportTurns(
            SupportDeps(
                pool=pool,
                prompts=load_library(),
                knowledge=lambda: knowledge,
                chat=lambda: chat,
                guard=lambda: guard,
                monotonic=time.monotonic,
                budgets=budgets or Budgets(),
            )
        )

    return make
