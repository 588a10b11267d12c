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

-- name: find_balance
-- One account, with what is held.
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
WHERE code = %(code)s AND currency = %(currency)s;

-- name: find_balance_at
-- What its entries up to a moment add up to.
SELECT
    %(code)s::TEXT AS code,
    %(currency)s::TEXT AS currency,
    credits_posted_minor - debits_posted_minor AS balance_minor,
    debits_posted_minor,
    credits_posted_minor,
    debits_pending_minor,
    credits_pending_minor,
    version
FROM ledger.FIND_BALANCE_AT(%(code)s, %(currency)s, %(at)s);

-- name: list_accounts
-- A page of the accounts whose codes begin so, after a given one.
SELECT
    code,
    currency,
    balance_minor,
    debits_posted_minor,
    credits_posted_minor,
    debits_pending_minor,
    credits_pending_minor,
    version,
    debits_must_not_exceed_credits,
    credits_must_not_exceed_debits,
    rolled_up,
    closed,
    stopped
FROM ledger.account_balances
WHERE
    STARTS_WITH(code, %(prefix)s)
    AND (%(after_code)s::TEXT IS NULL OR (code, currency) > (%(after_code)s::TEXT, %(after_currency)s::TEXT))
ORDER BY code, currency
LIMIT %(limit)s;

-- name: list_entries
-- Oldest first, from after a version.
SELECT
    version,
    transfer_id,
    kind,
    code,
    side,
    other_account,
    amount_minor,
    balance_after_minor,
    occurred_at,
    recorded_at
FROM ledger.LIST_ENTRIES(%(code)s, %(currency)s, %(after)s, %(limit)s);

-- name: list_entries_before
-- Newest first, from before a version.
SELECT
    version,
    transfer_id,
    kind,
    code,
    side,
    other_account,
    amount_minor,
    balance_after_minor,
    occurred_at,
    recorded_at
FROM ledger.LIST_ENTRIES_BEFORE(%(code)s, %(currency)s, %(before)s, %(limit)s);

-- name: find_transfer
-- One transfer as it was written.
SELECT
    transfer_id,
    kind,
    debit,
    credit,
    amount_minor,
    currency,
    action_kind,
    target_id,
    hold_expires_at,
    flags,
    decision_id,
    debit_version,
    credit_version,
    debit_balance_after_minor,
    credit_balance_after_minor,
    occurred_at,
    recorded_at
FROM ledger.transfer_lines
WHERE transfer_id = %(transfer_id)s;

-- name: find_hold
-- One hold and what became of it.
SELECT
    transfer_id,
    debit,
    credit,
    currency,
    held_minor,
    expires_at,
    state,
    posted_minor,
    resolved_by
FROM ledger.hold_lines
WHERE transfer_id = %(transfer_id)s;

-- name: list_open_holds
-- The first due first, those without an end last; `code` narrows it to one account.
SELECT
    transfer_id,
    debit,
    credit,
    currency,
    held_minor,
    expires_at,
    state,
    posted_minor,
    resolved_by
FROM ledger.hold_lines
WHERE state = 'pending' AND (%(code)s::TEXT IS NULL OR %(code)s::TEXT IN (debit, credit))
ORDER BY expires_at NULLS LAST, transfer_id
LIMIT %(limit)s;

-- name: list_trial_balance
-- One line per currency; debits and credits are equal or the ledger is broken.
SELECT
    currency,
    debits_posted_minor,
    credits_posted_minor
FROM ledger.trial_balance
ORDER BY currency;

-- name: list_drift
-- Accounts that differ from their entries; none, or the ledger is broken.
SELECT
    code,
    currency
FROM ledger.account_drift
ORDER BY code, currency;
