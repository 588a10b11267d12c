-- What `ledger check` reads: entries as what they add to an account, what archived parts held, and where the last check stood.
-- The checks themselves are named queries (ledger/sql/checks.sql); a breach becomes an incident with an event.

SET LOCAL ROLE core_owner;

GRANT SELECT ON core.events_unsequenced TO jobs, auditor;
GRANT SELECT ON core.events TO ledger_owner;

SET LOCAL ROLE ledger_owner;

-- What the archived part of a month held, by account: all that adds entries up begins with these. What was held in one month and
-- released in another makes the held sums of a part negative.
CREATE TABLE ledger.archived_sums (
    tenant_id TEXT NOT NULL,
    account INTEGER NOT NULL,
    month DATE NOT NULL CHECK (EXTRACT(DAY FROM month) = 1),
    debits_posted_minor BIGINT NOT NULL,
    credits_posted_minor BIGINT NOT NULL,
    debits_pending_minor BIGINT NOT NULL,
    credits_pending_minor BIGINT NOT NULL,
    entries BIGINT NOT NULL CHECK (entries > 0),
    last_recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, account, month)
);

-- Which months of a tenant went, where to, and the SHA-256 of its file. Half-open: from first_id to before end_id.
CREATE TABLE ledger.archived_parts (
    tenant_id TEXT NOT NULL,
    month DATE NOT NULL CHECK (EXTRACT(DAY FROM month) = 1),
    first_id UUID NOT NULL,
    end_id UUID NOT NULL CHECK (end_id > first_id),
    transfers BIGINT NOT NULL CHECK (transfers > 0),
    file_sha256 TEXT NOT NULL CHECK (file_sha256 ~ '^[0-9a-f]{64}$'),
    archived_at TIMESTAMPTZ NOT NULL,
    archived_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, month)
);

-- Where a tenant's last check stood in the log, and what each account held there. A check of what is recent starts from it.
CREATE TABLE ledger.checks (
    tenant_id TEXT PRIMARY KEY,
    position BIGINT NOT NULL CHECK (position >= -1),
    checked_at TIMESTAMPTZ NOT NULL,
    whole_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE ledger.checked_sums (
    tenant_id TEXT NOT NULL,
    account INTEGER NOT NULL,
    debits_posted_minor BIGINT NOT NULL,
    credits_posted_minor BIGINT NOT NULL,
    debits_pending_minor BIGINT NOT NULL,
    credits_pending_minor BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, account)
) WITH (fillfactor = 70);

CALL core.protect_tenant_table('ledger.archived_sums');
CALL core.protect_tenant_table('ledger.archived_parts');
CALL core.protect_append_only_table('ledger.archived_sums');
CALL core.protect_append_only_table('ledger.archived_parts');
CALL core.protect_tenant_table('ledger.checks');
CALL core.protect_tenant_table('ledger.checked_sums');

-- Each transfer twice, as what it adds to the sums of either account. What a hold releases is the hold's amount, whatever was posted.
CREATE VIEW ledger.entry_effects WITH (security_barrier) AS
SELECT
    moves.tenant_id, moves.transfer_id, sides.account, sides.version, sides.balance_after_minor, moves.recorded_at,
    CASE WHEN sides.is_debit THEN moves.moved_minor ELSE 0 END AS debits_posted_minor,
    CASE WHEN sides.is_debit THEN 0 ELSE moves.moved_minor END AS credits_posted_minor,
    CASE WHEN sides.is_debit THEN moves.held_minor ELSE 0 END AS debits_pending_minor,
    CASE WHEN sides.is_debit THEN 0 ELSE moves.held_minor END AS credits_pending_minor
FROM (
    SELECT
        transfers.tenant_id, transfers.transfer_id, transfers.debit_account, transfers.credit_account, transfers.debit_version,
        transfers.credit_version, transfers.debit_balance_after_minor AS debit_after, transfers.credit_balance_after_minor AS credit_after,
        transfers.recorded_at, CASE WHEN transfers.kind IN (1, 3, 6) THEN transfers.amount_minor ELSE 0 END AS moved_minor,
        CASE transfers.kind
            WHEN 2 THEN transfers.amount_minor WHEN 3 THEN -COALESCE(holds.amount_minor, 0) WHEN 4 THEN -transfers.amount_minor
            WHEN 5 THEN -transfers.amount_minor ELSE 0
        END AS held_minor
    FROM ledger.transfers
    LEFT JOIN ledger.holds ON transfers.kind = 3 AND transfers.tenant_id = holds.tenant_id AND transfers.target_id = holds.transfer_id
) AS moves
CROSS JOIN LATERAL (
    VALUES (debit_account, debit_version, debit_after, TRUE), (credit_account, credit_version, credit_after, FALSE)
) AS sides (account, version, balance_after_minor, is_debit);

-- Say that an incident was opened: once for each case.
CREATE FUNCTION ledger.tell_of_incident(p_case_id TEXT, p_finding TEXT, p_subject TEXT, p_now TIMESTAMPTZ) RETURNS BOOLEAN
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
BEGIN
    IF EXISTS (SELECT FROM core.events WHERE tenant_id = v_tenant_id AND subject = p_case_id AND event_type = 'ledger.incident_opened') THEN
        RETURN FALSE;
    END IF;
    INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)
    VALUES (
        v_tenant_id, ledger.make_event_id(p_now), 'ledger.incident_opened', 'ledger', p_case_id, p_now, p_now,
        JSONB_BUILD_OBJECT('case_id', p_case_id, 'finding', p_finding, 'subject', p_subject)
    );
    RETURN TRUE;
END
$$;

-- Auditors and the checking job read the ledger as it stands.
GRANT SELECT ON ledger.transfers, ledger.accounts, ledger.tails, ledger.reversals, ledger.archived_sums, ledger.archived_parts, ledger.entry_effects
TO jobs, auditor;
GRANT SELECT ON ledger.checks, ledger.checked_sums TO jobs, auditor, edge;
GRANT INSERT, UPDATE ON ledger.checks, ledger.checked_sums TO jobs;
GRANT SELECT ON ledger.archived_sums, ledger.archived_parts, ledger.entry_effects TO ledger_writer;
GRANT EXECUTE ON FUNCTION ledger.tell_of_incident(TEXT, TEXT, TEXT, TIMESTAMPTZ) TO jobs;

RESET ROLE;
