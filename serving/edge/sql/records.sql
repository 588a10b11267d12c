-- name: list_customers
-- Everyone of the tenant, for the picker; names are tokens here and come from the vault.
SELECT customer_id, name_token, country, language, segment, kyc_status, opened_at
FROM core.customers
WHERE tenant_id = %(tenant_id)s
ORDER BY customer_id;

-- name: find_customer
-- One customer with the tokens of what the console may show.
SELECT customer_id, name_token, email_token, phone_token, country, language, segment, kyc_status, opened_at
FROM core.customers
WHERE tenant_id = %(tenant_id)s AND customer_id = %(customer_id)s;

-- name: list_accounts
-- The customer's accounts, oldest first, so that A1 is the main one.
SELECT account_id, number_token, product, currency, status
FROM core.accounts
WHERE tenant_id = %(tenant_id)s AND customer_id = %(customer_id)s
ORDER BY opened_at, account_id
LIMIT 200;

-- name: list_cards
-- The customer's cards, by account.
SELECT cards.card_id, cards.account_id, cards.last4, cards.scheme, cards.status
FROM core.cards
INNER JOIN core.accounts USING (tenant_id, account_id)
WHERE cards.tenant_id = %(tenant_id)s AND accounts.customer_id = %(customer_id)s
ORDER BY accounts.opened_at, cards.card_id
LIMIT 200;

-- name: list_beneficiaries
-- Who the customer may pay.
SELECT beneficiary_id, name_token, currency, screening_state
FROM core.beneficiaries
WHERE tenant_id = %(tenant_id)s AND customer_id = %(customer_id)s
ORDER BY added_at, beneficiary_id
LIMIT 200;

-- name: find_beneficiary
-- One whom the customer may pay.
SELECT beneficiary_id, name_token, account_number_token, currency, screening_state, added_at
FROM core.beneficiaries
WHERE tenant_id = %(tenant_id)s AND customer_id = %(customer_id)s AND beneficiary_id = %(beneficiary_id)s;

-- name: find_dispute
-- One dispute of a transaction of the customer.
SELECT
    disputes.dispute_id, disputes.transaction_id, disputes.state, disputes.opened_at, transactions.amount_minor, transactions.currency
FROM core.disputes
INNER JOIN core.transactions USING (tenant_id, transaction_id)
INNER JOIN core.accounts USING (tenant_id, account_id)
WHERE disputes.tenant_id = %(tenant_id)s AND accounts.customer_id = %(customer_id)s AND disputes.dispute_id = %(dispute_id)s;

-- name: list_recent_transactions
-- The newest transactions of all the customer's accounts, newest first.
SELECT
    transactions.transaction_id, transactions.account_id, transactions.card_id, transactions.kind, transactions.status,
    transactions.amount_minor, transactions.currency, transactions.descriptor, transactions.occurred_at, transactions.posted_at,
    transactions.decline_code, transactions.related_transaction_id, transactions.settles_on, merchants.name AS merchant_name
FROM core.transactions
INNER JOIN core.accounts USING (tenant_id, account_id)
LEFT JOIN core.merchants USING (tenant_id, merchant_id)
WHERE transactions.tenant_id = %(tenant_id)s AND accounts.customer_id = %(customer_id)s
ORDER BY transactions.occurred_at DESC, transactions.transaction_id
LIMIT %(limit)s;

-- name: list_disputes
-- Disputes of the customer's transactions, oldest first.
SELECT disputes.dispute_id, disputes.transaction_id, disputes.state
FROM core.accounts
INNER JOIN core.transactions USING (tenant_id, account_id)
INNER JOIN core.disputes USING (tenant_id, transaction_id)
WHERE accounts.tenant_id = %(tenant_id)s AND accounts.customer_id = %(customer_id)s
ORDER BY disputes.opened_at, disputes.dispute_id
LIMIT 50;

-- name: list_open_holds
-- What the ledger holds on the customer's accounts, oldest first.
SELECT 'tfr_' || REPLACE(holds.transfer_id::TEXT, '-', '') AS hold_id, holds.held_minor, holds.currency
FROM core.accounts
INNER JOIN ledger.hold_lines AS holds
    ON
        accounts.tenant_id = holds.tenant_id
        AND ('customer:' || accounts.account_id = holds.debit OR 'customer:' || accounts.account_id = holds.credit)
WHERE accounts.tenant_id = %(tenant_id)s AND accounts.customer_id = %(customer_id)s AND holds.state = 'pending'
ORDER BY holds.opened_at, holds.transfer_id
LIMIT 50;

-- name: list_open_cases
-- Open cases about the customer's accounts and transactions, oldest first.
SELECT cases.case_id, cases.kind
FROM core.cases
WHERE
    cases.tenant_id = %(tenant_id)s
    AND cases.state = 'open'
    AND EXISTS (
        SELECT FROM core.accounts
        LEFT JOIN core.transactions
            ON
                accounts.tenant_id = transactions.tenant_id
                AND accounts.account_id = transactions.account_id
                AND cases.subject = transactions.transaction_id
        WHERE
            accounts.tenant_id = cases.tenant_id
            AND accounts.customer_id = %(customer_id)s
            AND (cases.subject = accounts.account_id OR transactions.transaction_id IS NOT NULL)
    )
ORDER BY cases.opened_at, cases.case_id
LIMIT 50;

-- name: find_transaction_of_customer
-- One transaction, only if it is on an account of this customer.
SELECT
    transactions.transaction_id, transactions.account_id, transactions.card_id, transactions.kind, transactions.status,
    transactions.amount_minor, transactions.currency, transactions.descriptor, transactions.occurred_at, transactions.posted_at,
    transactions.decline_code, transactions.related_transaction_id, transactions.settles_on, merchants.name AS merchant_name
FROM core.transactions
INNER JOIN core.accounts USING (tenant_id, account_id)
LEFT JOIN core.merchants USING (tenant_id, merchant_id)
WHERE
    transactions.tenant_id = %(tenant_id)s AND accounts.customer_id = %(customer_id)s
    AND transactions.transaction_id = %(transaction_id)s;

-- name: list_merchants
-- Merchants that the customer dealt with: their names are no personal data and stay readable after masking.
SELECT DISTINCT merchants.name
FROM core.transactions
INNER JOIN core.accounts USING (tenant_id, account_id)
INNER JOIN core.merchants USING (tenant_id, merchant_id)
WHERE transactions.tenant_id = %(tenant_id)s AND accounts.customer_id = %(customer_id)s
ORDER BY merchants.name
LIMIT 500;

-- name: list_texts_with_tokens
-- What strangers wrote into the granted transactions, where a token may stand in it.
SELECT texts.written
FROM core.grants
INNER JOIN core.transactions ON grants.tenant_id = transactions.tenant_id AND grants.ref = transactions.transaction_id
CROSS JOIN UNNEST(ARRAY[transactions.descriptor, transactions.decline_trace::TEXT]) AS texts (written)
WHERE
    grants.tenant_id = %(tenant_id)s AND grants.conversation_id = %(conversation_id)s
    AND grants.kind = 'transaction' AND grants.granted
    AND texts.written LIKE '%%<%%';
