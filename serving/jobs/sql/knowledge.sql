-- name: has_knowledge_run
-- Was exactly this set of articles taken in already?
SELECT EXISTS(
    SELECT 1 FROM core.ingest_runs
    WHERE tenant_id = %(tenant_id)s AND kind = 'knowledge' AND file_sha256 = %(file_sha256)s AND state = 'done'
);

-- name: note_knowledge_run
-- It is in, in the transaction that brought it in.
INSERT INTO core.ingest_runs (tenant_id, ingest_id, kind, file_sha256, state, rows_read, rows_changed, started_at, finished_at)
VALUES (%(tenant_id)s, %(ingest_id)s, 'knowledge', %(file_sha256)s, 'done', %(rows_read)s, %(rows_changed)s, %(now)s, %(now)s);
