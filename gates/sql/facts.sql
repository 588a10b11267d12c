-- name: find_turn
-- Who asked, on which customer, and whether the conversation went on since. Only the edge writes these rows.
SELECT
    conversations.customer_id,
    messages.operator_id,
    messages.created_at,
    messages.author = 'operator' AND messages.conversation_id = conversations.conversation_id AS message_matches,
    last_message.message_id AS last_message_id
FROM core.conversations AS conversations
INNER JOIN core.messages AS messages
    ON conversations.tenant_id = messages.tenant_id AND messages.message_id = %(message_id)s
LEFT JOIN LATERAL (
    SELECT newest.message_id
    FROM core.messages AS newest
    WHERE
        newest.tenant_id = conversations.tenant_id
        AND newest.conversation_id = conversations.conversation_id
        AND newest.author = 'operator'
    ORDER BY newest.created_at DESC, newest.message_id DESC
    LIMIT 1
) AS last_message ON TRUE
WHERE conversations.conversation_id = %(conversation_id)s;

-- name: find_history
-- When the proposal was first decided, and how many others of the same message were decided before it. Server's stamps only.
WITH own AS (
    SELECT
        MIN(decisions.decided_at) AS first_decided_at,
        COALESCE(MIN(decisions.recorded_at), 'infinity') AS first_recorded_at
    FROM gate.decisions AS decisions
    WHERE decisions.proposal_id = %(proposal_id)s AND decisions.previous_decision_id IS NULL
)

SELECT
    own.first_decided_at,
    (
        SELECT COUNT(*)
        FROM ai.proposals AS proposals
        INNER JOIN gate.decisions AS others
            ON proposals.tenant_id = others.tenant_id AND proposals.proposal_id = others.proposal_id
        WHERE
            proposals.conversation_id = %(conversation_id)s
            AND proposals.message_id = %(message_id)s
            AND proposals.proposal_id <> %(proposal_id)s
            AND others.previous_decision_id IS NULL
            AND others.recorded_at < own.first_recorded_at
    ) AS earlier_proposals_count
FROM own;

-- name: find_grant
-- What a handle stands for in this conversation.
SELECT
    kind,
    ref,
    origin,
    granted
FROM core.grants
WHERE conversation_id = %(conversation_id)s AND handle = %(handle)s;

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
    accounts.customer_id,
    accounts.status AS account_status,
    accounts.currency AS account_currency,
    transactions.amount_minor
    - COALESCE(totals.refunded_minor, 0)
    - COALESCE(merchant.refunded_minor, 0) AS remaining_minor,
    (
        -- Executed refunds only: a denied call costs nothing.
        SELECT COUNT(*)
        FROM gate.decisions AS decisions
        INNER JOIN gate.consumptions AS consumptions
            ON decisions.tenant_id = consumptions.tenant_id AND decisions.decision_id = consumptions.decision_id
        WHERE
            decisions.tenant_id = transactions.tenant_id
            AND decisions.transaction_id = transactions.transaction_id
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

-- name: find_customer
-- Standing of the customer and what was executed for him; half-open windows that end now.
SELECT
    customers.kyc_status,
    customers.opened_at,
    (
        SELECT COUNT(*) FROM core.logins
        WHERE
            logins.tenant_id = customers.tenant_id
            AND logins.customer_id = customers.customer_id
            AND logins.outcome = 'failed'
            AND logins.occurred_at > %(now)s - INTERVAL '7 days'
            AND logins.occurred_at <= %(now)s
    ) AS failed_logins_7d_count,
    refunds.total_count AS refunds_total_count,
    refunds.count_1d AS refunds_1d_count,
    refunds.count_30d AS refunds_30d_count,
    refunds.sum_30d AS refunds_30d_minor
FROM core.customers AS customers
CROSS JOIN
    LATERAL (
        SELECT
            COUNT(*) AS total_count,
            COUNT(*) FILTER (WHERE consumptions.consumed_at > %(now)s - INTERVAL '1 day') AS count_1d,
            COUNT(*) FILTER (WHERE consumptions.consumed_at > %(now)s - INTERVAL '30 days') AS count_30d,
            COALESCE(SUM(decisions.amount_minor) FILTER (
                WHERE consumptions.consumed_at > %(now)s - INTERVAL '30 days' AND decisions.currency = %(currency)s
            ), 0)::BIGINT AS sum_30d
        FROM gate.decisions AS decisions
        INNER JOIN gate.consumptions AS consumptions
            ON decisions.tenant_id = consumptions.tenant_id AND decisions.decision_id = consumptions.decision_id
        WHERE decisions.tenant_id = customers.tenant_id AND decisions.customer_id = customers.customer_id
    ) AS refunds
WHERE customers.customer_id = %(customer_id)s;

-- name: find_operator
-- Rights of the operator who asked; no limit on record means that his limit is nothing.
SELECT
    operators.active,
    operators.roles,
    COALESCE(limits.limit_minor, 0) AS limit_minor,
    (
        SELECT COUNT(*)
        FROM gate.consumptions AS consumptions
        INNER JOIN gate.decisions AS decisions
            ON consumptions.tenant_id = decisions.tenant_id AND consumptions.decision_id = decisions.decision_id
        WHERE
            consumptions.tenant_id = operators.tenant_id
            AND consumptions.consumed_at > %(now)s - INTERVAL '1 day'
            AND decisions.operator_id = operators.operator_id
    ) AS refunds_1d_count
FROM core.operators AS operators
LEFT JOIN core.operator_limits AS limits
    ON
        operators.tenant_id = limits.tenant_id
        AND operators.operator_id = limits.operator_id
        AND limits.action_kind = %(action_kind)s
        AND limits.currency = %(currency)s
WHERE operators.operator_id = %(operator_id)s;

-- name: list_amount_mentions
-- Amounts that people wrote in this conversation, up to the turn that was proposed from.
SELECT
    mentions.value,
    mentions.origin
FROM core.mentions AS mentions
INNER JOIN core.messages AS messages
    ON mentions.tenant_id = messages.tenant_id AND mentions.message_id = messages.message_id
WHERE
    mentions.kind = 'amount'
    AND messages.conversation_id = %(conversation_id)s
    AND messages.author = 'operator'
    AND messages.created_at <= %(until)s
ORDER BY messages.created_at, mentions.message_id, mentions.ordinal;

-- name: list_named_transactions
-- Granted transactions whose handle somebody wrote in this conversation.
SELECT DISTINCT
    grants.handle,
    transactions.amount_minor,
    transactions.currency
FROM core.mentions AS mentions
INNER JOIN core.messages AS messages
    ON mentions.tenant_id = messages.tenant_id AND mentions.message_id = messages.message_id
INNER JOIN core.grants AS grants
    ON
        mentions.tenant_id = grants.tenant_id
        AND messages.conversation_id = grants.conversation_id
        AND mentions.value = grants.handle
INNER JOIN core.transactions AS transactions
    ON grants.tenant_id = transactions.tenant_id AND grants.ref = transactions.transaction_id
WHERE
    mentions.kind = 'handle'
    AND mentions.origin = 'staff'
    AND messages.conversation_id = %(conversation_id)s
    AND messages.author = 'operator'
    AND messages.created_at <= %(until)s
    AND grants.kind = 'transaction'
    AND grants.granted;
