-- name: insert_artifact
-- The caller compares the hash afterwards: the first content of a version stays.
INSERT INTO core.registry_artifacts (
    tenant_id, kind, name, version, sha256, location, lineage, state, approvals, created_at
)
VALUES (
    %(tenant_id)s, %(kind)s, %(name)s, %(version)s, %(sha256)s, %(location)s, %(lineage)s, %(state)s, %(approvals)s,
    %(created_at)s
)
ON CONFLICT (tenant_id, kind, name, version) DO NOTHING;

-- name: find_artifact
-- One version.
SELECT * FROM core.registry_artifacts
WHERE kind = %(kind)s AND name = %(name)s AND version = %(version)s;

-- name: resolve_alias
-- The version that an alias stands for.
SELECT artifacts.*
FROM core.registry_aliases AS aliases
INNER JOIN core.registry_artifacts AS artifacts USING (tenant_id, kind, name, version)
WHERE aliases.kind = %(kind)s AND aliases.name = %(name)s AND aliases.alias = %(alias)s;

-- name: move_alias
-- First or next move of an alias.
INSERT INTO core.registry_aliases (tenant_id, kind, name, alias, version, moved_at, moved_by)
VALUES (%(tenant_id)s, %(kind)s, %(name)s, %(alias)s, %(version)s, %(now)s, %(moved_by)s)
ON CONFLICT (tenant_id, kind, name, alias) DO UPDATE
    SET version = excluded.version, moved_at = excluded.moved_at, moved_by = excluded.moved_by;

-- name: set_state
-- How far a version has come.
UPDATE core.registry_artifacts
SET state = %(state)s
WHERE kind = %(kind)s AND name = %(name)s AND version = %(version)s;
