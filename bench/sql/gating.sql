-- name: insert_tenant
-- As role jobs.
INSERT INTO core.tenants (tenant_id, name, created_at) VALUES (%(tenant_id)s, 'Bench', %(now)s);

-- name: insert_merchants
-- As role jobs.
INSERT INTO core.merchants (tenant_id, merchant_id, name, category_code, country)
SELECT
    %(tenant_id)s,
    'mrc_' || LPAD(number::TEXT, 12, '0'),
    'Shop',
    '5812',
    'DE'
FROM GENERATE_SERIES(0, %(merchants)s - 1) AS number;

-- name: insert_operators
-- As role jobs.
INSERT INTO core.operators (tenant_id, operator_id, username, display_name, password_hash, roles)
SELECT
    %(tenant_id)s,
    'opr_' || LPAD(number::TEXT, 12, '0'),
    'clerk' || number,
    'N',
    'x',
    ARRAY['support']
FROM GENERATE_SERIES(0, %(operators)s - 1) AS number;

-- name: insert_operator_limits
-- As role jobs.
INSERT INTO core.operator_limits (tenant_id, operator_id, action_kind, currency, limit_minor)
SELECT
    operators.tenant_id,
    operators.operator_id,
    kind,
    'EUR',
    20000
FROM core.operators AS operators
CROSS JOIN UNNEST(ARRAY['refund', 'fee_reversal', 'goodwill_credit', 'payment']) AS kind
WHERE operators.tenant_id = %(tenant_id)s;

-- name: insert_customers
-- As role jobs.
INSERT INTO core.customers (tenant_id, customer_id, name_token, country, language, segment, kyc_status, opened_at)
SELECT
    %(tenant_id)s,
    'cus_' || LPAD(number::TEXT, 12, '0'),
    'tok_n' || number,
    'DE',
    'en',
    'retail',
    'verified',
    %(now)s::TIMESTAMPTZ - INTERVAL '900 days'
FROM GENERATE_SERIES(0, %(customers)s - 1) AS number;

-- name: insert_accounts
-- As role jobs: one for each customer.
INSERT INTO core.accounts (tenant_id, account_id, customer_id, number_token, product, currency, status, opened_at)
SELECT
    customers.tenant_id,
    'acc_' || SUBSTR(customers.customer_id, 5),
    customers.customer_id,
    'tok_a',
    'current',
    'EUR',
    'active',
    customers.opened_at
FROM core.customers AS customers
WHERE customers.tenant_id = %(tenant_id)s;

-- name: insert_beneficiaries
-- As role jobs: one for each customer.
INSERT INTO core.beneficiaries (
    tenant_id, beneficiary_id, customer_id, name_token, account_number_token, currency, screening_state, added_at, verified_at
)
SELECT
    customers.tenant_id,
    'ben_' || SUBSTR(customers.customer_id, 5),
    customers.customer_id,
    'tok_b',
    'tok_i',
    'EUR',
    'clear',
    customers.opened_at,
    customers.opened_at
FROM core.customers AS customers
WHERE customers.tenant_id = %(tenant_id)s;

-- name: insert_charges
-- As role jobs: so many card payments of each account, an hour apart; every fourth is a fee.
INSERT INTO core.transactions (
    tenant_id, transaction_id, account_id, merchant_id, kind, status, amount_minor, currency, descriptor, occurred_at
)
SELECT
    accounts.tenant_id,
    'txn_' || SUBSTR(accounts.account_id, 5) || '_' || number,
    accounts.account_id,
    'mrc_' || LPAD(MOD(SUBSTR(accounts.account_id, 5)::BIGINT + number, %(merchants)s)::TEXT, 12, '0'),
    CASE WHEN MOD(number, 4) = 3 THEN 'fee' ELSE 'card_payment' END,
    'posted',
    500 + number * 7,
    'EUR',
    'SHOP',
    %(now)s::TIMESTAMPTZ - INTERVAL '2 days' - number * INTERVAL '1 hour'
FROM core.accounts AS accounts
CROSS JOIN GENERATE_SERIES(0, %(charges)s - 1) AS number
WHERE accounts.tenant_id = %(tenant_id)s;

-- name: insert_conversations
-- As role edge.
INSERT INTO core.conversations (tenant_id, conversation_id, customer_id, operator_id, created_at)
SELECT
    %(tenant_id)s,
    made.conversation_id,
    made.customer_id,
    made.operator_id,
    %(now)s
FROM UNNEST(%(conversation_ids)s::TEXT[], %(customer_ids)s::TEXT[], %(operator_ids)s::TEXT[]) AS made (
    conversation_id, customer_id, operator_id
);

-- name: insert_messages
-- As role edge.
INSERT INTO core.messages (tenant_id, message_id, conversation_id, author, operator_id, masked_text, created_at)
SELECT
    %(tenant_id)s,
    made.message_id,
    made.conversation_id,
    'operator',
    made.operator_id,
    'as asked',
    %(now)s
FROM UNNEST(%(message_ids)s::TEXT[], %(conversation_ids)s::TEXT[], %(operator_ids)s::TEXT[]) AS made (
    message_id, conversation_id, operator_id
);

-- name: insert_grants
-- As role edge.
INSERT INTO core.grants (tenant_id, conversation_id, handle, kind, ref, origin, granted, created_at)
SELECT
    %(tenant_id)s,
    made.conversation_id,
    made.handle,
    made.kind,
    made.ref,
    'ledger',
    TRUE,
    %(now)s
FROM UNNEST(%(conversation_ids)s::TEXT[], %(handles)s::TEXT[], %(kinds)s::TEXT[], %(refs)s::TEXT[]) AS made (
    conversation_id, handle, kind, ref
);

-- name: insert_mentions
-- As role edge: what the operator wrote.
INSERT INTO core.mentions (tenant_id, message_id, ordinal, kind, value, origin)
SELECT
    %(tenant_id)s,
    made.message_id,
    made.ordinal,
    made.kind,
    made.value,
    'staff'
FROM UNNEST(%(message_ids)s::TEXT[], %(ordinals)s::SMALLINT[], %(kinds)s::TEXT[], %(values)s::TEXT[]) AS made (
    message_id, ordinal, kind, value
);

-- name: insert_proposals
-- As role ai.
INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at)
SELECT
    %(tenant_id)s,
    made.proposal_id,
    made.conversation_id,
    made.message_id,
    made.kind,
    made.arguments::JSONB,
    %(trace)s,
    %(now)s
FROM UNNEST(
    %(proposal_ids)s::TEXT[], %(conversation_ids)s::TEXT[], %(message_ids)s::TEXT[], %(kinds)s::TEXT[], %(arguments)s::TEXT[]
) AS made (proposal_id, conversation_id, message_id, kind, arguments);

-- name: analyze
-- As administrator, before anything is timed.
VACUUM ANALYZE;

-- name: count_outcomes
-- As role auditor: what was decided, by the decisions that came first.
SELECT
    outcome,
    COUNT(*) AS decisions
FROM gate.decisions
WHERE previous_decision_id IS NULL
GROUP BY outcome;

-- name: count_breaches
-- As administrator: allows without a posting, postings without an allow, decisions without a place in the log.
SELECT
    (
        SELECT COUNT(*) FROM gate.decisions AS decisions
        WHERE
            decisions.tenant_id = %(tenant_id)s
            AND decisions.outcome = 'allow'
            AND NOT EXISTS (
                SELECT FROM ledger.transfers AS transfers
                WHERE transfers.tenant_id = decisions.tenant_id AND transfers.transfer_id = decisions.transfer_id
            )
    ) AS unposted,
    (
        SELECT COUNT(*) FROM ledger.transfers AS transfers
        WHERE
            transfers.tenant_id = %(tenant_id)s
            AND NOT EXISTS (
                SELECT FROM gate.decisions AS decisions
                WHERE
                    decisions.tenant_id = transfers.tenant_id
                    AND decisions.transfer_id = transfers.transfer_id
                    AND decisions.outcome IN ('allow', 'hold')
            )
    ) AS unallowed,
    (
        SELECT COUNT(*) FROM core.events AS events
        WHERE
            events.tenant_id = %(tenant_id)s
            AND NOT EXISTS (
                SELECT FROM core.event_positions AS positions
                WHERE positions.tenant_id = events.tenant_id AND positions.event_id = events.event_id
            )
    ) AS unplaced;
