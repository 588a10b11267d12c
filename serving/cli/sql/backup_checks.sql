-- name: list_tenants
-- Whose data came back.
SELECT tenant_id
FROM core.tenants
ORDER BY tenant_id;

-- name: lift_statement_timeout
-- A check of everything takes as long as it takes.
SET statement_timeout = 0;

-- name: set_session_context
-- For the checks of one tenant.
SELECT SET_CONFIG('tellergate.context', %(context)s, FALSE);

-- name: read_current_tenant
-- What the database takes our context for.
SELECT core.current_tenant();

-- name: find_last_transfer
-- The last money that moved, for a person to compare with the bank's own list. The ids begin with their time.
SELECT
    transfer_id::TEXT,
    recorded_at
FROM ledger.transfer_lines
ORDER BY transfer_id DESC
LIMIT 1;

-- name: sample_decisions
-- The newest and the oldest, at both ends of the log.
(SELECT decision_id FROM gate.decisions ORDER BY decision_id DESC LIMIT %(newest)s)
UNION
(SELECT decision_id FROM gate.decisions ORDER BY decision_id LIMIT %(oldest)s);

-- name: sample_sealed_values
-- The newest and the oldest sealed values with their data keys, in the shape that the vault opens.
WITH chosen AS (
    (
        SELECT tenant_id, token, subject_id, class, ciphertext, key_version
        FROM vault.pii_values
        WHERE tenant_id = %(tenant_id)s
        ORDER BY created_at DESC
        LIMIT %(values)s
    )
    UNION
    (
        SELECT tenant_id, token, subject_id, class, ciphertext, key_version
        FROM vault.pii_values
        WHERE tenant_id = %(tenant_id)s
        ORDER BY created_at
        LIMIT %(values)s
    )
)

SELECT
    chosen.token,
    chosen.class,
    NULL::INTEGER AS ordinal,
    chosen.subject_id,
    chosen.ciphertext,
    chosen.key_version,
    data_keys.wrapped_key,
    data_keys.wrap_version
FROM chosen
INNER JOIN vault.data_keys AS data_keys ON chosen.tenant_id = data_keys.tenant_id AND chosen.subject_id = data_keys.subject_id;
