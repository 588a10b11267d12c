-- name: try_lock_account
-- One run at a time on an account: matches and breaks follow from what is open, and must not be computed twice at once.
SELECT PG_TRY_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('reconciliation|' || core.CURRENT_TENANT() || '|' || %(code)s, 0));

-- name: find_file
-- The file that has this digest, with its report.
SELECT
    files.file_id,
    files.report
FROM reconciliation.statement_files AS files
WHERE files.sha256 = %(sha256)s;

-- name: find_mapping
-- What was set last for what the bank calls the account.
SELECT
    code,
    mirrored
FROM reconciliation.account_mappings
WHERE account_key = %(account_key)s
ORDER BY ordinal DESC
LIMIT 1;

-- name: insert_mapping
-- An older row of the same account stays and no longer counts.
INSERT INTO reconciliation.account_mappings (tenant_id, account_key, shown, code, mirrored, set_by, set_at)
VALUES ((SELECT core.CURRENT_TENANT()), %(account_key)s, %(shown)s, %(code)s, %(mirrored)s, %(operator_id)s, %(now)s);

-- name: has_ledger_account
-- A code with a slip in it would make every line a break.
SELECT COUNT(*) > 0 AS is_there FROM ledger.account_balances
WHERE code = %(code)s;

-- name: list_known_contents
-- Which of these entries an earlier file brought already.
SELECT
    content_sha256,
    occurrence
FROM reconciliation.statement_lines
WHERE code = %(code)s AND content_sha256 = ANY(%(contents)s);

-- name: list_known_references
-- The first line of each of these references.
SELECT DISTINCT ON (entry_reference)
    entry_reference,
    line_id
FROM reconciliation.statement_lines
WHERE code = %(code)s AND entry_reference = ANY(%(entry_references)s)
ORDER BY entry_reference, line_id;

-- name: insert_file
-- Last of an import, with what became of it.
INSERT INTO reconciliation.statement_files (tenant_id, file_id, sha256, format, imported_by, imported_at, report)
VALUES ((SELECT core.CURRENT_TENANT()), %(file_id)s, %(sha256)s, %(format)s, %(operator_id)s, %(now)s, %(report)s);

-- name: insert_statement
-- One account's statement.
INSERT INTO reconciliation.statements (
    tenant_id, statement_id, file_id, account_key, code, mirrored, currency, period_start, period_end, opening_minor, closing_minor,
    entries_minor, lines
)
VALUES (
    (SELECT core.CURRENT_TENANT()), %(statement_id)s, %(file_id)s, %(account_key)s, %(code)s, %(mirrored)s, %(currency)s,
    %(period_start)s, %(period_end)s, %(opening_minor)s, %(closing_minor)s, %(entries_minor)s, %(lines)s
);

-- name: insert_lines
-- All lines of a statement at once; keys hold no blanks.
WITH added AS (
    SELECT
        UNNEST(%(line_ids)s::TEXT[]) AS line_id,
        UNNEST(%(line_numbers)s::INTEGER[]) AS line_number,
        UNNEST(%(entry_references)s::TEXT[]) AS entry_reference,
        UNNEST(%(amounts)s::BIGINT[]) AS amount_minor,
        UNNEST(%(booked_on)s::DATE[]) AS booked_on,
        UNNEST(%(reference_keys)s::TEXT[]) AS reference_keys,
        UNNEST(%(contents)s::TEXT[]) AS content_sha256,
        UNNEST(%(occurrences)s::INTEGER[]) AS occurrence,
        UNNEST(%(duplicates_of)s::TEXT[]) AS duplicate_of
)

INSERT INTO reconciliation.statement_lines (
    tenant_id, line_id, statement_id, code, line_number, entry_reference, amount_minor, currency, booked_on, reference_keys,
    content_sha256, occurrence, duplicate_of
)
SELECT
    (SELECT core.CURRENT_TENANT()),
    added.line_id,
    %(statement_id)s,
    %(code)s,
    added.line_number,
    added.entry_reference,
    added.amount_minor,
    %(currency)s,
    added.booked_on,
    STRING_TO_ARRAY(added.reference_keys, ' '),
    added.content_sha256,
    added.occurrence,
    added.duplicate_of
FROM added;

-- name: insert_open_lines
-- On the work list.
INSERT INTO reconciliation.open_lines (tenant_id, code, line_id)
SELECT
    (SELECT core.CURRENT_TENANT()),
    %(code)s,
    line_id
FROM UNNEST(%(line_ids)s::TEXT[]) AS added (line_id);

-- name: insert_quarantined
-- Line and reason; the text itself is in the caller's file.
WITH added AS (
    SELECT
        UNNEST(%(line_numbers)s::INTEGER[]) AS line_number,
        UNNEST(%(reason_codes)s::TEXT[]) AS reason_code,
        UNNEST(%(reasons)s::TEXT[]) AS reason
)

INSERT INTO reconciliation.quarantined_lines (tenant_id, file_id, ordinal, line_number, reason_code, reason)
SELECT
    (SELECT core.CURRENT_TENANT()),
    %(file_id)s,
    ROW_NUMBER() OVER (ORDER BY added.line_number),
    added.line_number,
    added.reason_code,
    added.reason
FROM added;

-- name: list_imbalances
-- Open breaks of statements of the same account, currency and period.
SELECT cases.case_id
FROM core.cases
INNER JOIN reconciliation.statements ON cases.tenant_id = statements.tenant_id AND cases.subject = statements.statement_id
WHERE
    cases.kind = 'reconciliation_break'
    AND cases.state = 'open'
    AND statements.code = %(code)s
    AND statements.currency = %(currency)s
    AND statements.period_start = %(period_start)s
    AND statements.period_end = %(period_end)s;
