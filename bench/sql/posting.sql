-- name: set_session_context
-- FALSE: for the session, as a connection of one tenant would have it.
SELECT SET_CONFIG('tellergate.context', %(context)s, FALSE);

-- name: insert_decision
-- As role gate: the one decision that allows all transfers of a reading.
INSERT INTO gate.decisions (
    tenant_id, decision_id, proposal_id, outcome, action, action_digest, action_kind, amount_minor, currency, reasons, origins, facts,
    facts_digest, score, score_reasons, score_ref, policy_bundle_sha256, policy_version, engine_version, prompt_id, prompt_sha256,
    model, operator_id, decided_at, expires_at, event_id
)
SELECT
    %(tenant_id)s, %(decision_id)s, %(proposal_id)s, 'allow', action, gate.digest_of_flat(action), 'payment', 1, %(currency)s, '[]', '[]', '{}',
    REPEAT('0', 64), 0, '[]', 'bench', REPEAT('0', 64), 'bench', 'bench', 'bench', REPEAT('0', 64), 'none', 'opr_bench', %(now)s,
    %(now)s::TIMESTAMPTZ + INTERVAL '60 seconds', %(event_id)s
FROM (
    SELECT JSONB_BUILD_OBJECT(
        'tenant_id', %(tenant_id)s::TEXT, 'proposal_id', %(proposal_id)s::TEXT, 'kind', 'payment', 'amount_minor', 1, 'currency',
        %(currency)s::TEXT, 'transaction_id', NULL, 'customer_id', NULL, 'account_id', NULL
    ) AS action
) AS made;

-- name: insert_authorizations
-- As role gate. They live 60 s from now on.
INSERT INTO gate.authorizations (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until)
SELECT %(tenant_id)s, id, %(decision_uuid)s, digest, %(now)s, %(now)s::TIMESTAMPTZ + INTERVAL '60 seconds'
FROM UNNEST(%(ids)s::UUID[], %(digests)s::BYTEA[]) AS allowed (id, digest);

-- name: delete_authorizations
-- As administrator: what a reading did not use.
DELETE FROM gate.authorizations WHERE tenant_id = %(tenant_id)s;

-- name: vacuum_authorizations
-- As administrator, between readings, so that none pays for the one before.
VACUUM ANALYZE gate.authorizations;

-- name: count_transfers
-- As administrator: those with ids from one to before another.
SELECT COUNT(*) FROM ledger.transfers
WHERE tenant_id = %(tenant_id)s AND transfer_id >= %(first_id)s::UUID AND transfer_id < %(end_id)s::UUID;

-- name: find_difference
-- As role auditor: what the books are out by, over all currencies.
SELECT COALESCE(SUM(ABS(difference_minor)), 0) FROM ledger.trial_balance;

-- name: find_size
-- As administrator: bytes of all parts of the transfers with their indexes, and rows.
SELECT
    (SELECT SUM(PG_TOTAL_RELATION_SIZE(relid)) FROM PG_PARTITION_TREE('ledger.transfers') WHERE isleaf)::BIGINT,
    (SELECT COUNT(*) FROM ledger.transfers);

-- name: roll_up
-- As role jobs.
SELECT ledger.roll_up();
