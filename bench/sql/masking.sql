-- name: list_reveals
-- Which token was revealed in which conversation, by whom.
SELECT DISTINCT
    reveals.scope_id,
    reveals.token
FROM vault.pii_reveals AS reveals
WHERE reveals.tenant_id = %(tenant_id)s AND reveals.scope = 'conversation' AND reveals.actor = %(actor)s;
