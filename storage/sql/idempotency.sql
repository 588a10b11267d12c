-- name: try_lock_key
-- False while another transaction works on the same key.
SELECT PG_TRY_ADVISORY_XACT_LOCK(
    HASHTEXTEXTENDED(CONCAT_WS(CHR(31), 'tellergate.key', core.current_tenant(), %(scope)s::TEXT, %(key)s::TEXT), 0)
);

-- name: find_response
-- What was answered, and to which body.
SELECT
    body_digest,
    response
FROM core.idempotency_keys
WHERE scope = %(scope)s AND key = %(key)s;

-- name: insert_response
-- Once: the primary key refuses a second answer.
INSERT INTO core.idempotency_keys (tenant_id, scope, key, body_digest, response, created_at)
VALUES (%(tenant_id)s, %(scope)s, %(key)s, %(body_digest)s, %(response)s, %(created_at)s);
