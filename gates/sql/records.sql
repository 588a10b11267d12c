-- name: find_grants
-- What these handles stand for in this conversation.
SELECT
    handle,
    kind,
    ref,
    origin,
    granted
FROM core.grants
WHERE conversation_id = %(conversation_id)s AND handle = ANY(%(handles)s);

-- name: find_transaction
-- The bank's record with what is left of it: our own refunds and the merchant's both count.
SELECT
    transactions.transaction_id,
    transactions.account_id,
    transactions.kind,
    transactions.status,
    transactions.amount_minor,
    transactions.currency,
    transactions.occurred_at,
    transactions.merchant_id,
    accounts.customer_id,
    transactions.amount_minor
    - COALESCE(totals.refunded_minor, 0)
    - COALESCE(merchant.refunded_minor, 0) AS remaining_minor,
    (
        -- Executed refunds only: a denied call costs nothing.
        SELECT COUNT(*)
        FROM gate.executed_acts AS acts
        WHERE
            acts.tenant_id = transactions.tenant_id
            AND acts.transaction_id = transactions.transaction_id
            AND acts.action_kind IN ('refund', 'fee_reversal')
    ) AS refund_count,
    EXISTS(
        SELECT FROM core.disputes
        WHERE
            disputes.tenant_id = transactions.tenant_id
            AND disputes.transaction_id = transactions.transaction_id
            AND disputes.state IN ('open', 'evidence', 'submitted', 'won')
    ) AS is_disputed,
    EXISTS(
        -- The operator wrote its handle, in his own words, in the very message that the proposal answers.
        SELECT FROM core.mentions
        INNER JOIN core.messages
            ON mentions.tenant_id = messages.tenant_id AND mentions.message_id = messages.message_id
        INNER JOIN core.grants
            ON
                messages.tenant_id = grants.tenant_id
                AND messages.conversation_id = grants.conversation_id
                AND mentions.value = grants.handle
        WHERE
            mentions.tenant_id = transactions.tenant_id
            AND mentions.message_id = %(message_id)s
            AND mentions.kind = 'handle'
            AND mentions.origin = 'staff'
            AND messages.conversation_id = %(conversation_id)s
            AND messages.author = 'operator'
            AND grants.kind = 'transaction'
            AND grants.granted
            AND grants.ref = transactions.transaction_id
    ) AS named_by_staff,
    (
        -- Seconds to the nearest equal charge of the same day that nobody has refunded.
        SELECT MIN(CEIL(ABS(EXTRACT(EPOCH FROM twins.occurred_at - transactions.occurred_at))))::BIGINT
        FROM core.transactions AS twins
        LEFT JOIN ledger.refund_totals AS twin_totals
            ON twins.tenant_id = twin_totals.tenant_id AND twins.transaction_id = twin_totals.transaction_id
        WHERE
            twins.tenant_id = transactions.tenant_id
            AND twins.account_id = transactions.account_id
            AND twins.transaction_id <> transactions.transaction_id
            AND twins.kind = transactions.kind
            AND twins.status = 'posted'
            AND twins.amount_minor = transactions.amount_minor
            AND twins.currency = transactions.currency
            AND twins.occurred_at BETWEEN transactions.occurred_at - INTERVAL '24 hours'
            AND transactions.occurred_at + INTERVAL '24 hours'
            AND (
                twins.merchant_id = transactions.merchant_id
                OR (
                    twins.merchant_id IS NULL AND transactions.merchant_id IS NULL
                    AND twins.descriptor = transactions.descriptor
                )
            )
            AND COALESCE(twin_totals.refunded_minor, 0) = 0
            AND NOT EXISTS (
                SELECT FROM core.transactions AS credits
                WHERE
                    credits.tenant_id = twins.tenant_id
                    AND credits.account_id = twins.account_id
                    AND credits.kind = 'merchant_refund'
                    AND credits.status = 'posted'
                    AND credits.related_transaction_id = twins.transaction_id
            )
    ) AS twin_gap_s
FROM core.transactions AS transactions
INNER JOIN core.accounts AS accounts
    ON transactions.tenant_id = accounts.tenant_id AND transactions.account_id = accounts.account_id
LEFT JOIN ledger.refund_totals AS totals
    ON transactions.tenant_id = totals.tenant_id AND transactions.transaction_id = totals.transaction_id
LEFT JOIN LATERAL (
    SELECT SUM(credits.amount_minor)::BIGINT AS refunded_minor
    FROM core.transactions AS credits
    WHERE
        credits.tenant_id = transactions.tenant_id
        AND credits.account_id = transactions.account_id
        AND credits.kind = 'merchant_refund'
        AND credits.status = 'posted'
        AND credits.related_transaction_id = transactions.transaction_id
) AS merchant ON TRUE
WHERE transactions.transaction_id = %(transaction_id)s;

-- name: find_account
-- The account's standing, and how often the ledger touched it in the act's currency.
SELECT
    accounts.customer_id,
    accounts.status,
    accounts.currency,
    COALESCE((
        SELECT balances.version FROM ledger.account_balances AS balances
        WHERE
            balances.tenant_id = accounts.tenant_id
            AND balances.code = 'customer:' || accounts.account_id
            AND balances.currency = COALESCE(%(currency)s, accounts.currency)
    ), 0) AS ledger_version
FROM core.accounts AS accounts
WHERE accounts.account_id = %(account_id)s;

-- name: find_beneficiary
-- The payee's record. What was paid to it, and how often its details changed, is of executed acts only.
SELECT
    customer_id,
    currency,
    screening_state,
    added_at,
    verified_at IS NOT NULL AS is_verified,
    account_number_token AS token,
    name_token
FROM core.beneficiaries
WHERE beneficiary_id = %(beneficiary_id)s;

-- name: find_card
-- The card's record and whose it is.
SELECT
    cards.status,
    cards.account_id,
    accounts.customer_id
FROM core.cards AS cards
INNER JOIN core.accounts AS accounts ON cards.tenant_id = accounts.tenant_id AND cards.account_id = accounts.account_id
WHERE cards.card_id = %(card_id)s;

-- name: find_dispute
-- The dispute with its charge and the account it was on.
SELECT
    disputes.state,
    disputes.opened_at,
    disputes.transaction_id,
    transactions.account_id,
    transactions.merchant_id,
    transactions.kind,
    transactions.amount_minor AS charge_minor,
    transactions.currency,
    transactions.occurred_at,
    accounts.customer_id,
    accounts.opened_at AS account_opened_at
FROM core.disputes AS disputes
INNER JOIN core.transactions AS transactions
    ON disputes.tenant_id = transactions.tenant_id AND disputes.transaction_id = transactions.transaction_id
INNER JOIN core.accounts AS accounts
    ON transactions.tenant_id = accounts.tenant_id AND transactions.account_id = accounts.account_id
WHERE disputes.dispute_id = %(dispute_id)s;

-- name: find_hold
-- A pending transfer and the customer's account on one of its sides.
SELECT
    holds.state,
    holds.held_minor AS amount_minor,
    holds.currency,
    accounts.account_id,
    accounts.customer_id
FROM ledger.hold_lines AS holds
LEFT JOIN core.accounts AS accounts
    ON
        holds.tenant_id = accounts.tenant_id
        AND accounts.account_id = SUBSTR(CASE WHEN holds.debit LIKE 'customer:%%' THEN holds.debit ELSE holds.credit END, 10)
WHERE holds.transfer_id = %(transfer_id)s;

-- name: find_case
-- The case's record.
SELECT
    kind,
    state
FROM core.cases
WHERE case_id = %(case_id)s;

-- name: list_mentions
-- What people wrote in this conversation, up to the turn that was proposed from.
SELECT
    mentions.kind,
    mentions.value,
    mentions.origin
FROM core.mentions AS mentions
INNER JOIN core.messages AS messages
    ON mentions.tenant_id = messages.tenant_id AND mentions.message_id = messages.message_id
WHERE
    messages.conversation_id = %(conversation_id)s
    AND messages.author = 'operator'
    AND messages.created_at <= %(until)s
ORDER BY messages.created_at, mentions.message_id, mentions.ordinal;

-- name: list_named_transactions
-- Granted transactions among these handles.
SELECT
    grants.handle,
    grants.ref,
    grants.origin,
    transactions.amount_minor,
    transactions.currency
FROM core.grants AS grants
INNER JOIN core.transactions AS transactions
    ON grants.tenant_id = transactions.tenant_id AND grants.ref = transactions.transaction_id
WHERE
    grants.conversation_id = %(conversation_id)s
    AND grants.handle = ANY(%(handles)s)
    AND grants.kind = 'transaction'
    AND grants.granted;
