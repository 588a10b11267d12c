-- name: freeze
-- Stops every execution of this scope, authorized ones too; the function appends the event.
SELECT gate.freeze(%(freeze_id)s, %(scope)s, %(subject)s, %(frozen_by)s, %(reason)s, %(now)s);

-- name: thaw
-- Ends one freeze, in the name of another person than froze; the function appends the event.
SELECT gate.thaw(%(freeze_id)s, %(thawed_by)s, %(now)s);

-- name: list_freezes
-- Those that stand first, the latest first; of all, or one by its id, or those on exactly one thing.
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
WHERE
    (thawed_at IS NULL OR NOT %(standing_only)s)
    AND (%(freeze_id)s::TEXT IS NULL OR freeze_id = %(freeze_id)s)
    AND (%(scope)s::TEXT IS NULL OR (scope = %(scope)s AND subject = %(subject)s))
ORDER BY (thawed_at IS NULL) DESC, frozen_at DESC, freeze_id
LIMIT %(limit)s;

-- name: list_cases_of_freeze
-- The open cases that tell of a freeze.
SELECT cases.case_id FROM core.cases AS cases
WHERE cases.kind = 'gate_frozen' AND cases.subject = %(freeze_id)s AND cases.state = 'open';

-- name: find_operator
-- Whether such a person is known.
SELECT operators.operator_id FROM core.operators AS operators
WHERE operators.operator_id = %(operator_id)s;

-- name: lock_freezing
-- Two freezes of one tenant come one after the other.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('gate.freezing|' || %(tenant_id)s, 0));
