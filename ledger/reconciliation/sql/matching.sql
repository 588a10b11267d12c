-- name: list_open_lines
-- What waits for a match on this account.
SELECT
    lines.line_id,
    lines.amount_minor,
    lines.currency,
    lines.booked_on,
    lines.reference_keys,
    lines.line_number,
    lines.entry_reference,
    lines.statement_id
FROM reconciliation.open_lines AS waiting
INNER JOIN reconciliation.statement_lines AS lines USING (tenant_id, line_id)
WHERE waiting.code = %(code)s
ORDER BY lines.line_id;

-- name: list_named_batches
-- What the settlement batches carry that these lines name.
SELECT
    batches.reference_key,
    members.reference
FROM settlement.batches
INNER JOIN settlement.batch_members AS members USING (tenant_id, batch_id)
WHERE batches.reference_key = ANY(%(keys)s);

-- name: list_instructed_transfers
-- Instructions to the bank under these ids, or for these decisions, and the transfer that each is about.
SELECT
    instruction_id,
    reference,
    payload ->> 'transfer_id' AS transfer_id
FROM core.outbox
WHERE instruction_id = ANY(%(ids)s) AND payload ->> 'transfer_id' IS NOT NULL
UNION
SELECT
    instruction_id,
    reference,
    payload ->> 'transfer_id' AS transfer_id
FROM core.outbox
WHERE reference = ANY(%(decision_ids)s) AND payload ->> 'transfer_id' IS NOT NULL;

-- name: list_named_movements
-- These transfers, where they moved posted money on the account and have no live match on it.
SELECT
    named.transfer_id,
    named.decision_id,
    CASE WHEN named.kind = 'post' THEN named.target_id END AS hold_id,
    CASE WHEN named.credit = %(code)s THEN named.amount_minor ELSE -named.amount_minor END AS amount_minor,
    named.currency,
    named.occurred_at
FROM ledger.transfer_lines AS named
WHERE
    named.transfer_id = ANY(%(transfer_ids)s)
    AND named.kind IN ('posted', 'post', 'reverse')
    AND (named.debit = %(code)s OR named.credit = %(code)s)
    AND NOT EXISTS (
        SELECT FROM reconciliation.match_transfers AS members
        WHERE
            members.code = %(code)s AND members.transfer_id = named.transfer_id
            AND NOT EXISTS (SELECT FROM reconciliation.unmatches WHERE unmatches.match_id = members.match_id)
    );

-- name: list_near_movements
-- Transfers that moved posted money on the account, have no live match on it, and may fit by amount and day, by
-- decision, or by the hold that they post.
-- Each side of the account is asked for by itself, so that each can use its index.
WITH touching AS (
    SELECT
        transfer_id,
        decision_id,
        CASE WHEN kind = 'post' THEN target_id END AS hold_id,
        kind,
        -amount_minor AS amount_minor,
        currency,
        occurred_at
    FROM ledger.transfer_lines
    WHERE debit = %(code)s
    UNION ALL
    SELECT
        transfer_id,
        decision_id,
        CASE WHEN kind = 'post' THEN target_id END AS hold_id,
        kind,
        amount_minor,
        currency,
        occurred_at
    FROM ledger.transfer_lines
    WHERE credit = %(code)s
)

SELECT
    touching.transfer_id,
    touching.decision_id,
    touching.hold_id,
    touching.amount_minor,
    touching.currency,
    touching.occurred_at
FROM touching
WHERE
    (
        (
            touching.occurred_at >= %(since)s AND touching.occurred_at < %(until)s
            AND touching.currency = ANY(%(currencies)s) AND touching.amount_minor = ANY(%(amounts)s)
        )
        OR touching.decision_id = ANY(%(decision_ids)s)
        OR touching.hold_id = ANY(%(hold_ids)s)
    )
    AND touching.kind IN ('posted', 'post', 'reverse')
    AND NOT EXISTS (
        SELECT FROM reconciliation.match_transfers AS members
        WHERE
            members.code = %(code)s AND members.transfer_id = touching.transfer_id
            AND NOT EXISTS (SELECT FROM reconciliation.unmatches WHERE unmatches.match_id = members.match_id)
    );

-- name: list_unmatched_movements
-- What the ledger holds of a period that no line is matched with; `transfer_ids` narrows it to some.
WITH touching AS (
    SELECT
        transfer_id,
        kind,
        -amount_minor AS amount_minor,
        currency,
        occurred_at
    FROM ledger.transfer_lines
    WHERE debit = %(code)s
    UNION ALL
    SELECT
        transfer_id,
        kind,
        amount_minor,
        currency,
        occurred_at
    FROM ledger.transfer_lines
    WHERE credit = %(code)s
)

SELECT
    touching.transfer_id,
    touching.amount_minor,
    touching.currency,
    touching.occurred_at
FROM touching
WHERE
    touching.kind IN ('posted', 'post', 'reverse')
    AND touching.currency = %(currency)s
    AND touching.occurred_at >= %(period_start)s AND touching.occurred_at < %(period_end)s
    AND (%(transfer_ids)s::UUID[] IS NULL OR touching.transfer_id = ANY(%(transfer_ids)s))
    AND NOT EXISTS (
        SELECT FROM reconciliation.match_transfers AS members
        WHERE
            members.code = %(code)s AND members.transfer_id = touching.transfer_id
            AND NOT EXISTS (SELECT FROM reconciliation.unmatches WHERE unmatches.match_id = members.match_id)
    )
ORDER BY touching.occurred_at, touching.transfer_id;

-- name: list_barred_pairs
-- Pairs that a person took apart are not put together again by a rule.
SELECT
    matches.line_id,
    members.transfer_id
FROM reconciliation.open_lines AS waiting
INNER JOIN reconciliation.matches USING (tenant_id, line_id)
INNER JOIN reconciliation.unmatches USING (tenant_id, match_id)
INNER JOIN reconciliation.match_transfers AS members USING (tenant_id, match_id)
WHERE waiting.code = %(code)s;

-- name: insert_matches
-- A trigger counts the round; the unique key refuses a second live match of a line.
INSERT INTO reconciliation.matches (tenant_id, match_id, line_id, rule, difference_minor, matched_at)
SELECT
    (SELECT core.CURRENT_TENANT()),
    added.match_id,
    added.line_id,
    added.rule,
    added.difference_minor,
    %(now)s
FROM UNNEST(%(match_ids)s::TEXT[], %(line_ids)s::TEXT[], %(rules)s::TEXT[], %(differences)s::BIGINT[])
    AS added (match_id, line_id, rule, difference_minor);

-- name: insert_match_transfers
-- As above: the unique key refuses a second live match of a transfer on the account.
INSERT INTO reconciliation.match_transfers (tenant_id, match_id, code, transfer_id, amount_minor)
SELECT
    (SELECT core.CURRENT_TENANT()),
    added.match_id,
    %(code)s,
    added.transfer_id,
    added.amount_minor
FROM UNNEST(%(match_ids)s::TEXT[], %(transfer_ids)s::UUID[], %(amounts)s::BIGINT[]) AS added (match_id, transfer_id, amount_minor);

-- name: delete_open_lines
-- They are matched, or a person has decided.
DELETE FROM reconciliation.open_lines
WHERE code = %(code)s AND line_id = ANY(%(line_ids)s);

-- name: list_break_cases
-- How often each subject was a case, the one that stands open, and whether a person closed one.
SELECT
    subject,
    COUNT(*) AS cases,
    COALESCE(BOOL_OR(closed_by <> 'system'), FALSE) AS is_decided,
    MAX(case_id) FILTER (WHERE state = 'open') AS open_case_id,
    MAX(facts ->> 'break') FILTER (WHERE state = 'open') AS open_break
FROM core.cases
WHERE kind = 'reconciliation_break' AND subject = ANY(%(subjects)s)
GROUP BY subject;

-- name: list_unswept
-- Statements whose grace is over and whose period was not looked through yet.
SELECT
    statement_id,
    code,
    currency,
    period_start,
    period_end
FROM reconciliation.statements
WHERE swept_at IS NULL AND code = %(code)s AND period_end <= %(ended_before)s
ORDER BY period_end, statement_id;

-- name: list_swept_periods
-- Periods of the account that were looked through: a transfer that comes free in one of them has to be told by itself.
SELECT
    statement_id,
    currency,
    period_start,
    period_end
FROM reconciliation.statements
WHERE swept_at IS NOT NULL AND code = %(code)s;

-- name: mark_swept
-- Once.
UPDATE reconciliation.statements
SET swept_at = %(now)s
WHERE statement_id = %(statement_id)s;

-- name: list_accounts_at_work
-- Accounts with something open, or a period to look through.
SELECT code FROM reconciliation.open_lines
UNION
SELECT code FROM reconciliation.statements
WHERE swept_at IS NULL AND period_end <= %(ended_before)s
ORDER BY code;

-- name: find_live_match
-- The match of a line that nobody took back.
SELECT
    matches.match_id,
    members.code,
    ARRAY_AGG(members.transfer_id) AS transfer_ids
FROM reconciliation.matches
INNER JOIN reconciliation.match_transfers AS members USING (tenant_id, match_id)
WHERE
    matches.line_id = %(line_id)s
    AND NOT EXISTS (SELECT FROM reconciliation.unmatches WHERE unmatches.match_id = matches.match_id)
GROUP BY matches.match_id, members.code;

-- name: insert_unmatch
-- The match itself stays on the record.
INSERT INTO reconciliation.unmatches (tenant_id, match_id, line_id, unmatched_by, reason, unmatched_at)
VALUES ((SELECT core.CURRENT_TENANT()), %(match_id)s, %(line_id)s, %(operator_id)s, %(reason)s, %(now)s);
