-- name: insert_cases
-- The same cause, or the same open question, again: no row comes back for it.
WITH added AS (
    SELECT
        UNNEST(%(case_ids)s::TEXT[]) AS case_id,
        UNNEST(%(kinds)s::TEXT[]) AS kind,
        UNNEST(%(subjects)s::TEXT[]) AS subject,
        UNNEST(%(causes)s::TEXT[]) AS opened_for,
        UNNEST(%(amounts)s::BIGINT[]) AS amount_minor,
        UNNEST(%(currencies)s::TEXT[]) AS currency,
        UNNEST(%(facts)s::JSONB[]) AS facts,
        UNNEST(%(due_at)s::TIMESTAMPTZ[]) AS due_at
)

INSERT INTO core.cases (tenant_id, case_id, kind, subject, opened_for, amount_minor, currency, facts, opened_at, due_at)
SELECT
    (SELECT core.CURRENT_TENANT()),
    added.case_id,
    added.kind,
    added.subject,
    added.opened_for,
    added.amount_minor,
    added.currency,
    added.facts,
    %(now)s,
    added.due_at
FROM added
ON CONFLICT DO NOTHING
RETURNING tenant_id, case_id;

-- name: find_opened
-- The case of a cause, or the one that stands open on the subject.
SELECT case_id FROM core.cases
WHERE kind = %(kind)s AND (opened_for = %(opened_for)s OR (subject = %(subject)s AND state = 'open'))
ORDER BY opened_for = %(opened_for)s DESC
LIMIT 1;

-- name: close_cases
-- Only open ones; no row comes back from a closed one.
UPDATE core.cases
SET state = 'closed', closed_at = %(now)s, closed_by = %(closed_by)s, outcome = %(outcome)s, note = %(note)s
WHERE case_id = ANY(%(case_ids)s) AND state = 'open'
RETURNING *;

-- name: find_case
-- One case of the tenant.
SELECT * FROM core.cases
WHERE case_id = %(case_id)s;

-- name: list_cases
-- Oldest first, from after a given one.
SELECT * FROM core.cases
WHERE
    (%(state)s::TEXT IS NULL OR state = %(state)s)
    AND (%(kind)s::TEXT IS NULL OR kind = %(kind)s)
    AND (
        %(after)s::TEXT IS NULL
        OR (opened_at, case_id) > (SELECT last.opened_at, last.case_id FROM core.cases AS last WHERE last.case_id = %(after)s)
    )
ORDER BY opened_at, case_id
LIMIT %(limit)s;

-- name: list_ageing
-- How long open cases have waited; bucket bounds are half-open. One that is opened in the future counts as new.
SELECT
    kind,
    CASE
        WHEN opened_at > %(now)s - INTERVAL '1 day' THEN '0-1 d'
        WHEN opened_at > %(now)s - INTERVAL '3 days' THEN '1-3 d'
        WHEN opened_at > %(now)s - INTERVAL '7 days' THEN '3-7 d'
        WHEN opened_at > %(now)s - INTERVAL '30 days' THEN '7-30 d'
        ELSE '30+ d'
    END AS bucket,
    COUNT(*) AS cases,
    COUNT(*) FILTER (WHERE due_at <= %(now)s) AS overdue,
    MIN(opened_at) AS oldest_at
FROM core.cases
WHERE state = 'open'
GROUP BY kind, bucket
ORDER BY kind, oldest_at DESC;
