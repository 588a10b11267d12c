"""What the process works with. The socket answers first; slow libraries load in a thread, and templates speak meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from agents.output_checks.guard import SentenceGuard, load_guard
from agents.ports import ChatModel
from agents.support.state import Budgets, SupportDeps
from agents.support.turn import SupportTurns
from domain.clock import Clock
from prompts.library import PromptLibrary, load_library
from retrieval.ports import EmbeddingModel
from storage.pools import AsyncPool

_LOG = structlog.get_logger("tellergate.agents")
_Part = TypeVar("_Part")


class ReadyChat(ChatModel, Protocol):
    """A chat model that knows whether its server is up (`serving.vllm.gateway.ModelGateway`)."""

    async def is_ready(self) -> bool:
        """Ask."""
        ...


class ReadyEmbeddings(EmbeddingModel, Protocol):
    """An embedding model that knows whether its server is up (`serving.vllm.embeddings.VllmEmbeddings`)."""

    async def is_ready(self) -> bool:
        """Ask."""
        ...


@dataclass(frozen=True, slots=True)
class AgentsDeps:
    """Hold what `create_agents_app` is built from.

    `open_pool` is awaited in the event loop; `make_chat` and `make_embeddings` run in a thread, may take seconds, and return None
    where no such model is configured. `monotonic` counts seconds.
    """

    open_pool: Callable[[], Awaitable[AsyncPool]]
    make_chat: Callable[[], ReadyChat | None]
    make_embeddings: Callable[[], ReadyEmbeddings | None]
    clock: Clock
    monotonic: Callable[[], float]
    process_token: str
    load_prompts: Callable[[], PromptLibrary | None] = load_library
    """Returns None where the prompts in force are not there: then no model is asked, and the templates speak."""
    budgets: Budgets = field(default_factory=Budgets)
    max_turns: int = 16


class AgentParts:
    """Hold the parts of a running process. What is not up yet is None, and the templates speak meanwhile."""

    def __init__(self, deps: AgentsDeps, pool: AsyncPool) -> None:
        # Imported here: the graph library takes a second that the socket need not wait for in a test of the routes alone.
        from retrieval.search import KnowledgeSearch

        self._deps = deps
        self.pool = pool
        self.chat: ReadyChat | None = None
        self.embeddings: ReadyEmbeddings | None = None
        self.guard: SentenceGuard | None = None
        self.is_warm = False
        self._knowledge = KnowledgeSearch(pool, None)
        prompts = deps.load_prompts()
        self._may_prompt = prompts is not None
        self.turns = SupportTurns(
            SupportDeps(
                pool=pool,
                prompts=prompts or PromptLibrary({}, {}),
                knowledge=lambda: self._knowledge,
                chat=lambda: self.chat,
                guard=lambda: self.guard,
                monotonic=deps.monotonic,
                budgets=deps.budgets,
            )
        )

    async def warm_up(self) -> None:
        """Load the clients and the checks, one after the other. A part that fails stays off; the process goes on without it."""
        from retrieval.search import KnowledgeSearch

        self.chat = await self._load("chat", self._deps.make_chat) if self._may_prompt else None
        self.guard = await self._load("guard", lambda: load_guard("support"))
        self.embeddings = await self._load("embeddings", self._deps.make_embeddings)
        self._knowledge = KnowledgeSearch(self.pool, self.embeddings)
        self.is_warm = True

    async def _load(self, name: str, make: Callable[[], _Part]) -> _Part | None:
        try:
            return await asyncio.to_thread(make)
        except Exception:  # noqa: BLE001 - whatever a library does at import, the templates still answer
            _LOG.exception("part_failed", part=name)
            return None
