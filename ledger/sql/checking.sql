-- name: begin_check
-- All of a check is in one snapshot. The limits of the role are made for short work; sums over all transfers need room to sort in.
SELECT
    CURRENT_SETTING('transaction_isolation') AS isolation,
    SET_CONFIG('statement_timeout', '30min', TRUE) AS statement_timeout,
    SET_CONFIG('work_mem', '64MB', TRUE) AS work_mem,
    SET_CONFIG('jit', 'off', TRUE) AS jit;

-- name: prefer_hashing
-- With all transfers in view. Behind row-level security the planner takes an account's entries for a handful, and loops over them.
SELECT SET_CONFIG('enable_nestloop', 'off', TRUE);

-- name: find_last_check
-- Where the last check stood.
SELECT
    position,
    checked_at,
    whole_at
FROM ledger.checks;

-- name: list_since
-- The transfers since the last check: those placed in the log after its position, and those that wait for a place.
SELECT transfers.transfer_id
FROM core.event_positions AS positions
INNER JOIN ledger.transfers ON positions.event_id = transfers.transfer_id
WHERE positions.position > %(position)s
UNION ALL
SELECT transfers.transfer_id
FROM core.events_unsequenced AS waiting
INNER JOIN ledger.transfers ON waiting.event_id = transfers.transfer_id
ORDER BY transfer_id
LIMIT %(limit)s;

-- name: count_scope
-- How much is looked at.
SELECT
    (SELECT COUNT(*) FROM ledger.transfers) AS transfers,
    (SELECT COUNT(*) FROM ledger.accounts) AS accounts;

-- name: note_check
-- Where this check stood: the end of the log in this snapshot.
INSERT INTO ledger.checks AS noted (tenant_id, position, checked_at, whole_at)
VALUES (
    (SELECT core.CURRENT_TENANT()),
    (SELECT COALESCE(MAX(positions.position), -1) FROM core.event_positions AS positions),
    %(now)s, %(now)s
)
ON CONFLICT (tenant_id) DO UPDATE SET
    position = excluded.position, checked_at = excluded.checked_at,
    whole_at = CASE WHEN %(whole)s THEN excluded.whole_at ELSE noted.whole_at END;

-- name: note_sums
-- What each account held at that place: what it holds now, less what waits for a place. Only what changed is written: a conflict costs
-- a lock on its row even where nothing is set. A breach that was told is not told again until the next whole check.
WITH waiting AS (
    SELECT
        effects.account,
        SUM(effects.debits_posted_minor) AS debited,
        SUM(effects.credits_posted_minor) AS credited,
        SUM(effects.debits_pending_minor) AS held_debits,
        SUM(effects.credits_pending_minor) AS held_credits,
        COUNT(*) AS entries
    FROM ledger.entry_effects AS effects
    WHERE effects.transfer_id = ANY(%(waiting)s::UUID[])
    GROUP BY effects.account
),

stored AS (
    SELECT
        accounts.account,
        balances.debits_posted_minor - COALESCE(waiting.debited, 0) AS debited,
        balances.credits_posted_minor - COALESCE(waiting.credited, 0) AS credited,
        balances.debits_pending_minor - COALESCE(waiting.held_debits, 0) AS held_debits,
        balances.credits_pending_minor - COALESCE(waiting.held_credits, 0) AS held_credits,
        balances.version - COALESCE(waiting.entries, 0) AS entries
    FROM ledger.accounts
    INNER JOIN ledger.account_balances AS balances ON accounts.code = balances.code AND accounts.currency = balances.currency
    LEFT JOIN waiting ON accounts.account = waiting.account
)

INSERT INTO ledger.checked_sums (
    tenant_id, account, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, entries
)
SELECT
    (SELECT core.CURRENT_TENANT()) AS tenant_id,
    stored.account,
    stored.debited,
    stored.credited,
    stored.held_debits,
    stored.held_credits,
    stored.entries
FROM stored
LEFT JOIN ledger.checked_sums AS last ON stored.account = last.account
WHERE
    (stored.debited, stored.credited, stored.held_debits, stored.held_credits, stored.entries)
    IS DISTINCT FROM
    (last.debits_posted_minor, last.credits_posted_minor, last.debits_pending_minor, last.credits_pending_minor, last.entries)
ON CONFLICT (tenant_id, account) DO UPDATE SET
    debits_posted_minor = excluded.debits_posted_minor, credits_posted_minor = excluded.credits_posted_minor,
    debits_pending_minor = excluded.debits_pending_minor, credits_pending_minor = excluded.credits_pending_minor,
    entries = excluded.entries;

-- name: list_waiting
-- The transfers that wait for a place in the log.
SELECT waiting.event_id
FROM core.events_unsequenced AS waiting
INNER JOIN ledger.transfers ON waiting.event_id = transfers.transfer_id;

-- name: find_sides
-- The accounts of transfers: what a breach on one of them stops.
SELECT
    transfer_id,
    debit,
    credit,
    currency
FROM ledger.transfer_lines
WHERE transfer_id = ANY(%(ids)s::UUID[]);

-- name: tell_of_incident
-- One event a case.
SELECT ledger.TELL_OF_INCIDENT(%(case_id)s, %(finding)s, %(subject)s, %(now)s);
