-- name: insert_bundle
-- Bundles are addressed by their content and never change.
INSERT INTO gate.policy_bundles (tenant_id, sha256, version, content, created_at)
VALUES (%(tenant_id)s, %(sha256)s, %(version)s, %(content)s, %(now)s)
ON CONFLICT (tenant_id, sha256) DO NOTHING;

-- name: find_bundle
-- The content of one bundle.
SELECT content FROM gate.policy_bundles
WHERE sha256 = %(sha256)s;
