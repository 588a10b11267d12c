-- name: erase_subject
-- Take a subject's data key away; returns the tombstone, the first one's when there is one already.
SELECT
    subject_id,
    erased_at,
    actor,
    reason,
    values_erased,
    surfaces_erased,
    event_id
FROM vault.erase_subject(%(actor)s, %(reason)s, %(subject_id)s, %(now)s, %(event_id)s);

-- name: find_last_rotation
-- The version that the last rotation goes to, and whether it is over.
SELECT
    to_version,
    finished_at IS NOT NULL AS finished
FROM vault.key_rotations
WHERE tenant_id = %(tenant_id)s
ORDER BY to_version DESC
LIMIT 1;

-- name: count_stale_keys
-- How many data keys does an older key of the tenant wrap?
SELECT COUNT(*) FROM vault.data_keys
WHERE tenant_id = %(tenant_id)s AND wrap_version < %(version)s;

-- name: insert_rotation
-- A rotation begins once.
INSERT INTO vault.key_rotations (tenant_id, to_version, actor, started_at)
VALUES (%(tenant_id)s, %(version)s, %(actor)s, %(now)s)
ON CONFLICT DO NOTHING;

-- name: list_stale_keys
-- Data keys that wait; nobody else changes one until the transaction ends. Shape: subject_id, key_version, wrapped_key, wrap_version.
SELECT
    subject_id,
    key_version,
    wrapped_key,
    wrap_version
FROM vault.list_stale_keys(%(version)s::SMALLINT, %(limit)s);

-- name: rewrap_data_keys
-- Put data keys under a later key of the tenant.
SELECT vault.rewrap_data_keys(%(subjects)s::TEXT[], %(wrapped)s::BYTEA[], %(version)s::SMALLINT);

-- name: finish_rotation
-- Nothing waits any more.
UPDATE vault.key_rotations SET finished_at = %(now)s
WHERE tenant_id = %(tenant_id)s AND to_version = %(version)s AND finished_at IS NULL;
