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
    (
        SELECT COUNT(*) FROM core.logins
        WHERE
            logins.tenant_id = customers.tenant_id
            AND logins.customer_id = customers.customer_id
            AND logins.outcome = 'success'
            AND logins.country <> customers.country
            AND logins.occurred_at > %(now)s - INTERVAL '7 days'
            AND logins.occurred_at <= %(now)s
    ) AS foreign_logins_7d_count,
    (
        SELECT COUNT(*) FROM core.logins
        WHERE
            logins.tenant_id = customers.tenant_id
            AND logins.customer_id = customers.customer_id
            AND logins.outcome = 'challenged'
            AND logins.occurred_at > %(now)s - INTERVAL '24 hours'
            AND logins.occurred_at <= %(now)s
    ) AS challenged_logins_24h_count,
    (
        SELECT COUNT(*) FROM core.devices
        WHERE
            devices.tenant_id = customers.tenant_id
            AND devices.customer_id = customers.customer_id
            AND devices.first_seen_at > %(now)s - INTERVAL '24 hours'
            AND devices.first_seen_at <= %(now)s
    ) AS new_devices_24h_count,
    (
        SELECT COUNT(*)
        FROM core.accounts AS accounts
        INNER JOIN core.transactions AS transactions
            ON accounts.tenant_id = transactions.tenant_id AND accounts.account_id = transactions.account_id
        INNER JOIN core.disputes AS disputes
            ON transactions.tenant_id = disputes.tenant_id AND transactions.transaction_id = disputes.transaction_id
        WHERE
            accounts.tenant_id = customers.tenant_id
            AND accounts.customer_id = customers.customer_id
            AND disputes.opened_at > %(now)s - INTERVAL '365 days'
            AND disputes.opened_at <= %(now)s
    ) AS disputes_365d_count,
    refunds.total_count AS refunds_total_count,
    refunds.count_1d AS refunds_1d_count,
    refunds.count_30d AS refunds_30d_count,
    refunds.sum_30d AS refunds_30d_minor
FROM core.customers AS customers
CROSS JOIN
    LATERAL (
        SELECT
            COUNT(*) AS total_count,
            COUNT(*) FILTER (WHERE acts.executed_at > %(now)s - INTERVAL '1 day') AS count_1d,
            COUNT(*) FILTER (WHERE acts.executed_at > %(now)s - INTERVAL '30 days') AS count_30d,
            COALESCE(SUM(acts.amount_minor) FILTER (
                WHERE acts.executed_at > %(now)s - INTERVAL '30 days' AND acts.currency = %(currency)s
            ), 0)::BIGINT AS sum_30d
        FROM gate.executed_acts AS acts
        WHERE acts.tenant_id = customers.tenant_id AND acts.customer_id = customers.customer_id AND acts.action_kind = 'refund'
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
        FROM gate.executed_acts AS acts
        WHERE
            acts.tenant_id = operators.tenant_id
            AND acts.operator_id = operators.operator_id
            AND acts.action_kind = 'refund'
            AND acts.executed_at > %(now)s - INTERVAL '1 day'
    ) AS refunds_1d_count
FROM core.operators AS operators
LEFT JOIN core.operator_limits AS limits
    ON
        operators.tenant_id = limits.tenant_id
        AND operators.operator_id = limits.operator_id
        AND limits.action_kind = %(action_kind)s
        AND limits.currency = %(currency)s
WHERE operators.operator_id = %(operator_id)s;

-- name: count_load
-- Reviews that were asked for, but not for this proposal: of this operator within the hour and still open, and of everyone within the hour.
SELECT
    COUNT(*) FILTER (WHERE reviews.opened_at > %(now)s - INTERVAL '1 hour') AS tenant_1h_count,
    COUNT(*) FILTER (
        WHERE reviews.opened_at > %(now)s - INTERVAL '1 hour' AND decisions.operator_id = %(operator_id)s
    ) AS source_1h_count,
    COUNT(*) FILTER (WHERE reviews.state = 'open' AND decisions.operator_id = %(operator_id)s) AS source_open_count
FROM gate.reviews AS reviews
INNER JOIN gate.decisions AS decisions
    ON reviews.tenant_id = decisions.tenant_id AND reviews.decision_id = decisions.decision_id
WHERE
    (reviews.state = 'open' OR reviews.opened_at > %(now)s - INTERVAL '1 hour')
    AND reviews.opened_at <= %(now)s
    AND reviews.proposal_id <> %(proposal_id)s;
