-- name: find_administrator
-- Who answers for it.
SELECT operator_id FROM core.operators
WHERE tenant_id = %(tenant_id)s AND username = %(username)s AND active AND 'admin' = ANY(roles);
