-- name: find_operator
-- One person by sign-in name; inactive people are found too, so that their tries cost the same time.
SELECT operator_id, username, display_name, password_hash, roles, active
FROM core.operators
WHERE tenant_id = %(tenant_id)s AND username = %(username)s;

-- name: insert_session
-- A fresh session; only the digest of its token is kept.
INSERT INTO core.sessions (tenant_id, session_id, operator_id, token_sha256, csrf_token, kind, created_at, expires_at)
VALUES (%(tenant_id)s, %(session_id)s, %(operator_id)s, %(token_sha256)s, %(csrf_token)s, %(kind)s, %(created_at)s, %(expires_at)s);

-- name: find_session
-- The live session of a token with its person as he is now: roles taken away count at once.
SELECT
    sessions.session_id, sessions.csrf_token, sessions.kind, sessions.expires_at,
    operators.operator_id, operators.username, operators.display_name, operators.roles
FROM core.sessions
INNER JOIN core.operators USING (tenant_id, operator_id)
WHERE
    sessions.tenant_id = %(tenant_id)s AND sessions.token_sha256 = %(token_sha256)s
    AND sessions.revoked_at IS NULL AND sessions.expires_at > %(now)s AND operators.active;

-- name: revoke_session
-- Sign-out. A revoked session stays revoked.
UPDATE core.sessions SET revoked_at = %(now)s
WHERE tenant_id = %(tenant_id)s AND session_id = %(session_id)s AND revoked_at IS NULL;
