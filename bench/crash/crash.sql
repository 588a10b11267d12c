-- name: insert_decision
-- As role gate: one decision that allows what a caller asks in one round. After a lost answer it is sent again.
INSERT INTO gate.decisions (
    tenant_id, decision_id, proposal_id, outcome, action, action_digest, action_kind, amount_minor, currency, reasons, origins, facts,
    facts_digest, score, score_reasons, score_ref, policy_bundle_sha256, policy_version, engine_version, prompt_id, prompt_sha256,
    model, operator_id, decided_at, expires_at, event_id
)
SELECT
    %(tenant_id)s, %(decision_id)s, %(proposal_id)s, 'allow', action, gate.digest_of_flat(action), 'payment', 1, 'EUR', '[]', '[]', '{}',
    REPEAT('0', 64), 0, '[]', 'crash', REPEAT('0', 64), 'crash', 'crash', 'crash', REPEAT('0', 64), 'none', 'opr_crash', %(now)s,
    %(now)s::TIMESTAMPTZ + INTERVAL '60 seconds', %(event_id)s
FROM (
    SELECT JSONB_BUILD_OBJECT(
        'tenant_id', %(tenant_id)s::TEXT, 'proposal_id', %(proposal_id)s::TEXT, 'kind', 'payment', 'amount_minor', 1, 'currency', 'EUR',
        'transaction_id', NULL, 'customer_id', NULL, 'account_id', NULL
    ) AS action
) AS made
WHERE NOT EXISTS (SELECT FROM gate.decisions WHERE tenant_id = %(tenant_id)s AND decision_id = %(decision_id)s);

-- name: insert_authorizations
-- As role gate. After a lost answer it is sent again: what stands already stays.
INSERT INTO gate.authorizations (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until)
SELECT %(tenant_id)s, id, %(decision_uuid)s, digest, %(now)s, %(now)s::TIMESTAMPTZ + INTERVAL '60 seconds'
FROM UNNEST(%(ids)s::UUID[], %(digests)s::BYTEA[]) AS allowed (id, digest)
WHERE NOT EXISTS (SELECT FROM gate.authorizations WHERE tenant_id = %(tenant_id)s AND transfer_id = id);

-- name: count_written
-- As role gate: how many of these ids the ledger has accepted or refused for good.
SELECT
    COUNT(*)
FROM (
    SELECT transfer_id FROM ledger.transfer_lines
    UNION ALL
    SELECT transfer_id FROM ledger.refusals
) AS written
WHERE transfer_id = ANY(%(ids)s::UUID[]);

-- name: find_trial_balance
-- As role auditor, in one snapshot: what the books are out by, over all currencies, and what is posted in all.
SELECT COALESCE(SUM(ABS(difference_minor)), 0)::BIGINT, COALESCE(SUM(debits_posted_minor), 0)::BIGINT FROM ledger.trial_balance;

-- name: count_overdrawn
-- As role auditor: accounts beyond their limit.
SELECT COUNT(*) FROM ledger.account_balances
WHERE
    (debits_must_not_exceed_credits AND debits_posted_minor + debits_pending_minor > credits_posted_minor)
    OR (credits_must_not_exceed_debits AND credits_posted_minor + credits_pending_minor > debits_posted_minor);

-- name: list_executor_backends
-- As administrator.
SELECT pid FROM pg_stat_activity WHERE usename = 'executor' AND backend_type = 'client backend' ORDER BY pid;

-- name: cut_connection
-- As administrator.
SELECT PG_TERMINATE_BACKEND(%(pid)s);

-- name: list_accounts
-- As administrator, as all below: the stored sums with the tails, and the entries that the tails stand for.
SELECT
    accounts.account, code, currency, debits_must_not_exceed_credits, credits_must_not_exceed_debits, rolled_up,
    accounts.debits_posted_minor + COALESCE(tail.debits, 0), accounts.credits_posted_minor + COALESCE(tail.credits, 0),
    accounts.debits_pending_minor + COALESCE(tail.held_debits, 0), accounts.credits_pending_minor + COALESCE(tail.held_credits, 0),
    accounts.version + COALESCE(tail.entries, 0)
FROM ledger.accounts
LEFT JOIN (
    SELECT
        account, SUM(debits_posted_minor)::BIGINT AS debits, SUM(credits_posted_minor)::BIGINT AS credits,
        SUM(debits_pending_minor)::BIGINT AS held_debits, SUM(credits_pending_minor)::BIGINT AS held_credits, SUM(entries)::BIGINT AS entries
    FROM ledger.tails WHERE tenant_id = %(tenant_id)s GROUP BY account
) AS tail ON accounts.account = tail.account
WHERE accounts.tenant_id = %(tenant_id)s;

-- name: list_transfers
-- Every row.
SELECT
    transfer_id, kind, debit_account, credit_account, amount_minor, debit_version, credit_version, debit_balance_after_minor,
    credit_balance_after_minor, code, flags, target_id, hold_expires_at, decision_id, occurred_at, recorded_at
FROM ledger.transfers WHERE tenant_id = %(tenant_id)s;

-- name: list_holds
-- Every row.
SELECT transfer_id, amount_minor, state, posted_minor, resolved_by FROM ledger.holds WHERE tenant_id = %(tenant_id)s;

-- name: list_reversals
-- Every row.
SELECT transfer_id, amount_minor, reversed_minor FROM ledger.reversals WHERE tenant_id = %(tenant_id)s;

-- name: list_refusals
-- Every row.
SELECT transfer_id, code FROM ledger.refusals WHERE tenant_id = %(tenant_id)s;

-- name: list_authorizations
-- Every row.
SELECT transfer_id FROM gate.authorizations WHERE tenant_id = %(tenant_id)s;

-- name: list_waiting_events
-- Every row.
SELECT event_id FROM core.events_unsequenced WHERE tenant_id = %(tenant_id)s;

-- name: list_placed_events
-- In their order.
SELECT position, event_id, leaf_hash FROM core.event_positions WHERE tenant_id = %(tenant_id)s ORDER BY position;

-- name: find_last_checkpoint
-- Size and root.
SELECT tree_size, root FROM gate.checkpoints WHERE tenant_id = %(tenant_id)s ORDER BY tree_size DESC LIMIT 1;
