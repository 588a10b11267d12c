-- name: find_part
-- The part of a month, where it is in use. Below, `ledger.transfers_of_month` stands for its name.
SELECT TO_REGCLASS(%(part)s)::TEXT;

-- name: begin_archive
-- An administrator's transaction over all tenants: a query that row-level security would thin out fails.
SELECT
    SET_CONFIG('row_security', 'off', TRUE) AS row_security,
    SET_CONFIG('statement_timeout', '0', TRUE) AS statement_timeout,
    SET_CONFIG('lock_timeout', '10s', TRUE) AS lock_timeout,
    SET_CONFIG('timezone', 'UTC', TRUE) AS timezone;

-- name: bounds_of_month
-- Half-open: the first id of the month, and of the next one.
SELECT
    ledger.FIRST_UUID_OF(%(first_at)s),
    ledger.FIRST_UUID_OF(%(end_at)s);

-- name: count_open
-- What keeps a part from being archived: open holds, and transfers that wait for a place in the log.
SELECT
    (
        SELECT COUNT(*) FROM ledger.transfers_of_month AS parts
        INNER JOIN ledger.holds ON parts.tenant_id = holds.tenant_id AND parts.transfer_id = holds.transfer_id
        WHERE holds.state = 'pending'
    ) AS open_holds,
    (
        SELECT COUNT(*) FROM ledger.transfers_of_month AS parts
        INNER JOIN core.events_unsequenced AS waiting ON parts.tenant_id = waiting.tenant_id AND parts.transfer_id = waiting.event_id
    ) AS waiting;

-- name: count_by_tenant
-- What the file must hold.
SELECT
    tenant_id,
    COUNT(*) AS transfers,
    SUM(amount_minor)::TEXT AS amount_minor
FROM ledger.transfers_of_month
GROUP BY tenant_id
ORDER BY tenant_id;

-- name: copy_part
-- All columns, in one order, so that the same part gives the same file.
COPY (SELECT * FROM ledger.transfers_of_month ORDER BY tenant_id, transfer_id) TO STDOUT (FORMAT CSV, HEADER TRUE);

-- name: insert_sums
-- What each account leaves behind. What a hold releases is the hold's amount, whatever was posted.
INSERT INTO ledger.archived_sums (
    tenant_id, account, month, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, entries,
    last_recorded_at
)
SELECT
    sides.tenant_id,
    sides.account,
    %(month)s::DATE AS month,
    SUM(CASE WHEN sides.is_debit THEN sides.moved_minor ELSE 0 END) AS debits_posted_minor,
    SUM(CASE WHEN sides.is_debit THEN 0 ELSE sides.moved_minor END) AS credits_posted_minor,
    SUM(CASE WHEN sides.is_debit THEN sides.held_minor ELSE 0 END) AS debits_pending_minor,
    SUM(CASE WHEN sides.is_debit THEN 0 ELSE sides.held_minor END) AS credits_pending_minor,
    COUNT(*) AS entries,
    MAX(sides.recorded_at) AS last_recorded_at
FROM (
    SELECT
        parts.tenant_id,
        parts.recorded_at,
        ends.account,
        ends.is_debit,
        CASE WHEN parts.kind IN (1, 3, 6) THEN parts.amount_minor ELSE 0 END AS moved_minor,
        CASE parts.kind
            WHEN 2 THEN parts.amount_minor WHEN 3 THEN -holds.amount_minor WHEN 4 THEN -parts.amount_minor
            WHEN 5 THEN -parts.amount_minor ELSE 0
        END AS held_minor
    FROM ledger.transfers_of_month AS parts
    LEFT JOIN ledger.holds ON parts.kind = 3 AND parts.tenant_id = holds.tenant_id AND parts.target_id = holds.transfer_id
    CROSS JOIN LATERAL (VALUES (parts.debit_account, TRUE), (parts.credit_account, FALSE)) AS ends (account, is_debit)
) AS sides
GROUP BY sides.tenant_id, sides.account;

-- name: insert_part
-- Which months of a tenant went, and where to.
INSERT INTO ledger.archived_parts (tenant_id, month, first_id, end_id, transfers, file_sha256, archived_at, archived_by)
VALUES (%(tenant_id)s, %(month)s, %(first_id)s, %(end_id)s, %(transfers)s, %(file_sha256)s, %(now)s, %(archived_by)s);

-- name: find_archived
-- What is on record of a month.
SELECT
    MIN(file_sha256),
    SUM(transfers)::BIGINT
FROM ledger.archived_parts
WHERE month = %(month)s;

-- name: set_context
-- For the next statement.
SELECT SET_CONFIG('tellergate.context', %(context)s, TRUE);

-- name: tell_of_archive
-- The event `ledger.month_archived`.
SELECT ledger.TELL_OF_ARCHIVE(%(month)s, %(transfers)s, %(file_sha256)s, %(archived_by)s, %(now)s);
