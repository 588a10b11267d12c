"""llama-index's vector store interface over our own tables, named SQL and the connections that we hand in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from pgvector import Vector
from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

from domain.errors import BrokenInvariant
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "knowledge.sql")


class StoreNotBound(BrokenInvariant):
    """Say that the store was asked to read without a reader's connection, or to write without a writer's."""

    code = "store_not_bound"


class KnowledgeStore(BasePydanticVectorStore):
    """Read through an async connection of role `ai`, write through a connection of role `jobs`; one transaction, the caller's.

    `reader_roles` are the roles of the person who asks; they stand inside every query.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    _writer: Connection[Any] | None = PrivateAttr()
    _reader: AsyncConnection[Any] | None = PrivateAttr()
    _reader_roles: tuple[str, ...] = PrivateAttr()
    _embedding_model: str = PrivateAttr()

    def __init__(
        self,
        *,
        writer: Connection[Any] | None = None,
        reader: AsyncConnection[Any] | None = None,
        reader_roles: Sequence[str] = (),
        embedding_model: str = "",
    ) -> None:
        super().__init__(stores_text=True, is_embedding_query=True)
        self._writer = writer
        self._reader = reader
        self._reader_roles = tuple(reader_roles)
        self._embedding_model = embedding_model

    @property
    def client(self) -> Any:
        """Return the connection that is bound."""
        return self._writer or self._reader

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Insert the chunks of articles whose rows are there. The metadata keys are `ingestion`'s."""
        writer = self._require_writer()
        for node in nodes:
            writer.execute(QUERIES["insert_chunk"], {"tenant_id": kwargs["tenant_id"], **_chunk_values(node)})
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Delete an article with its chunks."""
        self._require_writer().execute(QUERIES["delete_article"], {"article_id": ref_doc_id})

    def query(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:  # noqa: ARG002 - the base class's
        """Refuse: reading is async here."""
        raise StoreNotBound("search with aquery")

    async def aquery(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:
        """Search by text (mode TEXT_SEARCH) or by vector (mode DEFAULT)."""
        if self._reader is None:
            raise StoreNotBound("the store was opened without a reader's connection")
        values: dict[str, Any] = {"reader_roles": list(self._reader_roles), "top_k": query.similarity_top_k}
        if query.mode is VectorStoreQueryMode.TEXT_SEARCH:
            name = "search_by_text"
            values["query"] = query.query_str
        else:
            name = "search_by_vector"
            values |= {"embedding": Vector(query.query_embedding or []).to_text(), "embedding_model": self._embedding_model}
        async with self._reader.cursor(row_factory=dict_row) as cursor:
            if name == "search_by_vector":
                await cursor.execute(QUERIES["set_vector_scan"])
            await cursor.execute(QUERIES[name], values)
            rows = await cursor.fetchall()
        return _to_result(rows)

    def _require_writer(self) -> Connection[Any]:
        if self._writer is None:
            raise StoreNotBound("the store was opened without a writer's connection")
        return self._writer


def text_sha256(heading_path: str, masked_text: str) -> str:
    """Return the digest of what is embedded for a chunk."""
    return hashlib.sha256(embedded_text(heading_path, masked_text).encode()).hexdigest()


def embedded_text(heading_path: str, masked_text: str) -> str:
    """Return what stands for a chunk in the vector space: its headings and its text."""
    return f"{heading_path}\n{masked_text}"


def _chunk_values(node: BaseNode) -> dict[str, Any]:
    metadata = node.metadata
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    return {
        "article_id": node.ref_doc_id,
        "ordinal": metadata["ordinal"],
        "heading_path": metadata["heading_path"],
        "masked_text": text,
        "text_sha256": text_sha256(metadata["heading_path"], text),
        "reader_roles": metadata["reader_roles"],
    }


def _to_result(rows: Sequence[Mapping[str, Any]]) -> VectorStoreQueryResult:
    nodes = [
        TextNode(
            id_=f"{row['article_id']}#{row['ordinal']}",
            text=row["masked_text"],
            metadata={key: row[key] for key in ("article_id", "ordinal", "title", "heading_path")},
        )
        for row in rows
    ]
    return VectorStoreQueryResult(nodes=nodes, similarities=[row["score"] for row in rows], ids=[node.node_id for node in nodes])
