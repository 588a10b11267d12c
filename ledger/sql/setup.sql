-- name: define_account
-- TRUE when it was not there before.
SELECT ledger.DEFINE_ACCOUNT(
    %(code)s, %(currency)s, %(debits_must_not_exceed_credits)s, %(credits_must_not_exceed_debits)s, %(rolled_up)s, %(now)s
);

-- name: close_account
-- TRUE when it was open before.
SELECT ledger.CLOSE_ACCOUNT(%(code)s, %(currency)s, %(now)s);

-- name: stop_account
-- TRUE when it was not stopped before.
SELECT ledger.STOP_ACCOUNT(%(code)s, %(currency)s, %(reason)s, %(now)s);

-- name: resume_account
-- TRUE when it was stopped before.
SELECT ledger.RESUME_ACCOUNT(%(code)s, %(currency)s, %(reason)s, %(now)s);

-- name: set_chart_line
-- The tenant's own line takes the place of the default one with the same prefix; accounts that are open keep their flags.
INSERT INTO ledger.chart AS charts (
    tenant_id, prefix, title, class, debits_must_not_exceed_credits, credits_must_not_exceed_debits, rolled_up
)
VALUES (
    (SELECT core.CURRENT_TENANT()), %(prefix)s, %(title)s, %(account_class)s, %(debits_must_not_exceed_credits)s,
    %(credits_must_not_exceed_debits)s, %(rolled_up)s
)
ON CONFLICT (tenant_id, prefix) DO UPDATE SET
    title = excluded.title, class = excluded.class, debits_must_not_exceed_credits = excluded.debits_must_not_exceed_credits,
    credits_must_not_exceed_debits = excluded.credits_must_not_exceed_debits, rolled_up = excluded.rolled_up;

-- name: list_chart
-- What is in force: the tenant's own lines, and the default ones that it has not replaced.
SELECT
    prefix,
    title,
    class AS account_class,
    debits_must_not_exceed_credits,
    credits_must_not_exceed_debits,
    rolled_up,
    TRUE AS is_own
FROM ledger.chart
UNION ALL
SELECT
    prefix,
    title,
    class AS account_class,
    debits_must_not_exceed_credits,
    credits_must_not_exceed_debits,
    rolled_up,
    FALSE AS is_own
FROM ledger.default_chart
WHERE NOT EXISTS (SELECT FROM ledger.chart WHERE chart.prefix = default_chart.prefix)
ORDER BY prefix;

-- name: import_transfers
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
FROM ledger.IMPORT_TRANSFERS(%(batch)s::ledger.REQUEST_BATCH, %(now)s) AS answers;
