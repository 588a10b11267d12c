-- name: find_conversation_customer
-- Whose conversation it is; no row when it is not this tenant's.
SELECT conversations.customer_id, customers.language
FROM ai.conversations
INNER JOIN ai.customers USING (tenant_id, customer_id)
WHERE conversations.conversation_id = %(conversation_id)s;

-- name: list_handles
-- What the conversation may name, and what it named in vain.
SELECT handle, kind, ref, granted
FROM ai.grants
WHERE conversation_id = %(conversation_id)s
ORDER BY handle;

-- name: list_accounts
-- All accounts of the customer; the handle is added by code.
SELECT account_id, product, currency, status
FROM ai.accounts
WHERE customer_id = %(customer_id)s
ORDER BY opened_at, account_id;

-- name: list_granted_transactions
-- The granted transactions and no other, newest first. The customer is compared again: a grant alone proves nothing here.
SELECT
    transactions.transaction_id, transactions.account_id, transactions.merchant_id, transactions.kind, transactions.status,
    transactions.amount_minor, transactions.currency, transactions.descriptor, merchants.name AS merchant_name,
    transactions.occurred_at, transactions.posted_at, transactions.decline_code, transactions.decline_trace,
    transactions.related_transaction_id, transactions.settles_on
FROM ai.grants
INNER JOIN ai.transactions
    ON grants.tenant_id = transactions.tenant_id AND grants.ref = transactions.transaction_id
LEFT JOIN ai.merchants
    ON transactions.tenant_id = merchants.tenant_id AND transactions.merchant_id = merchants.merchant_id
WHERE
    grants.conversation_id = %(conversation_id)s
    AND grants.kind = 'transaction'
    AND grants.granted
    AND transactions.customer_id = %(customer_id)s
ORDER BY transactions.occurred_at DESC, transactions.transaction_id;

-- name: list_disputes
-- Disputes about the named transactions.
SELECT transaction_id, state, opened_at, due_on
FROM ai.disputes
WHERE transaction_id = ANY(%(transaction_ids)s)
ORDER BY opened_at DESC, dispute_id;

-- name: list_decisions
-- What the gate answered about the named transactions: the last decision of each proposal.
SELECT decision_id, transaction_id, outcome, amount_minor, currency, decided_at, executed
FROM ai.decisions
WHERE transaction_id = ANY(%(transaction_ids)s) AND is_latest
ORDER BY decided_at DESC, decision_id;

-- name: insert_proposal
-- Put a proposal into the inbox. The id is computed from the message and the action: a repeat after a crash finds its own row.
INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at)
VALUES (
    %(tenant_id)s, %(proposal_id)s, %(conversation_id)s, %(message_id)s, %(kind)s, %(arguments)s, %(trace)s, %(submitted_at)s
)
ON CONFLICT (tenant_id, proposal_id) DO NOTHING;
