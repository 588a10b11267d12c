-- name: find_customers
-- Which of these customers exist? Shape: id, then the fields that a child must share.
SELECT
    customer_id,
    customer_id
FROM core.customers
WHERE tenant_id = %(tenant_id)s AND customer_id = ANY(%(ids)s);

-- name: find_accounts
-- Accounts with their customer and currency.
SELECT
    account_id,
    customer_id,
    currency
FROM core.accounts
WHERE tenant_id = %(tenant_id)s AND account_id = ANY(%(ids)s);

-- name: find_cards
-- Cards with their account.
SELECT
    card_id,
    account_id
FROM core.cards
WHERE tenant_id = %(tenant_id)s AND card_id = ANY(%(ids)s);

-- name: find_merchants
-- Merchants.
SELECT merchant_id FROM core.merchants
WHERE tenant_id = %(tenant_id)s AND merchant_id = ANY(%(ids)s);

-- name: find_devices
-- Devices with their customer.
SELECT
    device_id,
    customer_id
FROM core.devices
WHERE tenant_id = %(tenant_id)s AND device_id = ANY(%(ids)s);

-- name: find_transactions
-- Transactions with their account.
SELECT
    transaction_id,
    account_id
FROM core.transactions
WHERE tenant_id = %(tenant_id)s AND transaction_id = ANY(%(ids)s);

-- name: find_beneficiaries
-- Payees with their customer.
SELECT
    beneficiary_id,
    customer_id
FROM core.beneficiaries
WHERE tenant_id = %(tenant_id)s AND beneficiary_id = ANY(%(ids)s);

-- name: find_disputes
-- Disputes.
SELECT dispute_id FROM core.disputes
WHERE tenant_id = %(tenant_id)s AND dispute_id = ANY(%(ids)s);

-- name: find_labels
-- Labels as their files wrote them. Shape: label_id, the row.
SELECT
    label_id,
    JSONB_BUILD_OBJECT(
        'label_id', label_id,
        'subject_kind', subject_kind,
        'subject_id', subject_id,
        'label', label,
        'pattern', pattern,
        'source', source,
        'occurred_at', TO_CHAR(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'known_at', TO_CHAR(known_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    ) AS row_as_written
FROM core.labels
WHERE tenant_id = %(tenant_id)s AND label_id = ANY(%(ids)s);

-- name: find_operators
-- Operators.
SELECT operator_id FROM core.operators
WHERE tenant_id = %(tenant_id)s AND operator_id = ANY(%(ids)s);

-- name: find_usernames
-- Who holds these sign-in names? Shape: username, operator_id.
SELECT
    username,
    operator_id
FROM core.operators
WHERE tenant_id = %(tenant_id)s AND username = ANY(%(usernames)s);

-- name: ensure_tenant
-- The tenant itself; a second time changes nothing.
INSERT INTO core.tenants (tenant_id, name, created_at) VALUES (%(tenant_id)s, %(name)s, %(now)s) ON CONFLICT DO NOTHING;

-- name: start_run
-- A run is seen from its first moment, in a transaction of its own.
INSERT INTO core.ingest_runs (tenant_id, ingest_id, kind, file_sha256, state, started_at)
VALUES (%(tenant_id)s, %(ingest_id)s, %(kind)s, %(file_sha256)s, 'running', %(now)s);

-- name: close_interrupted_runs
-- A run of the same file that was killed stays 'running' until the next one takes over.
UPDATE core.ingest_runs
SET state = 'failed', finished_at = %(now)s, error = 'interrupted; run again as ' || %(ingest_id)s
WHERE
    tenant_id = %(tenant_id)s AND kind = %(kind)s AND file_sha256 = %(file_sha256)s AND state = 'running'
    AND ingest_id <> %(ingest_id)s;

-- name: finish_run
-- The counts of the whole file.
UPDATE core.ingest_runs
SET
    state = %(state)s,
    rows_read = %(rows_read)s,
    rows_inserted = %(rows_inserted)s,
    rows_changed = %(rows_changed)s,
    rows_unchanged = %(rows_unchanged)s,
    rows_quarantined = %(rows_quarantined)s,
    finished_at = %(finished_at)s,
    error = %(error)s
WHERE tenant_id = %(tenant_id)s AND ingest_id = %(ingest_id)s;

-- name: find_runs
-- Runs of one file, the first first. Shape: ingest_id, state, started_at.
SELECT
    ingest_id,
    state,
    started_at
FROM core.ingest_runs
WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND file_sha256 = %(file_sha256)s
ORDER BY started_at, ingest_id;

-- name: insert_quarantine
-- Bad rows with their line and reason; the raw text only sealed.
INSERT INTO core.ingest_quarantine (tenant_id, ingest_id, line, reason_code, reason, sealed_row)
SELECT
    %(tenant_id)s,
    %(ingest_id)s,
    bad.line,
    bad.reason_code,
    bad.reason,
    bad.sealed_row
FROM
    UNNEST(%(lines)s::INTEGER[], %(reason_codes)s::TEXT[], %(reasons)s::TEXT[], %(sealed_rows)s::BYTEA[])
        AS bad (line, reason_code, reason, sealed_row)
ON CONFLICT DO NOTHING;

-- name: set_screening
-- What an earlier screening said of payees that have no state yet.
UPDATE core.beneficiaries
SET screening_state = earlier.state
FROM UNNEST(%(beneficiary_ids)s::TEXT[], %(states)s::TEXT[]) AS earlier (beneficiary_id, state)
WHERE
    beneficiaries.tenant_id = %(tenant_id)s
    AND beneficiaries.beneficiary_id = earlier.beneficiary_id
    AND beneficiaries.screening_state = 'unknown';
