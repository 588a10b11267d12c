-- name: check_currencies
-- The entries of each currency add up to zero, archived ones included. A transfer between two currencies shows in both.
SELECT
    'currency_not_zero' AS finding,
    NULL AS code,
    parts.currency,
    NULL::UUID AS transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT(
        'debits_minor', SUM(parts.debits_posted_minor), 'credits_minor', SUM(parts.credits_posted_minor),
        'held_debits_minor', SUM(parts.debits_pending_minor), 'held_credits_minor', SUM(parts.credits_pending_minor)
    ) AS detail
FROM (
    SELECT
        accounts.currency,
        sums.debits_posted_minor,
        sums.credits_posted_minor,
        sums.debits_pending_minor,
        sums.credits_pending_minor
    FROM (
        SELECT
            account,
            SUM(debits_posted_minor) AS debits_posted_minor,
            SUM(credits_posted_minor) AS credits_posted_minor,
            SUM(debits_pending_minor) AS debits_pending_minor,
            SUM(credits_pending_minor) AS credits_pending_minor
        FROM ledger.entry_effects
        WHERE %(ids)s::UUID[] IS NULL OR transfer_id = ANY(%(ids)s::UUID[])
        GROUP BY account
    ) AS sums
    LEFT JOIN ledger.accounts ON sums.account = accounts.account
    UNION ALL
    SELECT
        accounts.currency,
        sums.debits_posted_minor,
        sums.credits_posted_minor,
        sums.debits_pending_minor,
        sums.credits_pending_minor
    FROM ledger.archived_sums AS sums
    LEFT JOIN ledger.accounts ON sums.account = accounts.account
    WHERE %(ids)s::UUID[] IS NULL
) AS parts
GROUP BY parts.currency
HAVING
    SUM(parts.debits_posted_minor) <> SUM(parts.credits_posted_minor)
    OR SUM(parts.debits_pending_minor) <> SUM(parts.credits_pending_minor)
    OR parts.currency IS NULL
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;

-- name: check_balances
-- Each account holds what its entries add up to: posted and held sums, and how many there are. A whole check begins with what was
-- archived, one of what is recent with what the last check left.
WITH parts AS (
    SELECT
        account,
        debits_posted_minor,
        credits_posted_minor,
        debits_pending_minor,
        credits_pending_minor,
        1 AS entries
    FROM ledger.entry_effects
    WHERE %(ids)s::UUID[] IS NULL OR transfer_id = ANY(%(ids)s::UUID[])
    UNION ALL
    SELECT
        account,
        debits_posted_minor,
        credits_posted_minor,
        debits_pending_minor,
        credits_pending_minor,
        entries
    FROM ledger.archived_sums
    WHERE %(ids)s::UUID[] IS NULL
    UNION ALL
    SELECT
        account,
        debits_posted_minor,
        credits_posted_minor,
        debits_pending_minor,
        credits_pending_minor,
        entries
    FROM ledger.checked_sums
    WHERE %(ids)s::UUID[] IS NOT NULL
),

sums AS (
    SELECT
        account,
        SUM(debits_posted_minor) AS debited,
        SUM(credits_posted_minor) AS credited,
        SUM(debits_pending_minor) AS held_debits,
        SUM(credits_pending_minor) AS held_credits,
        SUM(entries) AS entries
    FROM parts
    GROUP BY account
),

tails AS (
    SELECT
        account,
        SUM(debits_posted_minor) AS debited,
        SUM(credits_posted_minor) AS credited,
        SUM(debits_pending_minor) AS held_debits,
        SUM(credits_pending_minor) AS held_credits,
        SUM(entries) AS entries
    FROM ledger.tails
    GROUP BY account
),

stored AS (
    SELECT
        accounts.account,
        accounts.code,
        accounts.currency,
        accounts.debits_posted_minor + COALESCE(tails.debited, 0) AS debited,
        accounts.credits_posted_minor + COALESCE(tails.credited, 0) AS credited,
        accounts.debits_pending_minor + COALESCE(tails.held_debits, 0) AS held_debits,
        accounts.credits_pending_minor + COALESCE(tails.held_credits, 0) AS held_credits,
        accounts.version + COALESCE(tails.entries, 0) AS entries
    FROM ledger.accounts
    LEFT JOIN tails ON accounts.account = tails.account
)

SELECT
    'balance_differs' AS finding,
    stored.code,
    stored.currency,
    NULL::UUID AS transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT(
        'stored', JSONB_BUILD_ARRAY(stored.debited, stored.credited, stored.held_debits, stored.held_credits, stored.entries),
        'entries', JSONB_BUILD_ARRAY(sums.debited, sums.credited, sums.held_debits, sums.held_credits, sums.entries)
    ) AS detail
FROM stored
FULL JOIN sums ON stored.account = sums.account
WHERE
    (stored.debited, stored.credited, stored.held_debits, stored.held_credits, stored.entries)
    IS DISTINCT FROM
    (COALESCE(sums.debited, 0), COALESCE(sums.credited, 0), COALESCE(sums.held_debits, 0), COALESCE(sums.held_credits, 0), COALESCE(sums.entries, 0))
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;

-- name: check_versions
-- Along each account that is not rolled up, in the order of the versions and across all parts: no gap, no fork, and each balance-after
-- is the one before it and what the entry did. Where older entries are archived, a gap is theirs; their number is checked above.
WITH archived AS (
    SELECT DISTINCT account FROM ledger.archived_sums
    WHERE %(ids)s::UUID[] IS NULL
),

walked AS (
    SELECT
        effects.account,
        effects.transfer_id,
        effects.version,
        effects.balance_after_minor,
        effects.credits_posted_minor - effects.debits_posted_minor AS moved_minor,
        LAG(effects.version) OVER walk AS previous_version,
        LAG(effects.balance_after_minor) OVER walk AS previous_balance_minor
    FROM ledger.entry_effects AS effects
    WHERE %(ids)s::UUID[] IS NULL OR effects.transfer_id = ANY(%(ids)s::UUID[])
    WINDOW walk AS (PARTITION BY effects.account ORDER BY effects.version)
),

compared AS (
    SELECT
        walked.*,
        accounts.code,
        accounts.currency,
        CASE
            WHEN walked.previous_version IS NOT NULL THEN walked.previous_version
            WHEN archived.account IS NULL THEN COALESCE(last.entries, 0)
        END AS known_version,
        CASE
            WHEN walked.previous_version IS NOT NULL THEN walked.previous_balance_minor
            WHEN archived.account IS NULL THEN COALESCE(last.credits_posted_minor - last.debits_posted_minor, 0)
        END AS known_balance_minor,
        archived.account IS NOT NULL AS has_archived
    FROM walked
    INNER JOIN ledger.accounts ON walked.account = accounts.account AND NOT accounts.rolled_up
    LEFT JOIN archived ON walked.account = archived.account
    LEFT JOIN ledger.checked_sums AS last ON %(ids)s::UUID[] IS NOT NULL AND walked.account = last.account
)

SELECT
    CASE
        WHEN version <= known_version THEN 'version_fork'
        WHEN version <> known_version + 1 THEN 'version_gap'
        ELSE 'balance_chain_broken'
    END AS finding,
    code,
    currency,
    transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT(
        'version', version, 'version_before', known_version, 'balance_after_minor', balance_after_minor, 'balance_before_minor',
        known_balance_minor, 'moved_minor', moved_minor
    ) AS detail
FROM compared
WHERE
    version <= known_version
    OR (version <> known_version + 1 AND NOT has_archived)
    OR (version = known_version + 1 AND balance_after_minor IS DISTINCT FROM known_balance_minor + moved_minor)
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;

-- name: check_limits
-- No account is beyond its limit now, and none was after any of its entries.
SELECT
    'limit_broken' AS finding,
    accounts.code,
    accounts.currency,
    NULL::UUID AS transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT(
        'debits_minor', accounts.debits_posted_minor, 'held_debits_minor', accounts.debits_pending_minor, 'credits_minor',
        accounts.credits_posted_minor, 'held_credits_minor', accounts.credits_pending_minor
    ) AS detail
FROM ledger.accounts
WHERE
    (
        accounts.debits_must_not_exceed_credits
        AND accounts.debits_posted_minor + accounts.debits_pending_minor > accounts.credits_posted_minor
    )
    OR (
        accounts.credits_must_not_exceed_debits
        AND accounts.credits_posted_minor + accounts.credits_pending_minor > accounts.debits_posted_minor
    )
UNION ALL
SELECT
    'limit_broken' AS finding,
    accounts.code,
    accounts.currency,
    effects.transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT('version', effects.version, 'balance_after_minor', effects.balance_after_minor) AS detail
FROM ledger.accounts
INNER JOIN ledger.entry_effects AS effects ON accounts.account = effects.account
WHERE
    (%(ids)s::UUID[] IS NULL OR effects.transfer_id = ANY(%(ids)s::UUID[]))
    AND (
        (accounts.debits_must_not_exceed_credits AND effects.balance_after_minor < 0)
        OR (accounts.credits_must_not_exceed_debits AND effects.balance_after_minor > 0)
    )
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;

-- name: check_holds
-- Holds are what their transfers say: placed by one, resolved by at most one, of the kind and amount that they name.
SELECT
    'hold_differs' AS finding,
    debits.code,
    debits.currency,
    placed.transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT('state', holds.state, 'held_minor', holds.amount_minor, 'placed_minor', placed.amount_minor) AS detail
FROM ledger.transfers AS placed
LEFT JOIN ledger.holds ON placed.tenant_id = holds.tenant_id AND placed.transfer_id = holds.transfer_id
LEFT JOIN ledger.accounts AS debits ON placed.debit_account = debits.account
WHERE
    placed.kind = 2
    AND (%(ids)s::UUID[] IS NULL OR placed.transfer_id = ANY(%(ids)s::UUID[]))
    AND (holds.amount_minor, holds.expires_at) IS DISTINCT FROM (placed.amount_minor, placed.hold_expires_at)
UNION ALL
SELECT
    'hold_differs' AS finding,
    debits.code,
    debits.currency,
    resolving.transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT('state', holds.state, 'posted_minor', holds.posted_minor, 'resolving_minor', resolving.amount_minor) AS detail
FROM ledger.transfers AS resolving
LEFT JOIN ledger.holds ON resolving.tenant_id = holds.tenant_id AND resolving.target_id = holds.transfer_id
LEFT JOIN ledger.accounts AS debits ON resolving.debit_account = debits.account
WHERE
    resolving.kind IN (3, 4, 5)
    AND (%(ids)s::UUID[] IS NULL OR resolving.transfer_id = ANY(%(ids)s::UUID[]))
    AND (holds.resolved_by, holds.state, holds.posted_minor) IS DISTINCT FROM (
        resolving.transfer_id, CASE resolving.kind WHEN 3 THEN 'posted' WHEN 4 THEN 'voided' ELSE 'expired' END,
        CASE resolving.kind WHEN 3 THEN resolving.amount_minor ELSE 0 END
    )
UNION ALL
SELECT
    'hold_differs' AS finding,
    NULL AS code,
    NULL AS currency,
    holds.transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT('state', holds.state, 'held_minor', holds.amount_minor) AS detail
FROM ledger.holds
LEFT JOIN ledger.transfers AS placed ON holds.tenant_id = placed.tenant_id AND holds.transfer_id = placed.transfer_id AND placed.kind = 2
LEFT JOIN ledger.transfers AS resolving
    ON
        holds.tenant_id = resolving.tenant_id AND holds.resolved_by = resolving.transfer_id
        AND holds.transfer_id = resolving.target_id AND resolving.kind IN (3, 4, 5)
WHERE
    %(ids)s::UUID[] IS NULL
    AND (
        (placed.transfer_id IS NULL AND NOT EXISTS (
            SELECT FROM ledger.archived_parts AS parts WHERE holds.transfer_id >= parts.first_id AND holds.transfer_id < parts.end_id
        ))
        OR (holds.state <> 'pending' AND resolving.transfer_id IS NULL AND NOT EXISTS (
            SELECT FROM ledger.archived_parts AS parts WHERE holds.resolved_by >= parts.first_id AND holds.resolved_by < parts.end_id
        ))
    )
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;

-- name: check_reversals
-- What was reversed of a transfer is what its reversals add up to, and never more than it moved. Whole checks only: there is no index
-- from a transfer to its reversals.
SELECT
    'reversal_differs' AS finding,
    debits.code,
    debits.currency,
    COALESCE(reversals.transfer_id, sums.target_id) AS transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT(
        'moved_minor', targets.amount_minor, 'reversed_minor', reversals.reversed_minor, 'reversals_minor', sums.reversed_minor
    ) AS detail
FROM ledger.reversals
FULL JOIN (
    SELECT
        target_id,
        SUM(amount_minor)::BIGINT AS reversed_minor
    FROM ledger.transfers
    WHERE kind = 6
    GROUP BY target_id
) AS sums ON reversals.transfer_id = sums.target_id
LEFT JOIN ledger.transfers AS targets ON targets.transfer_id = COALESCE(reversals.transfer_id, sums.target_id)
LEFT JOIN ledger.accounts AS debits ON targets.debit_account = debits.account
WHERE
    %(ids)s::UUID[] IS NULL
    AND (
        reversals.reversed_minor > COALESCE(targets.amount_minor, reversals.amount_minor)
        OR reversals.reversed_minor < sums.reversed_minor
        OR reversals.transfer_id IS NULL
        OR (
            reversals.reversed_minor IS DISTINCT FROM sums.reversed_minor
            AND NOT EXISTS (SELECT FROM ledger.archived_parts)
        )
    )
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;

-- name: check_decisions
-- Every transfer has a decision that allows it, unless it is one of the ledger's own kinds; a refund is the one that was decided.
WITH asked AS (
    SELECT
        transfers.transfer_id,
        transfers.decision_id,
        transfers.debit_account,
        transfers.amount_minor,
        transfers.code
    FROM ledger.transfers
    WHERE %(ids)s::UUID[] IS NULL OR transfers.transfer_id = ANY(%(ids)s::UUID[])
),

known AS (
    SELECT
        SUBSTR(decision_id, 5)::UUID AS decision_id,
        transfer_id,
        amount_minor
    FROM gate.decisions
    WHERE outcome IN ('allow', 'hold')
),

judged AS (
    SELECT
        asked.*,
        CASE
            WHEN asked.code >= 90 AND asked.decision_id IS NULL THEN NULL
            WHEN known.decision_id IS NULL THEN 'decision_missing'
            WHEN known.transfer_id IS NULL THEN NULL
            WHEN known.transfer_id <> asked.transfer_id OR known.amount_minor <> asked.amount_minor THEN 'differs_from_decision'
        END AS finding
    FROM asked
    LEFT JOIN known ON asked.decision_id = known.decision_id
)

SELECT
    judged.finding,
    debits.code,
    debits.currency,
    judged.transfer_id,
    'dec_' || REPLACE(judged.decision_id::TEXT, '-', '') AS decision_id,
    JSONB_BUILD_OBJECT('amount_minor', judged.amount_minor) AS detail
FROM judged
LEFT JOIN ledger.accounts AS debits ON judged.debit_account = debits.account
WHERE judged.finding IS NOT NULL
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;

-- name: check_consumptions
-- Every allow that named its transfer has it, or a refusal, or a successor, or its authorization unused, or was stopped by a freeze.
-- One whose authorization is gone with nothing to show for it was used up by something that is not in the ledger any more.
SELECT
    'decision_without_transfer' AS finding,
    NULL AS code,
    NULL AS currency,
    decisions.transfer_id,
    decisions.decision_id,
    JSONB_BUILD_OBJECT('amount_minor', decisions.amount_minor, 'currency', decisions.currency) AS detail
FROM gate.decisions
WHERE
    decisions.outcome = 'allow'
    AND decisions.transfer_id IS NOT NULL
    AND EXISTS (SELECT FROM gate.PLAN_TRANSFER(decisions.action_kind, decisions.account_id, decisions.currency))
    AND (%(since)s::TIMESTAMPTZ IS NULL OR decisions.expires_at >= %(since)s::TIMESTAMPTZ)
    AND NOT EXISTS (SELECT FROM ledger.transfers WHERE transfers.transfer_id = decisions.transfer_id)
    AND NOT EXISTS (SELECT FROM ledger.refusals WHERE refusals.transfer_id = decisions.transfer_id)
    AND NOT EXISTS (SELECT FROM gate.authorizations WHERE authorizations.transfer_id = decisions.transfer_id)
    AND NOT EXISTS (SELECT FROM gate.decisions AS later WHERE later.previous_decision_id = decisions.decision_id)
    AND NOT EXISTS (
        SELECT FROM gate.freezes
        WHERE
            (freezes.thawed_at IS NULL OR freezes.thawed_at >= decisions.decided_at)
            AND freezes.frozen_at < decisions.expires_at
            AND (
                freezes.scope = 'tenant'
                OR (freezes.scope = 'kind' AND freezes.subject = decisions.action_kind)
                OR (freezes.scope = 'operator' AND freezes.subject = decisions.operator_id)
            )
    )
    AND NOT EXISTS (
        SELECT FROM ledger.archived_parts AS parts
        WHERE decisions.transfer_id >= parts.first_id AND decisions.transfer_id < parts.end_id
    )
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;

-- name: check_places
-- Every transfer has its place in the log, or waits for it.
SELECT
    'place_missing' AS finding,
    debits.code,
    debits.currency,
    transfers.transfer_id,
    NULL AS decision_id,
    JSONB_BUILD_OBJECT('recorded_at', transfers.recorded_at) AS detail
FROM ledger.transfers
LEFT JOIN ledger.accounts AS debits ON transfers.debit_account = debits.account
WHERE
    %(ids)s::UUID[] IS NULL
    AND NOT EXISTS (SELECT FROM core.event_positions AS positions WHERE positions.event_id = transfers.transfer_id)
    AND NOT EXISTS (SELECT FROM core.events_unsequenced AS waiting WHERE waiting.event_id = transfers.transfer_id)
ORDER BY code, currency, transfer_id
LIMIT %(limit)s;
