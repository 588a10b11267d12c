-- name: read_server_facts
-- What the manifest says of the server, in one moment.
SELECT
    CURRENT_SETTING('server_version') AS postgres_version,
    CLOCK_TIMESTAMP() AS now,
    CURRENT_SETTING('archive_mode') AS archive_mode,
    (SELECT SUM(PG_DATABASE_SIZE(oid)) FROM pg_database)::BIGINT AS data_bytes;

-- name: list_schema_files
-- Which files built the schema, to be bound by one digest.
SELECT
    name,
    sha256
FROM core.schema_files
ORDER BY name;

-- name: list_tenants
-- Whose rows and keys these are.
SELECT tenant_id
FROM core.tenants
ORDER BY tenant_id;

-- name: read_archiver
-- Does the archive keep up? The failure counts only while it is newer than the last success.
SELECT
    last_archived_wal,
    last_archived_time,
    CASE WHEN last_failed_time > COALESCE(last_archived_time, '-infinity') THEN last_failed_wal END AS failing_wal,
    CASE WHEN last_failed_time > COALESCE(last_archived_time, '-infinity') THEN last_failed_time END AS failing_since
FROM pg_stat_archiver;

-- name: read_position
-- Where a recovered server stands.
SELECT
    PG_CURRENT_WAL_LSN()::TEXT AS lsn,
    (SELECT timeline_id FROM PG_CONTROL_CHECKPOINT()) AS timeline;
