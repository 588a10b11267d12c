-- name: execute_decision
-- The way of a decision; the role executor may make this call and the two below, and write nothing else.
SELECT * FROM ledger.execute_decision(%(decision_id)s, %(transfer_id)s, %(now)s);

-- name: post_one
-- One request of any kind.
SELECT * FROM ledger.post_one(
    %(transfer_id)s, %(kind)s::SMALLINT, %(debit)s, %(credit)s, %(amount_minor)s::BIGINT, %(currency)s, %(code)s::SMALLINT, %(occurred_at)s,
    %(now)s, %(target_id)s::UUID, %(hold_expires_at)s::TIMESTAMPTZ, %(flags)s::SMALLINT
);

-- name: post_many
-- Requests and answers by column.
SELECT
    answers.codes,
    answers.refused,
    answers.amounts,
    answers.debit_versions,
    answers.credit_versions,
    answers.debit_balances,
    answers.credit_balances,
    answers.recorded_at
FROM
    ledger.post_many(%(batch)s::ledger.request_batch, %(now)s, %(writer_epoch)s::BIGINT) AS answers;

-- name: claim_writer
-- The epoch of the one batching writer of the tenant.
SELECT ledger.claim_writer(%(now)s);
