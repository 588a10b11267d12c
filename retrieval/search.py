"""Find passages: full text and vectors, fused by reciprocal rank; full text alone when no embedding model answers in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from domain.errors import NotFound
from masking.text import MaskedText
from retrieval.passages import Passage, parse_passage_ref
from retrieval.ports import EmbeddingModel, EmbeddingUnavailable
from retrieval.vector_store import QUERIES, KnowledgeStore
from storage.pools import AsyncPool
from storage.unit_of_work import async_unit_of_work

# Each arm brings more than is shown, so that a passage both know can win.
_ARM_TOP_K = 12
_MAX_QUERY_CHARACTERS = 1000


class UnknownPassage(NotFound):
    """Say that there is no such passage for this tenant and reader."""

    code = "unknown_passage"


class KnowledgeSearch:
    """Search one database's knowledge base. `embedding_timeout_s` bounds what the vector arm may cost."""

    def __init__(self, pool: AsyncPool, embedder: EmbeddingModel | None, *, embedding_timeout_s: float = 0.5) -> None:
        self._pool = pool
        self._embedder = embedder
        self._embedding_timeout_s = embedding_timeout_s

    async def search(
        self, query: MaskedText, *, context: str, reader_roles: Sequence[str], top_k: int = 3
    ) -> tuple[Passage, ...]:
        """Return the best passages that readers of these roles may see, best first. Raises: DatabaseUnavailable."""
        text = query.text[:_MAX_QUERY_CHARACTERS]
        if not text.strip():
            return ()
        embedding = await self._embed(query)
        async with async_unit_of_work(self._pool, context) as connection:
            store = KnowledgeStore(
                reader=connection,
                reader_roles=reader_roles,
                embedding_model=self._embedder.name if self._embedder else "",
            )
            found = await _fuse(store, embedding).aretrieve(QueryBundle(query_str=text, embedding=embedding))
        return tuple(map(_to_passage, found[:top_k]))

    async def open_passage(self, ref: str, *, context: str, reader_roles: Sequence[str]) -> Passage:
        """Return the very passage that a citation names. Raises: InvalidPassageRef, UnknownPassage, DatabaseUnavailable."""
        async with async_unit_of_work(self._pool, context) as connection:
            return await _find_passage(connection, ref, reader_roles)

    async def _embed(self, query: MaskedText) -> list[float] | None:
        if self._embedder is None:
            return None
        try:
            async with asyncio.timeout(self._embedding_timeout_s):
                vectors = await self._embedder.embed_texts_async([query])
        except (EmbeddingUnavailable, TimeoutError):
            return None
        return vectors[0]


class _Arm(BaseRetriever):
    """One way to search the store."""

    def __init__(self, store: KnowledgeStore, mode: VectorStoreQueryMode) -> None:
        super().__init__()
        self._store = store
        self._mode = mode

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        raise NotImplementedError("search is async here")

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        result = await self._store.aquery(
            VectorStoreQuery(
                query_str=query_bundle.query_str,
                query_embedding=query_bundle.embedding,
                mode=self._mode,
                similarity_top_k=_ARM_TOP_K,
            )
        )
        scores: Sequence[float] = result.similarities or []
        return [NodeWithScore(node=node, score=score) for node, score in zip(result.nodes or [], scores, strict=True)]


def _fuse(store: KnowledgeStore, embedding: list[float] | None) -> BaseRetriever:
    text_arm = _Arm(store, VectorStoreQueryMode.TEXT_SEARCH)
    if embedding is None:
        return text_arm
    return QueryFusionRetriever(
        [text_arm, _Arm(store, VectorStoreQueryMode.DEFAULT)],
        # One query and no model: the class would otherwise ask a model of its own choice for more queries.
        llm=MockLLM(),
        num_queries=1,
        mode=FUSION_MODES.RECIPROCAL_RANK,
        similarity_top_k=_ARM_TOP_K,
    )


async def _find_passage(connection: AsyncConnection[Any], ref: str, reader_roles: Sequence[str]) -> Passage:
    article_id, ordinal = parse_passage_ref(ref)
    values = {"article_id": article_id, "ordinal": ordinal, "reader_roles": list(reader_roles)}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["find_passage"], values)
        row = await cursor.fetchone()
    if row is None:
        raise UnknownPassage("no such passage, or not for this reader")
    return Passage(text=row.pop("masked_text"), **row)


def _to_passage(found: NodeWithScore) -> Passage:
    metadata = found.node.metadata
    return Passage(
        article_id=metadata["article_id"],
        ordinal=metadata["ordinal"],
        title=metadata["title"],
        heading_path=metadata["heading_path"],
        text=found.node.get_content(),
        score=found.score or 0.0,
    )
