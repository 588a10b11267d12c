-- What the bank says about our money: account statements with their matches against the ledger, and settlement batches with
-- the times at which they changed state. No free text of a statement is kept: a name or an account number may stand in it.

CREATE SCHEMA reconciliation AUTHORIZATION core_owner;
CREATE SCHEMA settlement AUTHORIZATION core_owner;

SET LOCAL ROLE core_owner;

-- Statements ------------------------------------------------------------------------------------------------------------------

-- Which ledger account a statement's account is. The newest row of a key counts; the older ones say what was believed when.
-- `account_key` is a digest of what the bank calls the account, `shown` its last characters.
-- `mirrored`: the ledger keeps the account from our side, so that the bank's credit is our debit.
CREATE TABLE reconciliation.account_mappings (
    tenant_id TEXT NOT NULL,
    account_key TEXT NOT NULL CHECK (OCTET_LENGTH(account_key) BETWEEN 1 AND 100),
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY,
    shown TEXT NOT NULL CHECK (OCTET_LENGTH(shown) <= 200),
    code TEXT NOT NULL CHECK (OCTET_LENGTH(code) BETWEEN 1 AND 200),
    mirrored BOOLEAN NOT NULL,
    set_by TEXT NOT NULL,
    set_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, account_key, ordinal)
);

-- One row a file, told by its digest. Its bytes are not kept.
CREATE TABLE reconciliation.statement_files (
    tenant_id TEXT NOT NULL,
    file_id TEXT NOT NULL CHECK (file_id ~ '^stf_[0-9a-f]{32}$'),
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    format TEXT NOT NULL CHECK (format IN ('csv', 'camt053')),
    imported_by TEXT NOT NULL,
    imported_at TIMESTAMPTZ NOT NULL,
    report JSONB NOT NULL CHECK (JSONB_TYPEOF(report) = 'object'),
    PRIMARY KEY (tenant_id, file_id),
    UNIQUE (tenant_id, sha256)
);

-- `swept_at`: when the transfers of the period that no line names were looked for, after the period's end and its grace.
CREATE TABLE reconciliation.statements (
    tenant_id TEXT NOT NULL,
    statement_id TEXT NOT NULL CHECK (statement_id ~ '^stm_[0-9a-f]{32}$'),
    file_id TEXT NOT NULL,
    account_key TEXT NOT NULL,
    code TEXT NOT NULL,
    mirrored BOOLEAN NOT NULL,
    currency TEXT NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    period_start TIMESTAMPTZ NOT NULL,
    period_end TIMESTAMPTZ NOT NULL CHECK (period_end > period_start),
    opening_minor BIGINT,
    closing_minor BIGINT,
    entries_minor BIGINT NOT NULL,
    lines INTEGER NOT NULL CHECK (lines >= 0),
    swept_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, statement_id),
    -- The row of the file comes last, with what became of its lines.
    FOREIGN KEY (tenant_id, file_id) REFERENCES reconciliation.statement_files DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX statements_by_account ON reconciliation.statements (tenant_id, code, period_end);
CREATE INDEX statements_unswept ON reconciliation.statements (tenant_id, period_end) WHERE swept_at IS NULL;

-- `amount_minor` is signed as the ledger sees the account: more is a credit. `reference_keys`: ids of ours that the line names, and
-- digests of other references. `content_sha256` and `occurrence` tell a line that an overlapping file repeats.
CREATE TABLE reconciliation.statement_lines (
    tenant_id TEXT NOT NULL,
    line_id TEXT NOT NULL CHECK (line_id ~ '^stl_[0-9a-f]{32}$'),
    statement_id TEXT NOT NULL,
    code TEXT NOT NULL,
    line_number INTEGER NOT NULL CHECK (line_number > 0),
    entry_reference TEXT CHECK (OCTET_LENGTH(entry_reference) <= 100),
    amount_minor BIGINT NOT NULL CHECK (amount_minor <> 0),
    currency TEXT NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    booked_on DATE NOT NULL,
    reference_keys TEXT[] NOT NULL,
    content_sha256 TEXT NOT NULL CHECK (content_sha256 ~ '^[0-9a-f]{64}$'),
    occurrence INTEGER NOT NULL CHECK (occurrence > 0),
    duplicate_of TEXT,
    PRIMARY KEY (tenant_id, line_id),
    UNIQUE (tenant_id, code, content_sha256, occurrence),
    FOREIGN KEY (tenant_id, statement_id) REFERENCES reconciliation.statements,
    FOREIGN KEY (tenant_id, duplicate_of) REFERENCES reconciliation.statement_lines
);
CREATE INDEX statement_lines_by_reference ON reconciliation.statement_lines (tenant_id, code, entry_reference);

-- The work list: lines that have no match and on which no person has decided. Derived, so that a run looks at these and no others.
CREATE TABLE reconciliation.open_lines (
    tenant_id TEXT NOT NULL,
    code TEXT NOT NULL,
    line_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, code, line_id),
    FOREIGN KEY (tenant_id, line_id) REFERENCES reconciliation.statement_lines
);

CREATE TABLE reconciliation.quarantined_lines (
    tenant_id TEXT NOT NULL,
    file_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL CHECK (ordinal > 0),
    line_number INTEGER NOT NULL CHECK (line_number > 0),
    reason_code TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (OCTET_LENGTH(reason) <= 1000),
    PRIMARY KEY (tenant_id, file_id, ordinal),
    FOREIGN KEY (tenant_id, file_id) REFERENCES reconciliation.statement_files DEFERRABLE INITIALLY DEFERRED
);

-- Matches ---------------------------------------------------------------------------------------------------------------------

-- A line's match, and the transfers in it: one, or the several of a batch. Taking a match back is a row of its own. `round` counts
-- how often the line (or the transfer, on this account) was taken back before: the unique keys let one live match exist.
CREATE TABLE reconciliation.matches (
    tenant_id TEXT NOT NULL,
    match_id TEXT NOT NULL CHECK (match_id ~ '^mch_[0-9a-f]{32}$'),
    line_id TEXT NOT NULL,
    round INTEGER NOT NULL DEFAULT 0,
    rule TEXT NOT NULL,
    difference_minor BIGINT NOT NULL,
    matched_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, match_id),
    UNIQUE (tenant_id, match_id, line_id),
    UNIQUE (tenant_id, line_id, round),
    FOREIGN KEY (tenant_id, line_id) REFERENCES reconciliation.statement_lines
);
CREATE TABLE reconciliation.match_transfers (
    tenant_id TEXT NOT NULL,
    match_id TEXT NOT NULL,
    code TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    round INTEGER NOT NULL DEFAULT 0,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, match_id, transfer_id),
    UNIQUE (tenant_id, code, transfer_id, round),
    FOREIGN KEY (tenant_id, match_id) REFERENCES reconciliation.matches
);
CREATE TABLE reconciliation.unmatches (
    tenant_id TEXT NOT NULL,
    match_id TEXT NOT NULL,
    line_id TEXT NOT NULL,
    unmatched_by TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (OCTET_LENGTH(reason) BETWEEN 1 AND 1000),
    unmatched_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, match_id),
    FOREIGN KEY (tenant_id, match_id, line_id) REFERENCES reconciliation.matches (tenant_id, match_id, line_id)
);
CREATE INDEX unmatches_by_line ON reconciliation.unmatches (tenant_id, line_id);
-- Filled by trigger from the match, so that counting rounds reads what people took back and nothing else.
CREATE TABLE reconciliation.released_transfers (
    tenant_id TEXT NOT NULL,
    match_id TEXT NOT NULL,
    code TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    PRIMARY KEY (tenant_id, code, transfer_id, match_id),
    FOREIGN KEY (tenant_id, match_id) REFERENCES reconciliation.unmatches
);

CREATE FUNCTION reconciliation.count_line_round() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT COUNT(*) INTO new.round FROM reconciliation.unmatches
    WHERE tenant_id = new.tenant_id AND line_id = new.line_id;
    RETURN new;
END
$$;
CREATE TRIGGER count_round BEFORE INSERT ON reconciliation.matches
FOR EACH ROW EXECUTE FUNCTION reconciliation.count_line_round();

CREATE FUNCTION reconciliation.count_transfer_round() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT COUNT(*) INTO new.round FROM reconciliation.released_transfers
    WHERE tenant_id = new.tenant_id AND code = new.code AND transfer_id = new.transfer_id;
    RETURN new;
END
$$;
CREATE TRIGGER count_round BEFORE INSERT ON reconciliation.match_transfers
FOR EACH ROW EXECUTE FUNCTION reconciliation.count_transfer_round();

-- With definer's rights: nobody but this function releases a transfer.
CREATE FUNCTION reconciliation.release_transfers() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO reconciliation.released_transfers (tenant_id, match_id, code, transfer_id)
    SELECT tenant_id, match_id, code, transfer_id FROM reconciliation.match_transfers
    WHERE tenant_id = new.tenant_id AND match_id = new.match_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER release_transfers AFTER INSERT ON reconciliation.unmatches
FOR EACH ROW EXECUTE FUNCTION reconciliation.release_transfers();
ALTER TABLE reconciliation.matches ENABLE ALWAYS TRIGGER count_round;
ALTER TABLE reconciliation.match_transfers ENABLE ALWAYS TRIGGER count_round;
ALTER TABLE reconciliation.unmatches ENABLE ALWAYS TRIGGER release_transfers;

-- Settlement ------------------------------------------------------------------------------------------------------------------

CREATE TABLE settlement.batches (
    tenant_id TEXT NOT NULL,
    batch_id TEXT NOT NULL CHECK (batch_id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'),
    -- The form in which a statement line names the batch.
    reference_key TEXT NOT NULL,
    scheme TEXT NOT NULL CHECK (scheme ~ '^[a-z][a-z0-9_]{0,39}$'),
    currency TEXT NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    item_count INTEGER NOT NULL CHECK (item_count > 0),
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, batch_id)
);
CREATE INDEX batches_by_reference_key ON settlement.batches (tenant_id, reference_key);

-- `occurred_at` is the bank's time, `recorded_at` ours. The newest by the bank's time counts, whenever it came.
CREATE TABLE settlement.batch_states (
    tenant_id TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('expected', 'submitted', 'settled', 'returned', 'delayed')),
    occurred_at TIMESTAMPTZ NOT NULL,
    expected_at TIMESTAMPTZ,
    reason_code TEXT CHECK (reason_code ~ '^[a-z][a-z0-9_]{0,39}$'),
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, batch_id, state, occurred_at),
    FOREIGN KEY (tenant_id, batch_id) REFERENCES settlement.batches
);

-- `reference`: a transaction, a transfer or a payout.
CREATE TABLE settlement.batch_members (
    tenant_id TEXT NOT NULL,
    reference TEXT NOT NULL CHECK (reference ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'),
    batch_id TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, reference, batch_id),
    FOREIGN KEY (tenant_id, batch_id) REFERENCES settlement.batches
);
CREATE INDEX batch_members_by_batch ON settlement.batch_members (tenant_id, batch_id);

CREATE TABLE settlement.imports (
    tenant_id TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    imported_by TEXT NOT NULL,
    imported_at TIMESTAMPTZ NOT NULL,
    report JSONB NOT NULL CHECK (JSONB_TYPEOF(report) = 'object'),
    PRIMARY KEY (tenant_id, sha256)
);

-- Where each batch stands. Where the bank gives two states one time, the later step of its life counts.
CREATE VIEW settlement.current_states WITH (security_barrier) AS
SELECT DISTINCT ON (tenant_id, batch_id)
    tenant_id, batch_id, state, occurred_at, expected_at, reason_code, recorded_at
FROM settlement.batch_states
ORDER BY
    tenant_id ASC, batch_id ASC, occurred_at DESC,
    ARRAY_POSITION(ARRAY['returned', 'settled', 'delayed', 'submitted', 'expected'], state) ASC;

-- The AI role's view: states and times of the batches, by what they carry. Ids, amounts and times only.
CREATE VIEW ai.settlement_states WITH (security_barrier) AS
SELECT
    members.tenant_id, members.reference, members.batch_id, batches.scheme, batches.currency, states.state, states.occurred_at,
    states.expected_at, states.reason_code
FROM settlement.batch_members AS members
INNER JOIN settlement.batches USING (tenant_id, batch_id)
INNER JOIN settlement.batch_states AS states USING (tenant_id, batch_id);

-- Guards and rights -----------------------------------------------------------------------------------------------------------

DO $$
DECLARE
    v_name REGCLASS;
BEGIN
    FOREACH v_name IN ARRAY ARRAY[
        'reconciliation.account_mappings', 'reconciliation.statement_files', 'reconciliation.statements',
        'reconciliation.statement_lines', 'reconciliation.open_lines', 'reconciliation.quarantined_lines',
        'reconciliation.matches', 'reconciliation.match_transfers', 'reconciliation.unmatches', 'reconciliation.released_transfers', 'settlement.batches', 'settlement.batch_states',
        'settlement.batch_members', 'settlement.imports'
    ]::REGCLASS [] LOOP
        CALL core.protect_tenant_table(v_name);
        IF v_name NOT IN ('reconciliation.statements'::REGCLASS, 'reconciliation.open_lines'::REGCLASS) THEN
            CALL core.protect_append_only_table(v_name);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION reconciliation.refuse_statement_change() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF old.swept_at IS NOT NULL OR TO_JSONB(old) - 'swept_at' <> TO_JSONB(new) - 'swept_at' THEN
        RAISE EXCEPTION 'statement %: it can be swept once, and nothing else of it changes', old.statement_id USING ERRCODE = '42501';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER refuse_statement_change BEFORE UPDATE ON reconciliation.statements
FOR EACH ROW EXECUTE FUNCTION reconciliation.refuse_statement_change();
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON reconciliation.statements
FOR EACH STATEMENT EXECUTE FUNCTION core.refuse_change();
ALTER TABLE reconciliation.statements ENABLE ALWAYS TRIGGER refuse_statement_change;
ALTER TABLE reconciliation.statements ENABLE ALWAYS TRIGGER refuse_removal;

GRANT USAGE ON SCHEMA reconciliation, settlement TO jobs, edge, auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA reconciliation TO jobs, edge, auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA settlement TO jobs, edge, auditor;
GRANT INSERT ON
reconciliation.account_mappings, reconciliation.statement_files, reconciliation.statements, reconciliation.statement_lines,
reconciliation.open_lines, reconciliation.quarantined_lines, reconciliation.matches, reconciliation.match_transfers, reconciliation.unmatches,
settlement.batches, settlement.batch_states, settlement.batch_members, settlement.imports
TO jobs;
GRANT DELETE ON reconciliation.open_lines TO jobs;
GRANT UPDATE (swept_at) ON reconciliation.statements TO jobs;
GRANT SELECT ON ai.settlement_states TO ai;
-- Only a job says what a statement held and how a batch stands.
CREATE POLICY reconciliation_events_from_jobs ON core.events AS RESTRICTIVE FOR INSERT
WITH CHECK (event_type !~ '^(statement|settlement)\.' OR CURRENT_USER = 'jobs');

RESET ROLE;
