-- Reads of one account by the page. As functions, because a page must come from the end of an index and not from a union of all
-- transfers. STABLE: each reads in the snapshot of the statement that calls it, and shows the tenant of the session only. The plans are
-- made for the account at hand: one for all of them would be one for the busiest.

SET LOCAL ROLE ledger_owner;

CREATE TYPE ledger.statement_line AS (
    version BIGINT,
    transfer_id UUID,
    kind TEXT,
    code SMALLINT,
    side TEXT,
    other_account TEXT,
    amount_minor BIGINT,
    balance_after_minor BIGINT,
    occurred_at TIMESTAMPTZ,
    recorded_at TIMESTAMPTZ
);

-- The page after a version, oldest first.
CREATE FUNCTION ledger.list_entries(p_code TEXT, p_currency TEXT, p_after BIGINT, p_limit INTEGER) RETURNS SETOF ledger.statement_line
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_account INTEGER;
BEGIN
    SELECT account INTO v_account FROM ledger.accounts WHERE tenant_id = v_tenant_id AND code = p_code AND currency = p_currency;
    IF NOT FOUND THEN RETURN; END IF;
    RETURN QUERY
    SELECT
        page.version, page.transfer_id, ledger.name_of_kind(page.kind), page.code, page.side, others.code, page.amount_minor,
        page.balance_after_minor, page.occurred_at, page.recorded_at
    FROM (
        SELECT * FROM (
            SELECT
                debit_version AS version, transfer_id, kind, code, 'debit' AS side, credit_account AS other, amount_minor,
                debit_balance_after_minor AS balance_after_minor, occurred_at, recorded_at
            FROM ledger.transfers
            WHERE tenant_id = v_tenant_id AND debit_account = v_account AND debit_version > p_after
            ORDER BY debit_version LIMIT p_limit
        ) AS debited
        UNION ALL
        SELECT * FROM (
            SELECT
                credit_version, transfer_id, kind, code, 'credit', debit_account, amount_minor, credit_balance_after_minor, occurred_at,
                recorded_at
            FROM ledger.transfers
            WHERE tenant_id = v_tenant_id AND credit_account = v_account AND credit_version > p_after
            ORDER BY credit_version LIMIT p_limit
        ) AS credited
        ORDER BY version LIMIT p_limit
    ) AS page
    LEFT JOIN ledger.accounts AS others ON others.tenant_id = v_tenant_id AND others.account = page.other
    ORDER BY page.version;
END
$$;

-- The page before a version, newest first.
CREATE FUNCTION ledger.list_entries_before(p_code TEXT, p_currency TEXT, p_before BIGINT, p_limit INTEGER) RETURNS SETOF ledger.statement_line
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_account INTEGER;
BEGIN
    SELECT account INTO v_account FROM ledger.accounts WHERE tenant_id = v_tenant_id AND code = p_code AND currency = p_currency;
    IF NOT FOUND THEN RETURN; END IF;
    RETURN QUERY
    SELECT
        page.version, page.transfer_id, ledger.name_of_kind(page.kind), page.code, page.side, others.code, page.amount_minor,
        page.balance_after_minor, page.occurred_at, page.recorded_at
    FROM (
        SELECT * FROM (
            SELECT
                debit_version AS version, transfer_id, kind, code, 'debit' AS side, credit_account AS other, amount_minor,
                debit_balance_after_minor AS balance_after_minor, occurred_at, recorded_at
            FROM ledger.transfers
            WHERE tenant_id = v_tenant_id AND debit_account = v_account AND debit_version < p_before
            ORDER BY debit_version DESC LIMIT p_limit
        ) AS debited
        UNION ALL
        SELECT * FROM (
            SELECT
                credit_version, transfer_id, kind, code, 'credit', debit_account, amount_minor, credit_balance_after_minor, occurred_at,
                recorded_at
            FROM ledger.transfers
            WHERE tenant_id = v_tenant_id AND credit_account = v_account AND credit_version < p_before
            ORDER BY credit_version DESC LIMIT p_limit
        ) AS credited
        ORDER BY version DESC LIMIT p_limit
    ) AS page
    LEFT JOIN ledger.accounts AS others ON others.tenant_id = v_tenant_id AND others.account = page.other
    ORDER BY page.version DESC;
END
$$;

-- The sums over entries recorded at a moment or before, archived months included. A moment inside an archived month: 55000.
CREATE FUNCTION ledger.find_balance_at(p_code TEXT, p_currency TEXT, p_at TIMESTAMPTZ)
RETURNS TABLE (
    debits_posted_minor BIGINT, credits_posted_minor BIGINT, debits_pending_minor BIGINT, credits_pending_minor BIGINT, version BIGINT
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_custom_plan'
AS $$
#variable_conflict use_column
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_account INTEGER;
BEGIN
    SELECT account INTO v_account FROM ledger.accounts WHERE tenant_id = v_tenant_id AND code = p_code AND currency = p_currency;
    IF NOT FOUND THEN RETURN; END IF;
    IF EXISTS (SELECT FROM ledger.archived_sums WHERE tenant_id = v_tenant_id AND account = v_account AND last_recorded_at > p_at) THEN
        RAISE EXCEPTION 'account %/%: the entries of that time are archived', p_code, p_currency USING ERRCODE = '55000';
    END IF;
    RETURN QUERY
    SELECT
        COALESCE(SUM(parts.debited), 0)::BIGINT, COALESCE(SUM(parts.credited), 0)::BIGINT, COALESCE(SUM(parts.held_debits), 0)::BIGINT,
        COALESCE(SUM(parts.held_credits), 0)::BIGINT, COALESCE(SUM(parts.entries), 0)::BIGINT
    FROM (
        SELECT debits_posted_minor AS debited, credits_posted_minor AS credited, debits_pending_minor AS held_debits,
            credits_pending_minor AS held_credits, entries
        FROM ledger.archived_sums WHERE tenant_id = v_tenant_id AND account = v_account
        UNION ALL
        SELECT sides.debited, sides.credited, sides.held_debits, sides.held_credits, 1
        FROM (
            SELECT
                CASE WHEN transfers.kind IN (1, 3, 6) THEN transfers.amount_minor ELSE 0 END AS debited, 0 AS credited,
                CASE transfers.kind
                    WHEN 2 THEN transfers.amount_minor WHEN 3 THEN -holds.amount_minor WHEN 4 THEN -transfers.amount_minor
                    WHEN 5 THEN -transfers.amount_minor ELSE 0
                END AS held_debits, 0 AS held_credits
            FROM ledger.transfers
            LEFT JOIN ledger.holds ON transfers.kind = 3 AND holds.tenant_id = v_tenant_id AND transfers.target_id = holds.transfer_id
            WHERE transfers.tenant_id = v_tenant_id AND transfers.debit_account = v_account AND transfers.recorded_at <= p_at
            UNION ALL
            SELECT
                0, CASE WHEN transfers.kind IN (1, 3, 6) THEN transfers.amount_minor ELSE 0 END, 0,
                CASE transfers.kind
                    WHEN 2 THEN transfers.amount_minor WHEN 3 THEN -holds.amount_minor WHEN 4 THEN -transfers.amount_minor
                    WHEN 5 THEN -transfers.amount_minor ELSE 0
                END
            FROM ledger.transfers
            LEFT JOIN ledger.holds ON transfers.kind = 3 AND holds.tenant_id = v_tenant_id AND transfers.target_id = holds.transfer_id
            WHERE transfers.tenant_id = v_tenant_id AND transfers.credit_account = v_account AND transfers.recorded_at <= p_at
        ) AS sides
    ) AS parts;
END
$$;

-- Holds with their accounts and what became of them.
CREATE VIEW ledger.hold_lines WITH (security_barrier) AS
SELECT
    holds.tenant_id, holds.transfer_id, debits.code AS debit, credits.code AS credit, debits.currency, holds.amount_minor AS held_minor,
    holds.expires_at, holds.state, holds.posted_minor, holds.resolved_by, holds.opened_at
FROM ledger.holds
INNER JOIN ledger.transfers ON holds.tenant_id = transfers.tenant_id AND holds.transfer_id = transfers.transfer_id
INNER JOIN ledger.accounts AS debits ON transfers.tenant_id = debits.tenant_id AND transfers.debit_account = debits.account
INNER JOIN ledger.accounts AS credits ON transfers.tenant_id = credits.tenant_id AND transfers.credit_account = credits.account;

-- Accounts whose sums or version are not those of their entries; none, or the ledger is broken. It adds all of them up.
CREATE VIEW ledger.account_drift WITH (security_barrier) AS
SELECT balances.tenant_id, balances.code, balances.currency
FROM ledger.account_balances AS balances
INNER JOIN ledger.accounts
    ON balances.tenant_id = accounts.tenant_id AND balances.code = accounts.code AND balances.currency = accounts.currency
LEFT JOIN (
    SELECT
        tenant_id, account, SUM(debits_posted_minor) AS debited, SUM(credits_posted_minor) AS credited,
        SUM(debits_pending_minor) AS held_debits, SUM(credits_pending_minor) AS held_credits, SUM(entries) AS entries
    FROM (
        SELECT tenant_id, account, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, 1 AS entries
        FROM ledger.entry_effects
        UNION ALL
        SELECT tenant_id, account, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, entries
        FROM ledger.archived_sums
    ) AS parts
    GROUP BY tenant_id, account
) AS sums ON accounts.tenant_id = sums.tenant_id AND accounts.account = sums.account
WHERE (
    balances.debits_posted_minor, balances.credits_posted_minor, balances.debits_pending_minor, balances.credits_pending_minor,
    balances.version
) IS DISTINCT FROM (
    COALESCE(sums.debited, 0), COALESCE(sums.credited, 0), COALESCE(sums.held_debits, 0), COALESCE(sums.held_credits, 0),
    COALESCE(sums.entries, 0)
);

GRANT SELECT ON ledger.hold_lines, ledger.account_drift TO executor, gate, edge, jobs, auditor, importer;
GRANT EXECUTE ON FUNCTION
ledger.list_entries(TEXT, TEXT, BIGINT, INTEGER), ledger.list_entries_before(TEXT, TEXT, BIGINT, INTEGER),
ledger.find_balance_at(TEXT, TEXT, TIMESTAMPTZ)
TO executor, gate, edge, jobs, auditor, importer;

RESET ROLE;
