-- name: find_passage
-- One passage of the knowledge base, only if one of the reader's roles may read it.
SELECT chunks.article_id, chunks.ordinal, chunks.heading_path, chunks.masked_text, articles.title, articles.language
FROM kb.chunks
INNER JOIN kb.articles USING (tenant_id, article_id)
WHERE
    chunks.tenant_id = %(tenant_id)s AND chunks.article_id = %(article_id)s AND chunks.ordinal = %(ordinal)s
    AND chunks.reader_roles && %(roles)s::TEXT[];
