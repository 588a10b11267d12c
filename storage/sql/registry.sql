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

-- name: list_aliases
-- What each alias of a name stands for.
SELECT
    aliases.alias,
    aliases.version,
    artifacts.sha256,
    aliases.percent
FROM core.registry_aliases AS aliases
INNER JOIN core.registry_artifacts AS artifacts USING (tenant_id, kind, name, version)
WHERE aliases.kind = %(kind)s AND aliases.name = %(name)s;

-- name: list_artifacts
-- Every version of a name.
SELECT * FROM core.registry_artifacts
WHERE kind = %(kind)s AND name = %(name)s
ORDER BY created_at DESC, version DESC;

-- name: insert_move
-- The record that an alias moves with. A trigger says who may.
INSERT INTO core.registry_moves (
    tenant_id, kind, name, alias, from_version, to_version, percent, change_id, moved_by, approved_by, reason, moved_at
)
VALUES (
    %(tenant_id)s, %(kind)s, %(name)s, %(alias)s, %(from_version)s, %(to_version)s, %(percent)s, %(change_id)s, %(moved_by)s,
    %(approved_by)s, %(reason)s, %(moved_at)s
);

-- name: move_alias
-- First or next move of an alias.
INSERT INTO core.registry_aliases (tenant_id, kind, name, alias, version, percent, moved_at, moved_by)
VALUES (%(tenant_id)s, %(kind)s, %(name)s, %(alias)s, %(to_version)s, %(percent)s, %(moved_at)s, %(moved_by)s)
ON CONFLICT (tenant_id, kind, name, alias) DO UPDATE
    SET version = excluded.version, percent = excluded.percent, moved_at = excluded.moved_at, moved_by = excluded.moved_by;

-- name: list_moves
-- The moves of an alias, the latest first.
SELECT
    tenant_id, kind, name, alias, from_version, to_version, percent, change_id, moved_by, approved_by, reason, moved_at
FROM core.registry_moves
WHERE kind = %(kind)s AND name = %(name)s AND alias = %(alias)s
ORDER BY ordinal DESC;

-- name: find_approved
-- The version in force, if it has this content and came into force once by two people or by the release.
SELECT artifacts.*
FROM core.registry_aliases AS aliases
INNER JOIN core.registry_artifacts AS artifacts USING (tenant_id, kind, name, version)
WHERE
    aliases.kind = %(kind)s AND aliases.name = %(name)s AND aliases.alias = %(alias)s AND artifacts.sha256 = %(sha256)s
    AND EXISTS (
        SELECT 1
        FROM core.registry_moves AS moves
        WHERE
            moves.tenant_id = aliases.tenant_id AND moves.kind = aliases.kind AND moves.name = aliases.name
            AND moves.alias = aliases.alias AND moves.to_version = aliases.version AND moves.approved_by <> moves.moved_by
    );

-- name: set_state
-- How far a version has come.
UPDATE core.registry_artifacts
SET state = %(state)s
WHERE kind = %(kind)s AND name = %(name)s AND version = %(version)s;

-- name: list_names
-- Every name that something is registered under.
SELECT DISTINCT
    kind,
    name
FROM core.registry_artifacts
ORDER BY kind, name;
