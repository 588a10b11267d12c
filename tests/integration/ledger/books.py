"""The books of one tenant, counted over from the transfers alone: a slow second opinion that shares no code with the ledger."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

_ENTRIES = """
WITH entries AS (
    SELECT transfer_id, kind, amount_minor, debit_account AS account, 'debit' AS side, debit_version AS version,
        debit_balance_after_minor AS balance_after, target_id
    FROM ledger.transfers WHERE tenant_id = %(tenant)s
    UNION ALL
    SELECT transfer_id, kind, amount_minor, credit_account, 'credit', credit_version, credit_balance_after_minor, target_id
    FROM ledger.transfers WHERE tenant_id = %(tenant)s
), moved AS (
    SELECT entries.*,
        CASE WHEN kind NOT IN (1, 3, 6) THEN 0 WHEN side = 'credit' THEN amount_minor ELSE -amount_minor END AS signed
    FROM entries
), stored AS (
    SELECT accounts.account, code, rolled_up, debits_must_not_exceed_credits AS debits_limited,
        credits_must_not_exceed_debits AS credits_limited,
        debits_posted_minor + COALESCE(tail.debits, 0) AS debits, credits_posted_minor + COALESCE(tail.credits, 0) AS credits,
        debits_pending_minor + COALESCE(tail.held_debits, 0) AS held_debits,
        credits_pending_minor + COALESCE(tail.held_credits, 0) AS held_credits, version + COALESCE(tail.entries, 0) AS version
    FROM ledger.accounts
    LEFT JOIN (
        SELECT account, SUM(debits_posted_minor) AS debits, SUM(credits_posted_minor) AS credits,
            SUM(debits_pending_minor) AS held_debits, SUM(credits_pending_minor) AS held_credits, SUM(entries) AS entries
        FROM ledger.tails WHERE tenant_id = %(tenant)s GROUP BY account
    ) AS tail ON tail.account = accounts.account
    WHERE accounts.tenant_id = %(tenant)s
)
"""
# Each query lists what is wrong; nothing, or the ledger is broken.
_CHECKS = {
    "the sums of an account are not those of its entries": """
SELECT code FROM stored LEFT JOIN moved USING (account) GROUP BY account, code, debits, credits, stored.version
HAVING debits <> COALESCE(SUM(moved.amount_minor) FILTER (WHERE side = 'debit' AND kind IN (1, 3, 6)), 0)
    OR credits <> COALESCE(SUM(moved.amount_minor) FILTER (WHERE side = 'credit' AND kind IN (1, 3, 6)), 0)
    OR stored.version <> COUNT(moved.transfer_id)
""",
    "what an account holds is not what its open holds say": """
SELECT code FROM stored LEFT JOIN (
    SELECT account, SUM(moved.amount_minor) FILTER (WHERE side = 'debit') AS debits,
        SUM(moved.amount_minor) FILTER (WHERE side = 'credit') AS credits
    FROM moved WHERE kind = 2 AND NOT EXISTS (
        SELECT FROM ledger.transfers AS later
        WHERE later.tenant_id = %(tenant)s AND later.target_id = moved.transfer_id AND later.kind BETWEEN 3 AND 5
    ) GROUP BY account
) AS open USING (account)
WHERE held_debits <> COALESCE(open.debits, 0) OR held_credits <> COALESCE(open.credits, 0)
""",
    "the versions of an account are not 1, 2, 3 …": """
SELECT code FROM stored INNER JOIN moved USING (account) WHERE NOT rolled_up GROUP BY account, code
HAVING MIN(moved.version) <> 1 OR MAX(moved.version) <> COUNT(*) OR COUNT(DISTINCT moved.version) <> COUNT(*)
""",
    "two entries of a rolled-up account have one order number": """
SELECT code FROM stored INNER JOIN moved USING (account) WHERE rolled_up GROUP BY account, code
HAVING COUNT(DISTINCT moved.version) <> COUNT(*)
""",
    "a balance after an entry is not the running sum": """
SELECT code FROM (
    SELECT code, rolled_up, balance_after, SUM(signed) OVER (PARTITION BY account ORDER BY moved.version) AS running
    FROM stored INNER JOIN moved USING (account)
) AS chain
WHERE (rolled_up AND balance_after IS NOT NULL) OR (NOT rolled_up AND balance_after IS DISTINCT FROM running)
""",
    "an account is over its limit": """
SELECT code FROM stored
WHERE (debits_limited AND debits + held_debits > credits) OR (credits_limited AND credits + held_credits > debits)
""",
    "a transfer without a decision that allows it": """
SELECT transfer_id FROM ledger.transfers AS made WHERE tenant_id = %(tenant)s AND code < 90 AND NOT EXISTS (
    SELECT FROM gate.decisions
    WHERE tenant_id = %(tenant)s AND outcome IN ('allow', 'hold')
        AND decision_id = 'dec_' || REPLACE(made.decision_id::TEXT, '-', '')
)
""",
    "an authorization outlives its transfer or refusal": """
SELECT transfer_id FROM gate.authorizations WHERE tenant_id = %(tenant)s AND transfer_id IN (
    SELECT transfer_id FROM ledger.transfers WHERE tenant_id = %(tenant)s
    UNION ALL SELECT transfer_id FROM ledger.refusals WHERE tenant_id = %(tenant)s
)
""",
    "a transfer is not once in the log or its waiting list": """
SELECT made.transfer_id FROM ledger.transfers AS made LEFT JOIN (
    SELECT event_id FROM core.events_unsequenced WHERE tenant_id = %(tenant)s
    UNION ALL SELECT event_id FROM core.event_positions WHERE tenant_id = %(tenant)s
) AS placed ON placed.event_id = made.transfer_id
WHERE made.tenant_id = %(tenant)s GROUP BY made.transfer_id HAVING COUNT(placed.event_id) <> 1
""",
    "a hold does not stand as its transfers say": """
SELECT placed.transfer_id FROM ledger.transfers AS placed
LEFT JOIN ledger.holds ON holds.tenant_id = %(tenant)s AND holds.transfer_id = placed.transfer_id
LEFT JOIN ledger.transfers AS ending
    ON ending.tenant_id = %(tenant)s AND ending.target_id = placed.transfer_id AND ending.kind BETWEEN 3 AND 5
WHERE placed.tenant_id = %(tenant)s AND placed.kind = 2 AND (
    holds.state, holds.amount_minor, holds.resolved_by, holds.posted_minor
) IS DISTINCT FROM (
    CASE ending.kind WHEN 3 THEN 'posted' WHEN 4 THEN 'voided' WHEN 5 THEN 'expired' ELSE 'pending' END, placed.amount_minor,
    ending.transfer_id, CASE ending.kind WHEN 3 THEN ending.amount_minor ELSE 0 END
)
""",
    "more was reversed than moved, or another sum than is kept": """
SELECT made.transfer_id FROM ledger.transfers AS made
INNER JOIN ledger.transfers AS back ON back.tenant_id = %(tenant)s AND back.target_id = made.transfer_id AND back.kind = 6
LEFT JOIN ledger.reversals ON reversals.tenant_id = %(tenant)s AND reversals.transfer_id = made.transfer_id
WHERE made.tenant_id = %(tenant)s GROUP BY made.transfer_id, made.amount_minor, reversals.reversed_minor
HAVING SUM(back.amount_minor) > made.amount_minor OR reversals.reversed_minor IS DISTINCT FROM SUM(back.amount_minor)
""",
}


def find_faults(admin: Connection[Any], tenant_id: str) -> dict[str, list[str]]:
    """Return what is wrong with the tenant's books, as the superuser sees them; empty when nothing is."""
    found = {name: admin.execute(_ENTRIES + query, {"tenant": tenant_id}).fetchall() for name, query in _CHECKS.items()}
    return {name: sorted({str(row[0]) for row in rows}) for name, rows in found.items() if rows}
