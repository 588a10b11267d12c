-- name: list_incidents
-- Cases of these kinds with who looks after them: open ones nobody acknowledged first, then the latest.
SELECT
    cases.*,
    acknowledgements.acknowledged_by,
    acknowledgements.acknowledged_at,
    acknowledgements.note AS acknowledgement_note
FROM core.cases
LEFT JOIN core.incident_acknowledgements AS acknowledgements
    ON cases.tenant_id = acknowledgements.tenant_id AND cases.case_id = acknowledgements.case_id
WHERE
    cases.kind = ANY(%(kinds)s)
    AND (%(state)s::TEXT IS NULL OR cases.state = %(state)s)
    AND (%(case_id)s::TEXT IS NULL OR cases.case_id = %(case_id)s)
ORDER BY
    cases.state = 'open' DESC, acknowledgements.acknowledged_at IS NULL DESC, cases.opened_at DESC, cases.case_id DESC
LIMIT %(limit)s;

-- name: insert_acknowledgement
-- The first one stands; no row comes back for a later one.
INSERT INTO core.incident_acknowledgements (tenant_id, case_id, acknowledged_by, acknowledged_at, note)
SELECT (SELECT core.CURRENT_TENANT()), %(case_id)s, %(acknowledged_by)s, %(now)s, %(note)s
ON CONFLICT DO NOTHING
RETURNING tenant_id;
