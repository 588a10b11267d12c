-- name: count_velocity
-- By subject, in windows that end now: rows executed, rows that are allowed and wait, and for the tenant whole hours instead of rows.
-- An hour counts in a window when it began in it; of the hour in which a window begins the rows count, and for that window alone:
-- `since` is where a window begins, `whole` where its first whole hour does.
WITH bounds AS (
    SELECT
        LEAST(
            COALESCE((SELECT MAX(executed_hours.hour) + INTERVAL '1 hour' FROM gate.executed_hours), '-infinity'),
            DATE_TRUNC('hour', %(now)s::TIMESTAMPTZ, 'UTC')
        ) AS folded
),

reserved AS MATERIALIZED (
    SELECT
        decisions.customer_id,
        decisions.operator_id,
        decisions.merchant_id,
        decisions.beneficiary_id,
        decisions.currency,
        decisions.amount_minor
    FROM gate.authorizations AS authorizations
    INNER JOIN gate.decisions AS decisions
        ON
            authorizations.tenant_id = decisions.tenant_id
            AND decisions.decision_id = 'dec_' || REPLACE(authorizations.decision_id::TEXT, '-', '')
    WHERE
        authorizations.valid_until > %(now)s
        AND decisions.outcome = 'allow'
        AND decisions.action_kind <> 'hold_release'
        AND decisions.amount_minor > 0
        AND decisions.proposal_id <> %(proposal_id)s
),

items AS (
    SELECT 'customer' AS subject, NULL AS only_window, 1 AS acts, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE acts.customer_id = %(customer_id)s AND acts.executed_at > %(since_30d)s AND acts.executed_at <= %(now)s AND acts.amount_minor > 0
    UNION ALL
    SELECT 'operator', NULL, 1, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE acts.operator_id = %(operator_id)s AND acts.executed_at > %(since_30d)s AND acts.executed_at <= %(now)s AND acts.amount_minor > 0
    UNION ALL
    SELECT 'merchant', NULL, 1, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE acts.merchant_id = %(merchant_id)s AND acts.executed_at > %(since_30d)s AND acts.executed_at <= %(now)s AND acts.amount_minor > 0
    UNION ALL
    SELECT 'beneficiary', NULL, 1, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE
        acts.beneficiary_id = %(beneficiary_id)s AND acts.executed_at > %(since_30d)s AND acts.executed_at <= %(now)s AND acts.amount_minor > 0
    UNION ALL
    SELECT subjects.subject, NULL, 1, %(now)s, reserved.currency, reserved.amount_minor
    FROM reserved
    CROSS JOIN
        LATERAL (
            VALUES
            ('customer', reserved.customer_id = %(customer_id)s),
            ('operator', reserved.operator_id = %(operator_id)s),
            ('merchant', reserved.merchant_id = %(merchant_id)s),
            ('beneficiary', reserved.beneficiary_id = %(beneficiary_id)s),
            ('tenant', TRUE)
        ) AS subjects (subject, is_ours)
    WHERE subjects.is_ours
    UNION ALL
    SELECT 'tenant', NULL, hours.acts::INTEGER, hours.hour, hours.currency, hours.amount_minor
    FROM gate.executed_hours AS hours
    CROSS JOIN bounds
    WHERE hours.hour > %(since_30d)s AND hours.hour < bounds.folded
    UNION ALL
    SELECT 'tenant', NULL, 1, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE
        acts.executed_at >= (SELECT bounds.folded FROM bounds)
        AND acts.executed_at > %(since_30d)s AND acts.executed_at <= %(now)s AND acts.amount_minor > 0
    UNION ALL
    SELECT 'tenant', '1h', 1, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE
        acts.executed_at > %(since_1h)s
        AND acts.executed_at < %(whole_1h)s
        AND acts.executed_at < (SELECT bounds.folded FROM bounds)
        AND acts.amount_minor > 0
    UNION ALL
    SELECT 'tenant', '24h', 1, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE
        acts.executed_at > %(since_24h)s
        AND acts.executed_at < %(whole_24h)s
        AND acts.executed_at < (SELECT bounds.folded FROM bounds)
        AND acts.amount_minor > 0
    UNION ALL
    SELECT 'tenant', '7d', 1, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE
        acts.executed_at > %(since_7d)s
        AND acts.executed_at < %(whole_7d)s
        AND acts.executed_at < (SELECT bounds.folded FROM bounds)
        AND acts.amount_minor > 0
    UNION ALL
    SELECT 'tenant', '30d', 1, acts.executed_at, acts.currency, acts.amount_minor
    FROM gate.executed_acts AS acts
    WHERE
        acts.executed_at > %(since_30d)s
        AND acts.executed_at < %(whole_30d)s
        AND acts.executed_at < (SELECT bounds.folded FROM bounds)
        AND acts.amount_minor > 0
),

-- One comparison a row instead of eight: by the narrowest window that it is in.
grouped AS (
    SELECT
        items.subject,
        items.only_window,
        items.currency = %(currency)s AS is_same,
        CASE
            WHEN items.executed_at > %(since_1h)s THEN 1
            WHEN items.executed_at > %(since_24h)s THEN 2
            WHEN items.executed_at > %(since_7d)s THEN 3
            ELSE 4
        END AS narrowest,
        SUM(items.acts) AS acts,
        SUM(items.amount_minor) AS amount_minor
    FROM items
    GROUP BY items.subject, items.only_window, is_same, narrowest
)

SELECT
    grouped.subject,
    SUM(grouped.acts) FILTER (WHERE marks.in_1h) AS count_1h,
    SUM(grouped.amount_minor) FILTER (WHERE marks.in_1h AND grouped.is_same) AS minor_1h,
    SUM(grouped.acts) FILTER (WHERE marks.in_24h) AS count_24h,
    SUM(grouped.amount_minor) FILTER (WHERE marks.in_24h AND grouped.is_same) AS minor_24h,
    SUM(grouped.acts) FILTER (WHERE marks.in_7d) AS count_7d,
    SUM(grouped.amount_minor) FILTER (WHERE marks.in_7d AND grouped.is_same) AS minor_7d,
    SUM(grouped.acts) FILTER (WHERE marks.in_30d) AS count_30d,
    SUM(grouped.amount_minor) FILTER (WHERE marks.in_30d AND grouped.is_same) AS minor_30d
FROM grouped
CROSS JOIN
    LATERAL (
        SELECT
            grouped.narrowest = 1 AND COALESCE(grouped.only_window, '1h') = '1h' AS in_1h,
            grouped.narrowest <= 2 AND COALESCE(grouped.only_window, '24h') = '24h' AS in_24h,
            grouped.narrowest <= 3 AND COALESCE(grouped.only_window, '7d') = '7d' AS in_7d,
            COALESCE(grouped.only_window, '30d') = '30d' AS in_30d
    ) AS marks
GROUP BY grouped.subject;

-- name: find_payee_history
-- What was executed for a payee until now.
SELECT
    COUNT(*) FILTER (
        WHERE acts.action_kind = 'beneficiary_change' AND acts.executed_at > %(now)s - INTERVAL '30 days'
    ) AS changed_30d_count,
    COUNT(*) FILTER (WHERE acts.action_kind = 'payment') AS paid_count,
    COALESCE(
        MAX(acts.amount_minor) FILTER (WHERE acts.action_kind = 'payment' AND acts.currency = %(currency)s), 0
    ) AS max_paid_minor
FROM gate.executed_acts AS acts
WHERE acts.beneficiary_id = %(beneficiary_id)s AND acts.executed_at <= %(now)s;

-- name: sum_dispute
-- What was credited and written off for a dispute.
SELECT
    COALESCE(SUM(acts.amount_minor) FILTER (WHERE acts.action_kind = 'provisional_credit'), 0)::BIGINT AS provisional_minor,
    COALESCE(SUM(acts.amount_minor) FILTER (WHERE acts.action_kind = 'dispute_writeoff'), 0)::BIGINT AS writeoff_minor
FROM gate.executed_acts AS acts
WHERE acts.subject_id = %(dispute_id)s;

-- name: fold_hours
-- How many rows of hours were written.
SELECT gate.fold_hours(%(now)s) AS folded;

-- name: rebuild
-- Drop and build again, with the hashes of before and after.
SELECT
    acts,
    hash_before,
    hash_after
FROM gate.rebuild_features();

-- name: list_currencies
-- The currencies of a customer's accounts.
SELECT DISTINCT accounts.currency
FROM core.accounts AS accounts
WHERE accounts.customer_id = %(customer_id)s
ORDER BY accounts.currency;
