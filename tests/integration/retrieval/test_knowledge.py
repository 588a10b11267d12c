"""Articles in, passages out, on the real database: content hashes, vectors, roles, tenants, citations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from psycopg.errors import InsufficientPrivilege

from masking.text import masked_from_store
from retrieval.ingestion import Article, IngestCount, InvalidArticle, embed_missing, ingest_articles
from retrieval.passages import InvalidPassageRef
from retrieval.search import KnowledgeSearch, UnknownPassage
from storage.pools import AsyncPool, open_async_pool
from tests.conftest import ConnAs, Database, Tenant
from tests.doubles.embedding import HashedWords

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REFUNDS = """# Refund policy

Refunds go back to the account that was charged.

## Duplicate charges

A charge that a merchant took twice is refunded in full. The second charge is the one that goes back.

## Time

A refund appears within 5 working days.
"""
FEES = "# Fees\n\n## Cards\n\nA card replacement costs EUR 3.00.\n"


def _article(article_id: str, body: str, **more: object) -> Article:
    title = masked_from_store(body.splitlines()[0].lstrip("# "))
    return Article(article_id=article_id, title=title, body=masked_from_store(body), source="test", **more)  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def pool(database: Database) -> AsyncIterator[AsyncPool]:
    pool = await open_async_pool(database.dsn("ai"), name="test", max_size=2)
    yield pool
    await pool.close()


def _ingest(conn_as: ConnAs, tenant: Tenant, *articles: Article, remove_absent: bool = False) -> IngestCount:
    connection = conn_as("jobs", tenant)
    with connection.transaction():
        return ingest_articles(connection, articles, tenant_id=tenant.tenant_id, now=NOW, remove_absent=remove_absent)


def test_equal_content_is_left_alone_and_changed_content_is_cut_again(conn_as: ConnAs, tenant: Tenant) -> None:
    assert _ingest(conn_as, tenant, _article("refunds", REFUNDS), _article("fees", FEES)) == IngestCount(2, 0, 0, 0, 4)
    assert _ingest(conn_as, tenant, _article("refunds", REFUNDS), _article("fees", FEES)) == IngestCount(0, 0, 2, 0, 0)
    changed = _article("fees", FEES.replace("3.00", "4.00"))
    assert _ingest(conn_as, tenant, _article("refunds", REFUNDS), changed) == IngestCount(0, 1, 1, 0, 1)
    assert _ingest(conn_as, tenant, changed, remove_absent=True) == IngestCount(0, 0, 1, 1, 0)
    rows = conn_as("ai", tenant).execute("SELECT article_id, ordinal, heading_path, masked_text FROM kb.chunks").fetchall()
    assert rows == [("fees", 1, "Fees / Cards", "A card replacement costs EUR 4.00.")]


def test_long_section_keeps_its_heading_in_every_chunk(conn_as: ConnAs, tenant: Tenant) -> None:
    sentences = " ".join(
        f"Rule number {n} says that a fee of this kind is never charged twice to one customer." for n in range(30)
    )
    _ingest(conn_as, tenant, _article("long", f"# Long\n\n## Rules\n\n{sentences}\n"))
    rows = conn_as("ai", tenant).execute("SELECT heading_path, masked_text FROM kb.chunks ORDER BY ordinal").fetchall()
    assert len(rows) > 3
    assert {heading for heading, _ in rows} == {"Long / Rules"}
    assert " ".join(text for _, text in rows) == sentences


def test_same_id_twice_is_refused(conn_as: ConnAs, tenant: Tenant) -> None:
    with pytest.raises(InvalidArticle, match="fees"):
        _ingest(conn_as, tenant, _article("fees", FEES), _article("fees", FEES))


async def test_search_without_vectors_uses_full_text_and_the_citation_opens_the_passage(
    conn_as: ConnAs, tenant: Tenant, pool: AsyncPool
) -> None:
    _ingest(conn_as, tenant, _article("refunds", REFUNDS), _article("fees", FEES))
    search = KnowledgeSearch(pool, None)
    query = masked_from_store("was the customer charged twice, and is the duplicate charge refunded?")
    found = await search.search(query, context=tenant.context("ai"), reader_roles=("support",))
    assert found[0].ref == "refunds#2"
    assert found[0].heading_path == "Refund policy / Duplicate charges"
    opened = await search.open_passage(found[0].cite().ref, context=tenant.context("ai"), reader_roles=("support",))
    assert opened.text == found[0].text


async def test_vectors_come_later_once_per_text_and_are_fused(conn_as: ConnAs, tenant: Tenant, pool: AsyncPool) -> None:
    _ingest(conn_as, tenant, _article("refunds", REFUNDS), _article("fees", FEES))
    embedder, jobs = HashedWords(), conn_as("jobs", tenant)
    assert embed_missing(jobs, embedder) == 4
    assert embed_missing(jobs, embedder) == 0
    _ingest(conn_as, tenant, _article("copy", REFUNDS))
    assert embed_missing(jobs, embedder) == 3
    assert embedder.texts_embedded == 4, "a vector of the same text is reused"
    search = KnowledgeSearch(pool, embedder)
    # No word in common for the text arm: only the vectors (first five letters) can find it.
    found = await search.search(masked_from_store("replacing cards"), context=tenant.context("ai"), reader_roles=("support",))
    assert found[0].ref == "fees#1"
    embedder.is_down = True
    found = await search.search(masked_from_store("card replacement"), context=tenant.context("ai"), reader_roles=("support",))
    assert found[0].ref == "fees#1", "full text alone while the embedding model is down"


async def test_readers_and_tenants_see_only_theirs(
    conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant, pool: AsyncPool
) -> None:
    _ingest(conn_as, tenant, _article("secret", FEES, reader_roles=("investigator",)))
    search, query = KnowledgeSearch(pool, None), masked_from_store("card replacement")
    assert await search.search(query, context=tenant.context("ai"), reader_roles=("support",)) == ()
    assert await search.search(query, context=other_tenant.context("ai"), reader_roles=("investigator",)) == ()
    assert len(await search.search(query, context=tenant.context("ai"), reader_roles=("investigator",))) == 1
    with pytest.raises(UnknownPassage):
        await search.open_passage("secret#1", context=tenant.context("ai"), reader_roles=("support",))
    with pytest.raises(InvalidPassageRef):
        await search.open_passage("secret; DROP", context=tenant.context("ai"), reader_roles=("support",))


@pytest.mark.parametrize("text", ["", "   ", "&|!():*'\\ <-> ", "http://x?a=1&b=2 'quoted' \"", "<PERSON_", "\u200b"])
async def test_odd_queries_find_nothing_and_raise_nothing(conn_as: ConnAs, tenant: Tenant, pool: AsyncPool, text: str) -> None:
    _ingest(conn_as, tenant, _article("fees", FEES))
    assert (
        await KnowledgeSearch(pool, None).search(masked_from_store(text), context=tenant.context("ai"), reader_roles=("support",))
        == ()
    )


def test_the_ai_role_cannot_write_articles(conn_as: ConnAs, tenant: Tenant) -> None:
    with pytest.raises(InsufficientPrivilege):
        conn_as("ai", tenant).execute("DELETE FROM kb.articles")
