-- Reads. Each view is one statement, so one snapshot; each shows the tenant of the session only.

SET LOCAL ROLE ledger_owner;

-- Balances with holds and, for rolled-up accounts, with what is not folded in yet.
CREATE VIEW ledger.account_balances WITH (security_barrier) AS
SELECT
    accounts.tenant_id, accounts.code, accounts.currency,
    accounts.credits_posted_minor + tail.credits - accounts.debits_posted_minor - tail.debits AS balance_minor,
    accounts.debits_posted_minor + tail.debits AS debits_posted_minor, accounts.credits_posted_minor + tail.credits AS credits_posted_minor,
    accounts.debits_pending_minor + tail.held_debits AS debits_pending_minor,
    accounts.credits_pending_minor + tail.held_credits AS credits_pending_minor, accounts.version + tail.entries AS version,
    accounts.debits_must_not_exceed_credits, accounts.credits_must_not_exceed_debits, accounts.rolled_up, accounts.closed,
    accounts.stopped, accounts.created_at
FROM ledger.accounts
CROSS JOIN LATERAL (
    SELECT
        COALESCE(SUM(debits_posted_minor), 0)::BIGINT AS debits, COALESCE(SUM(credits_posted_minor), 0)::BIGINT AS credits,
        COALESCE(SUM(debits_pending_minor), 0)::BIGINT AS held_debits, COALESCE(SUM(credits_pending_minor), 0)::BIGINT AS held_credits,
        COALESCE(SUM(entries), 0)::BIGINT AS entries
    FROM ledger.tails
    WHERE accounts.rolled_up AND tails.tenant_id = accounts.tenant_id AND tails.account = accounts.account
) AS tail;

CREATE VIEW ledger.transfer_lines WITH (security_barrier) AS
SELECT
    transfers.tenant_id, transfers.transfer_id, ledger.name_of_kind(transfers.kind) AS kind, ledger.name_of_code(transfers.code) AS action_kind,
    'dec_' || REPLACE(transfers.decision_id::TEXT, '-', '') AS decision_id, transfers.target_id, debits.code AS debit, credits.code AS credit,
    transfers.amount_minor, debits.currency, transfers.debit_version, transfers.credit_version, transfers.debit_balance_after_minor,
    transfers.credit_balance_after_minor, transfers.hold_expires_at, transfers.flags, transfers.occurred_at, transfers.recorded_at
FROM ledger.transfers
INNER JOIN ledger.accounts AS debits ON transfers.tenant_id = debits.tenant_id AND transfers.debit_account = debits.account
INNER JOIN ledger.accounts AS credits ON transfers.tenant_id = credits.tenant_id AND transfers.credit_account = credits.account;

-- One line a side: the statement of an account. `signed_minor` is what the balance changed by, 0 for what only holds or releases.
CREATE VIEW ledger.account_entries WITH (security_barrier) AS
SELECT
    sides.tenant_id, accounts.code, accounts.currency, sides.version, sides.transfer_id, sides.side, ledger.name_of_kind(sides.kind) AS kind,
    sides.amount_minor,
    CASE WHEN sides.kind IN (1, 3, 6) THEN CASE sides.side WHEN 'credit' THEN sides.amount_minor ELSE -sides.amount_minor END ELSE 0 END
        AS signed_minor,
    sides.balance_after_minor, sides.occurred_at, sides.recorded_at
FROM (
    SELECT
        tenant_id, transfer_id, kind, amount_minor, debit_account AS account, 'debit' AS side, debit_version AS version,
        debit_balance_after_minor AS balance_after_minor, occurred_at, recorded_at
    FROM ledger.transfers
    UNION ALL
    SELECT
        tenant_id, transfer_id, kind, amount_minor, credit_account, 'credit', credit_version, credit_balance_after_minor, occurred_at,
        recorded_at
    FROM ledger.transfers
) AS sides
INNER JOIN ledger.accounts ON sides.tenant_id = accounts.tenant_id AND sides.account = accounts.account;

-- `difference_minor` is 0 for each currency, in any snapshot, or the ledger is broken.
CREATE VIEW ledger.trial_balance WITH (security_barrier) AS
SELECT
    tenant_id, currency, SUM(debits_posted_minor)::BIGINT AS debits_posted_minor, SUM(credits_posted_minor)::BIGINT AS credits_posted_minor,
    SUM(credits_posted_minor - debits_posted_minor)::BIGINT AS difference_minor, SUM(debits_pending_minor)::BIGINT AS debits_pending_minor,
    SUM(credits_pending_minor)::BIGINT AS credits_pending_minor
FROM (
    SELECT tenant_id, currency, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor FROM ledger.accounts
    UNION ALL
    SELECT
        tails.tenant_id, accounts.currency, tails.debits_posted_minor, tails.credits_posted_minor, tails.debits_pending_minor,
        tails.credits_pending_minor
    FROM ledger.tails
    INNER JOIN ledger.accounts ON tails.tenant_id = accounts.tenant_id AND tails.account = accounts.account
) AS parts
GROUP BY tenant_id, currency;

-- A transfer is its own event: this is the record that the log hashes, so what stands here for a transfer never changes.
-- The event has the transfer's UUID.
CREATE VIEW ledger.transfer_events WITH (security_barrier) AS
SELECT
    lines.tenant_id, lines.transfer_id AS event_id,
    CASE lines.kind
        WHEN 'posted' THEN 'ledger.transfer_posted' WHEN 'pending' THEN 'ledger.hold_placed' WHEN 'post' THEN 'ledger.hold_posted'
        WHEN 'void' THEN 'ledger.hold_voided' WHEN 'expire' THEN 'ledger.hold_expired' ELSE 'ledger.transfer_reversed'
    END AS event_type,
    'ledger' AS source, 'tfr_' || REPLACE(lines.transfer_id::TEXT, '-', '') AS subject, lines.occurred_at, lines.recorded_at,
    decisions.account_id, lines.decision_id AS idempotency_key, lines.amount_minor, lines.currency, decisions.outcome AS policy_decision,
    decisions.policy_version, decisions.score_ref AS model_score_ref, NULL::TEXT AS trace_id,
    JSONB_BUILD_OBJECT(
        'transfer_id', 'tfr_' || REPLACE(lines.transfer_id::TEXT, '-', ''), 'kind', lines.kind, 'code', lines.action_kind,
        'target_id', 'tfr_' || REPLACE(lines.target_id::TEXT, '-', ''), 'decision_id', lines.decision_id,
        'decision_event_id', decisions.event_id, 'proposal_id', decisions.proposal_id, 'action_digest', decisions.action_digest,
        'transfer_digest', ENCODE(decisions.transfer_digest, 'hex'), 'transaction_id', decisions.transaction_id,
        'account_id', decisions.account_id, 'amount_minor', lines.amount_minor, 'currency', lines.currency, 'debit', lines.debit,
        'debit_version', lines.debit_version, 'debit_balance_after_minor', lines.debit_balance_after_minor, 'credit', lines.credit,
        'credit_version', lines.credit_version, 'credit_balance_after_minor', lines.credit_balance_after_minor
    ) AS data
FROM ledger.transfer_lines AS lines
LEFT JOIN gate.decisions ON lines.tenant_id = decisions.tenant_id AND lines.decision_id = decisions.decision_id;

GRANT SELECT ON ledger.account_balances, ledger.transfer_lines, ledger.account_entries, ledger.trial_balance, ledger.transfer_events
TO executor, gate, edge, jobs, auditor, importer;

RESET ROLE;
