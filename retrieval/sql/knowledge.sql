-- name: search_by_text
-- Any word of the question may match; headings weigh more; the tenant comes from the row policy, the reader's roles from the caller.
SELECT
    chunks.article_id, chunks.ordinal, articles.title, chunks.heading_path, chunks.masked_text,
    TS_RANK_CD(chunks.search, words.query, 1)::FLOAT8 AS score
FROM kb.chunks
INNER JOIN kb.articles USING (tenant_id, article_id)
CROSS JOIN (
    SELECT REPLACE(PLAINTO_TSQUERY('pg_catalog.english', %(query)s)::TEXT, '&', '|')::TSQUERY AS query
) AS words
WHERE chunks.search @@ words.query AND chunks.reader_roles && %(reader_roles)s::TEXT[]
ORDER BY score DESC, chunks.article_id, chunks.ordinal
LIMIT %(top_k)s;

-- name: search_by_vector
-- Nearest by cosine among the vectors of the same model.
SELECT
    chunks.article_id, chunks.ordinal, articles.title, chunks.heading_path, chunks.masked_text,
    1 - (chunks.embedding <=> %(embedding)s::VECTOR(384)) AS score
FROM kb.chunks
INNER JOIN kb.articles USING (tenant_id, article_id)
WHERE
    chunks.embedding IS NOT NULL
    AND chunks.embedding_model = %(embedding_model)s
    AND chunks.reader_roles && %(reader_roles)s::TEXT[]
ORDER BY chunks.embedding <=> %(embedding)s::VECTOR(384)
LIMIT %(top_k)s;

-- name: set_vector_scan
-- Filters after an approximate index lose rows; let the index scan go on until the limit is full.
SELECT SET_CONFIG('hnsw.iterative_scan', 'strict_order', TRUE);

-- name: find_passage
-- The very chunk that a citation names.
SELECT chunks.article_id, chunks.ordinal, articles.title, chunks.heading_path, chunks.masked_text, 0::FLOAT8 AS score
FROM kb.chunks
INNER JOIN kb.articles USING (tenant_id, article_id)
WHERE
    chunks.article_id = %(article_id)s
    AND chunks.ordinal = %(ordinal)s
    AND chunks.reader_roles && %(reader_roles)s::TEXT[];

-- name: list_article_hashes
-- What is indexed already, by content.
SELECT article_id, content_sha256 FROM kb.articles;

-- name: insert_article
-- One article; its chunks follow.
INSERT INTO kb.articles (tenant_id, article_id, title, language, reader_roles, content_sha256, source, indexed_at)
VALUES (
    %(tenant_id)s, %(article_id)s, %(title)s, %(language)s, %(reader_roles)s, %(content_sha256)s, %(source)s, %(indexed_at)s
);

-- name: insert_chunk
-- One chunk; its vector comes later unless the same text of the same model is known.
INSERT INTO kb.chunks (tenant_id, article_id, ordinal, heading_path, masked_text, text_sha256, reader_roles)
VALUES (
    %(tenant_id)s, %(article_id)s, %(ordinal)s, %(heading_path)s, %(masked_text)s, %(text_sha256)s, %(reader_roles)s
);

-- name: delete_article
-- An article and, by cascade, its chunks.
DELETE FROM kb.articles WHERE article_id = %(article_id)s;

-- name: list_unembedded
-- Chunks without a vector of this model, oldest article first.
SELECT article_id, ordinal, heading_path, masked_text, text_sha256
FROM kb.chunks
WHERE embedding_model IS DISTINCT FROM %(embedding_model)s
ORDER BY article_id, ordinal
LIMIT %(batch_size)s;

-- name: find_embedding
-- A vector of the same text by the same model: embedding twice is waste.
SELECT embedding::TEXT
FROM kb.chunks
WHERE text_sha256 = %(text_sha256)s AND embedding_model = %(embedding_model)s
ORDER BY article_id, ordinal
LIMIT 1;

-- name: update_embedding
-- Keep a vector with the name of its model.
UPDATE kb.chunks
SET embedding = %(embedding)s::VECTOR(384), embedding_model = %(embedding_model)s
WHERE article_id = %(article_id)s AND ordinal = %(ordinal)s AND text_sha256 = %(text_sha256)s;
