-- name: list_account_status
-- How each account with statements stands. A line is open until it is matched or a person has decided.
WITH filed AS (
    SELECT
        statements.code,
        statements.currency,
        COUNT(*) AS statements,
        MAX(statements.period_end) AS stated_until,
        MAX(files.imported_at) AS imported_at
    FROM reconciliation.statements
    INNER JOIN reconciliation.statement_files AS files USING (tenant_id, file_id)
    GROUP BY statements.code, statements.currency
),

counted AS (
    SELECT
        code,
        currency,
        COUNT(*) AS lines
    FROM reconciliation.statement_lines
    GROUP BY code, currency
),

waiting AS (
    SELECT
        lines.code,
        lines.currency,
        COUNT(*) AS open_lines
    FROM reconciliation.open_lines
    INNER JOIN reconciliation.statement_lines AS lines USING (tenant_id, line_id)
    GROUP BY lines.code, lines.currency
)

SELECT
    filed.code,
    filed.currency,
    filed.statements,
    filed.stated_until,
    filed.imported_at,
    COALESCE(counted.lines, 0) AS lines,
    COALESCE(waiting.open_lines, 0) AS open_lines
FROM filed
LEFT JOIN counted ON filed.code = counted.code AND filed.currency = counted.currency
LEFT JOIN waiting ON filed.code = waiting.code AND filed.currency = waiting.currency
ORDER BY filed.code, filed.currency;

-- name: list_break_counts
-- Open breaks by account and kind, with the money in them.
SELECT
    facts ->> 'code' AS code,
    facts ->> 'break' AS kind,
    currency,
    COUNT(*) AS breaks,
    SUM(ABS(amount_minor))::BIGINT AS amount_minor,
    COUNT(*) FILTER (WHERE due_at <= %(now)s) AS overdue,
    MIN(opened_at) AS oldest_at
FROM core.cases
WHERE kind = 'reconciliation_break' AND state = 'open'
GROUP BY facts ->> 'code', facts ->> 'break', currency
ORDER BY code, kind, currency;

-- name: list_breaks
-- Open breaks, oldest first, from after a given one.
SELECT * FROM core.cases
WHERE
    kind = 'reconciliation_break'
    AND state = 'open'
    AND (%(code)s::TEXT IS NULL OR facts ->> 'code' = %(code)s)
    AND (%(break)s::TEXT IS NULL OR facts ->> 'break' = %(break)s)
    AND (
        %(after)s::TEXT IS NULL
        OR (opened_at, case_id) > (SELECT last.opened_at, last.case_id FROM core.cases AS last WHERE last.case_id = %(after)s)
    )
ORDER BY opened_at, case_id
LIMIT %(limit)s;
