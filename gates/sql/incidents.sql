-- name: count_undecided
-- How many acts could not be decided in a half-open window, and the latest of them.
SELECT
    COUNT(*) AS decisions,
    (ARRAY_AGG(decisions.decision_id ORDER BY decisions.decided_at DESC, decisions.decision_id DESC))[1] AS latest_decision_id
FROM gate.decisions AS decisions
WHERE
    decisions.reasons @> '[{"code": "could_not_decide"}]'
    AND decisions.decided_at > %(since)s
    AND decisions.decided_at <= %(now)s;

-- name: list_untold_freezes
-- Freezes since then, and standing ones, that no case tells of.
SELECT freezes.freeze_id, freezes.scope, freezes.subject, freezes.frozen_by, freezes.frozen_at
FROM gate.freezes AS freezes
WHERE
    (freezes.thawed_at IS NULL OR freezes.frozen_at > %(since)s)
    AND NOT EXISTS (
        SELECT FROM core.cases
        WHERE cases.tenant_id = freezes.tenant_id AND cases.kind = 'gate_frozen' AND cases.opened_for = freezes.freeze_id
    )
ORDER BY freezes.frozen_at, freezes.freeze_id
LIMIT 100;
