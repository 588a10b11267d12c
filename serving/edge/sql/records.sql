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
