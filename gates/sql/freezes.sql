-- name: freeze
-- Stops every execution of this scope, authorized ones too; the function appends the event.
SELECT gate.freeze(%(freeze_id)s, %(scope)s, %(subject)s, %(frozen_by)s, %(reason)s, %(now)s);

-- name: thaw
-- Ends one freeze, in the name of another person than froze; the function appends the event.
SELECT gate.thaw(%(freeze_id)s, %(thawed_by)s, %(now)s);

-- name: find_freeze
-- One freeze of the tenant.
SELECT
    freeze_id,
    scope,
    subject,
    frozen_by,
    frozen_at,
    reason,
    thawed_by,
    thawed_at
FROM gate.freezes
WHERE freeze_id = %(freeze_id)s;

-- name: find_standing_freeze
-- The freeze that stands on exactly this.
SELECT
    freeze_id,
    scope,
    subject,
    frozen_by,
    frozen_at,
    reason,
    thawed_by,
    thawed_at
FROM gate.freezes
WHERE scope = %(scope)s AND subject = %(subject)s AND thawed_at IS NULL
ORDER BY frozen_at, freeze_id
LIMIT 1;

-- name: list_freezes
-- Those that stand first, the latest first.
SELECT
    freeze_id,
    scope,
    subject,
    frozen_by,
    frozen_at,
    reason,
    thawed_by,
    thawed_at
FROM gate.freezes
WHERE thawed_at IS NULL OR NOT %(standing_only)s
ORDER BY (thawed_at IS NULL) DESC, frozen_at DESC, freeze_id
LIMIT %(limit)s;

-- name: find_operator
-- Whether such a person is known.
SELECT operators.operator_id FROM core.operators AS operators
WHERE operators.operator_id = %(operator_id)s;

-- name: lock_freezing
-- Two freezes of one tenant come one after the other.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('gate.freezing|' || %(tenant_id)s, 0));
