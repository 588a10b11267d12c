"""Articles in: masked like everything else, cut and stored for full-text search at once; vectors follow when the model is up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import yaml

from domain.canonical import digest_of
from domain.errors import InvalidInput
from domain.ids import make_id
from masking.text import MaskedText
from masking.vault import Transact
from retrieval.ports import EmbeddingModel
from storage.named_queries import load_queries

if TYPE_CHECKING:
    from masking.masker import Masker

_QUERIES = load_queries(Path(__file__).parent / "sql" / "knowledge.sql")
_LOG = structlog.get_logger("jobs.knowledge")
_EMBED_BATCH = 64


@dataclass(frozen=True, slots=True)
class SourceArticle:
    """Hold one article as it stands in its file."""

    article_id: str
    title: str
    body: str
    source: str
    reader_roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnowledgeDeps:
    """Hold what indexing works with. `embedder` is None where there is no embedding model; a masker takes seconds to make."""

    transact_jobs: Transact
    make_masker: Callable[[], Masker]
    embedder: EmbeddingModel | None


def read_articles(folder: Path) -> tuple[SourceArticle, ...]:
    """Read the Markdown files of a folder, each with front matter (id, title, roles).

    Raises: InvalidInput that names the file.
    """
    return tuple(_read_article(path) for path in sorted(folder.glob("*.md")))


def _read_article(path: Path) -> SourceArticle:
    text = path.read_text(encoding="utf-8")
    head, separator, body = text.removeprefix("---\n").partition("\n---\n")
    try:
        front = yaml.safe_load(head) if separator else {}
        return SourceArticle(
            article_id=str(front["id"]),
            title=str(front["title"]),
            body=body.strip(),
            source=f"knowledge/{path.name}",
            reader_roles=tuple(map(str, front["roles"])),
        )
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path.name}: front matter needs id, title and roles", code="invalid_article") from error


def index_articles(deps: KnowledgeDeps, articles: Sequence[SourceArticle], *, tenant_id: str, now: datetime) -> int:
    """Mask and store the articles; those that did not change keep their vectors. Returns the number of changed ones.

    Idempotency: a set of articles that is in already is known by its digest and costs one look.
    """
    digest = digest_of([asdict(article) | {"reader_roles": list(article.reader_roles)} for article in articles])
    key = {"tenant_id": tenant_id, "file_sha256": digest}
    with deps.transact_jobs(tenant_id) as connection:
        row = connection.execute(_QUERIES["has_knowledge_run"], key).fetchone()
    if row is not None and row[0]:
        return 0
    # Llama-index and presidio take seconds to import: only who indexes pays for them.
    from retrieval.ingestion import Article, ingest_articles

    masker = deps.make_masker()
    masked = [
        Article(
            article_id=article.article_id,
            title=_mask(masker, article.title, article.article_id, tenant_id),
            body=_mask(masker, article.body, article.article_id, tenant_id),
            source=article.source,
            reader_roles=article.reader_roles,
        )
        for article in articles
    ]
    with deps.transact_jobs(tenant_id) as connection:
        count = ingest_articles(connection, masked, tenant_id=tenant_id, now=now)
        changed = count.added + count.changed
        counts = {"ingest_id": make_id("ing", now), "rows_read": len(articles), "rows_changed": changed, "now": now}
        connection.execute(_QUERIES["note_knowledge_run"], key | counts)
    return changed


def _mask(masker: Masker, text: str, article_id: str, tenant_id: str) -> MaskedText:
    from masking.masker import MaskScope

    place = f"kb-{hashlib.sha256(article_id.encode()).hexdigest()[:16]}"
    return masker.mask_message(text, scope=MaskScope(tenant_id, conversation_id=place, subject_id=place)).masked


def fill_vectors(deps: KnowledgeDeps, *, tenant_id: str) -> int:
    """Embed the chunks that have no vector yet; 0 when the model is down or nothing is missing. Idempotent."""
    from retrieval.ingestion import embed_missing
    from retrieval.ports import EmbeddingUnavailable

    if deps.embedder is None:
        return 0
    filled = 0
    try:
        while True:
            with deps.transact_jobs(tenant_id) as connection:
                batch = embed_missing(connection, deps.embedder, limit=_EMBED_BATCH)
            filled += batch
            if batch < _EMBED_BATCH:
                break
    except EmbeddingUnavailable:
        _LOG.info("embedding_model_not_ready", filled=filled)
    return filled
