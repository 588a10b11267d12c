"""Articles in: cut by headings and sentences, compared by content hash, stored. Vectors come afterwards, when a model is up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import MarkdownNodeParser, SentenceSplitter
from llama_index.core.schema import BaseNode, Document, MetadataMode, TransformComponent
from llama_index.core.storage.docstore import SimpleDocumentStore
from pgvector import Vector
from psycopg import Connection
from psycopg.rows import dict_row

from domain.errors import InvalidInput
from masking.text import MaskedText, masked_from_store
from retrieval.ports import EmbeddingModel
from retrieval.vector_store import QUERIES, KnowledgeStore, embedded_text

# Part of each article's content hash: raise it when cutting changes, and the next ingest cuts everything again.
CUT_VERSION = 1
# The starter embedding model reads 256 of its own tokens; 110 words leave room for headings.
_CHUNK_WORDS = 110
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"“(<-])|\n{2,}")
_ARTICLE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BATCH_SIZE = 32


class InvalidArticle(InvalidInput):
    """Say what is wrong with an article."""

    code = "invalid_article"


@dataclass(frozen=True, slots=True)
class Article:
    """Hold one article to index. `body` is Markdown. Masked by type: nothing else can be indexed.

    Raises: InvalidArticle.
    """

    article_id: str
    title: MaskedText
    body: MaskedText
    source: str
    language: str = "en"
    reader_roles: tuple[str, ...] = ("support", "investigator", "onboarding", "approver", "auditor", "admin")

    def __post_init__(self) -> None:
        if not _ARTICLE_ID.fullmatch(self.article_id):
            raise InvalidArticle("an article id is 1 to 64 of A-Z a-z 0-9 . _ - and starts with a letter or digit")
        if not self.title.text.strip() or not self.body.text.strip():
            raise InvalidArticle(f"article {self.article_id}: title and body may not be empty")
        if not self.reader_roles:
            raise InvalidArticle(f"article {self.article_id}: nobody may read it; name at least one role")


@dataclass(frozen=True, slots=True)
class IngestCount:
    """Count what an ingest did."""

    added: int
    changed: int
    unchanged: int
    removed: int
    chunks: int


def ingest_articles(
    connection: Connection[Any], articles: Sequence[Article], *, tenant_id: str, now: datetime, remove_absent: bool = False
) -> IngestCount:
    """Index articles in the caller's transaction (role jobs). Idempotent: equal content is left alone, vectors and all.

    `remove_absent` also deletes what is indexed and not among `articles`. Raises: InvalidArticle.
    """
    repeated = [article_id for article_id, count in Counter(article.article_id for article in articles).items() if count > 1]
    if repeated:
        raise InvalidArticle(f"article ids stand twice: {', '.join(sorted(repeated))}")
    known = {row[0]: row[1] for row in connection.execute(QUERIES["list_article_hashes"]).fetchall()}
    documents = {article.article_id: _to_document(article) for article in articles}
    store = KnowledgeStore(writer=connection)
    absent = known.keys() - documents.keys() if remove_absent else frozenset()
    for article_id in absent:
        store.delete(article_id)
    nodes = _run_pipeline(store, list(documents.values()), known)
    run_ids = [article_id for article_id, document in documents.items() if known.get(article_id) != document.hash]
    by_id = {article.article_id: article for article in articles}
    for article_id in run_ids:
        _insert_article(connection, by_id[article_id], documents[article_id].hash, tenant_id=tenant_id, now=now)
    store.add(nodes, tenant_id=tenant_id)
    return IngestCount(
        added=sum(article_id not in known for article_id in run_ids),
        changed=sum(article_id in known for article_id in run_ids),
        unchanged=len(articles) - len(run_ids),
        removed=len(absent),
        chunks=len(nodes),
    )


def embed_missing(connection: Connection[Any], embedder: EmbeddingModel, *, limit: int = 1000) -> int:
    """Give vectors to chunks that have none of this model, in the caller's transaction (role jobs); return how many.

    A vector of the same text is reused. Raises: EmbeddingUnavailable (the caller rolls back and tries later).
    """
    done = 0
    while done < limit:
        values = {"embedding_model": embedder.name, "batch_size": min(_BATCH_SIZE, limit - done)}
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(QUERIES["list_unembedded"], values).fetchall()
        if not rows:
            break
        _embed_batch(connection, embedder, rows)
        done += len(rows)
    return done


def _embed_batch(connection: Connection[Any], embedder: EmbeddingModel, rows: Sequence[dict[str, Any]]) -> None:
    known: dict[str, str] = {}
    for sha256 in {row["text_sha256"] for row in rows}:
        found = connection.execute(
            QUERIES["find_embedding"], {"text_sha256": sha256, "embedding_model": embedder.name}
        ).fetchone()
        if found:
            known[sha256] = found[0]
    fresh = {row["text_sha256"]: row for row in rows if row["text_sha256"] not in known}
    if fresh:
        texts = [masked_from_store(embedded_text(row["heading_path"], row["masked_text"])) for row in fresh.values()]
        vectors = embedder.embed_texts(texts)
        known |= {sha256: Vector(vector).to_text() for sha256, vector in zip(fresh, vectors, strict=True)}
    for row in rows:
        values = {**row, "embedding": known[row["text_sha256"]], "embedding_model": embedder.name}
        connection.execute(QUERIES["update_embedding"], values)


def _run_pipeline(store: KnowledgeStore, documents: list[Document], known: dict[str, str]) -> Sequence[BaseNode]:
    """Cut what is new or changed; the store has already lost the old chunks of what changed."""
    docstore = SimpleDocumentStore()
    docstore.set_document_hashes(known)
    pipeline = IngestionPipeline(
        transformations=[
            MarkdownNodeParser(include_prev_next_rel=False),
            HeadingLift(),
            # Own tokenizer and sentence cut: the defaults load tiktoken's tables and download NLTK's.
            SentenceSplitter(
                chunk_size=_CHUNK_WORDS,
                chunk_overlap=0,
                tokenizer=str.split,
                chunking_tokenizer_fn=_split_sentences,
                include_prev_next_rel=False,
            ),
            ChunkNumbering(),
        ],
        vector_store=store,
        docstore=docstore,
        docstore_strategy=DocstoreStrategy.UPSERTS,
        disable_cache=True,
    )
    return pipeline.run(documents=documents)


class HeadingLift(TransformComponent):
    """Move each section's heading from its text to its metadata, title first, so that every piece of a section keeps it."""

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> Sequence[BaseNode]:
        """Return the sections that have text of their own."""
        kept: list[BaseNode] = []
        for node in nodes:
            heading, text = _split_heading(node.get_content(metadata_mode=MetadataMode.NONE))
            parents = [part for part in str(node.metadata.pop("header_path", "")).split("/") if part]
            node.set_content(text)
            path = [*parents, heading] if heading else parents
            title = str(node.metadata["title"])
            node.metadata["heading_path"] = " / ".join(path if path[:1] == [title] else [title, *path])
            if text:
                kept.append(node)
        return kept


class ChunkNumbering(TransformComponent):
    """Number the chunks of each article from 1 and check that each is still masked text: no token was cut in two."""

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> Sequence[BaseNode]:
        """Return the nodes, numbered."""
        last: Counter[str] = Counter()
        for node in nodes:
            node.set_content(masked_from_store(node.get_content(metadata_mode=MetadataMode.NONE).strip()).text)
            last[str(node.ref_doc_id)] += 1
            node.metadata["ordinal"] = last[str(node.ref_doc_id)]
        return nodes


def _split_heading(text: str) -> tuple[str, str]:
    first, _, rest = text.strip().partition("\n")
    if first.startswith("#"):
        return first.lstrip("#").strip(), rest.strip()
    return "", text.strip()


def _split_sentences(text: str) -> list[str]:
    """Cut after sentence ends and blank lines, keeping every character."""
    starts = [0, *(match.end() for match in _SENTENCE.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(starts) if end > start]


def _to_document(article: Article) -> Document:
    metadata = {
        "title": article.title.text,
        "language": article.language,
        "reader_roles": list(article.reader_roles),
        "source": article.source,
        "cut_version": CUT_VERSION,
    }
    keys = [*metadata, "header_path", "heading_path"]
    # Metadata counts for the hash and not for the size of a chunk.
    return Document(
        doc_id=article.article_id,
        text=article.body.text,
        metadata=metadata,
        excluded_embed_metadata_keys=keys,
        excluded_llm_metadata_keys=keys,
    )


def _insert_article(connection: Connection[Any], article: Article, content_sha256: str, *, tenant_id: str, now: datetime) -> None:
    connection.execute(
        QUERIES["insert_article"],
        {
            "tenant_id": tenant_id,
            "article_id": article.article_id,
            "title": article.title.text,
            "language": article.language,
            "reader_roles": list(article.reader_roles),
            "content_sha256": content_sha256,
            "source": article.source,
            "indexed_at": now,
        },
    )
