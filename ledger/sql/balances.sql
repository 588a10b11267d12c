-- name: find_balances
-- Several accounts in one statement, so in one snapshot.
SELECT
    code,
    currency,
    balance_minor,
    debits_posted_minor,
    credits_posted_minor,
    debits_pending_minor,
    credits_pending_minor,
    version
FROM ledger.account_balances
WHERE code = ANY(%(codes)s)
ORDER BY code, currency;

-- name: list_trial_balance
-- One line per currency; debits and credits are equal or the ledger is broken.
SELECT
    currency,
    debits_posted_minor::BIGINT AS debits_posted_minor,
    credits_posted_minor::BIGINT AS credits_posted_minor
FROM ledger.trial_balance
ORDER BY currency;

-- name: list_drift
-- Accounts that differ from their entries; none, or the ledger is broken.
SELECT
    code,
    currency
FROM ledger.account_drift
ORDER BY code, currency;
