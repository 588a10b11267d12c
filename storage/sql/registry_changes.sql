-- name: lock_name
-- One change of a name at a time.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED(%(key)s, 0));

-- name: insert_change
-- Somebody asks for a version to be put in force.
INSERT INTO core.registry_changes (
    tenant_id, change_id, kind, name, version, sha256, base_version, target, percent, requested_by, requested_at, reason, drift
)
VALUES (
    %(tenant_id)s, %(change_id)s, %(kind)s, %(name)s, %(version)s, %(sha256)s, %(base_version)s, %(target)s, %(percent)s,
    %(requested_by)s, %(requested_at)s, %(reason)s, %(drift)s
);

-- name: find_change
-- One change.
SELECT * FROM core.registry_changes
WHERE change_id = %(change_id)s;

-- name: list_changes
-- The changes of a name, the latest first.
SELECT * FROM core.registry_changes
WHERE kind = %(kind)s AND name = %(name)s
ORDER BY requested_at DESC, change_id DESC
LIMIT %(limit)s;

-- name: end_change
-- A change ends once.
UPDATE core.registry_changes
SET state = %(state)s, decided_by = %(decided_by)s, decided_at = %(now)s
WHERE change_id = %(change_id)s AND state = 'open';
