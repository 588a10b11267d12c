-- name: insert_bundle
-- Bundles are addressed by their content and never change.
INSERT INTO gate.policy_bundles (tenant_id, sha256, version, content, created_at)
VALUES (%(tenant_id)s, %(sha256)s, %(version)s, %(content)s, %(now)s)
ON CONFLICT (tenant_id, sha256) DO NOTHING;

-- name: find_bundle
-- The content of one bundle.
SELECT content FROM gate.policy_bundles
WHERE sha256 = %(sha256)s;

-- name: insert_shadow
-- What a candidate would have said.
INSERT INTO gate.shadow_decisions (tenant_id, decision_id, bundle_sha256, outcome, reasons, differs, decided_at)
VALUES (%(tenant_id)s, %(decision_id)s, %(bundle_sha256)s, %(outcome)s, %(reasons)s, %(differs)s, %(decided_at)s);

-- name: tally_shadow
-- How what a candidate said compares with what was decided.
SELECT
    decisions.outcome AS decided,
    shadows.outcome AS shadow,
    COUNT(*) AS decision_count
FROM gate.shadow_decisions AS shadows
INNER JOIN gate.decisions AS decisions USING (tenant_id, decision_id)
WHERE shadows.bundle_sha256 = %(sha256)s
GROUP BY decisions.outcome, shadows.outcome
ORDER BY decision_count DESC, decided, shadow;
