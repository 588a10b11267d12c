-- Double entry: chart, accounts, transfers, holds, reversals, refusals. The functions that write them are in 0013 to 0015.
-- A balance is credits minus debits. The integer account ids never leave the database; a code such as `customer:acc_1` does.
-- `ledger_owner` owns the tables; `ledger_writer` owns the functions that move money; neither can log in.

SET LOCAL ROLE core_owner;

GRANT SELECT ON core.transactions, core.accounts TO ledger_owner, ledger_writer;
-- Whoever may append events may not claim a posting: only the ledger's own functions say that one happened.
CREATE POLICY ledger_events_from_ledger ON core.events AS RESTRICTIVE FOR INSERT
WITH CHECK (event_type NOT LIKE 'ledger.%' OR CURRENT_USER IN ('ledger_owner', 'ledger_writer'));

RESET ROLE;
GRANT CREATE ON SCHEMA ledger TO ledger_writer;
SET LOCAL ROLE ledger_owner;

-- In the keys that every posting touches the tenant stands last: comparing ids first decides at once (a tenth of a batch's time).

-- Accounts --------------------------------------------------------------------------------------------------------------------

-- What an account code means: the longest prefix that fits, the tenant's own before the default. An account takes its flags from here.
CREATE TABLE ledger.default_chart (
    prefix TEXT PRIMARY KEY CHECK (prefix ~ '^(house|customer|escrow):'),
    title TEXT NOT NULL,
    class TEXT NOT NULL CHECK (class IN ('asset', 'liability', 'income', 'expense', 'equity', 'clearing')),
    debits_must_not_exceed_credits BOOLEAN NOT NULL DEFAULT FALSE,
    credits_must_not_exceed_debits BOOLEAN NOT NULL DEFAULT FALSE,
    rolled_up BOOLEAN NOT NULL DEFAULT FALSE,
    CHECK (NOT rolled_up OR NOT (debits_must_not_exceed_credits OR credits_must_not_exceed_debits))
);
INSERT INTO ledger.default_chart (prefix, title, class, debits_must_not_exceed_credits, rolled_up) VALUES
('customer:', 'What we moved to or from a customer, beside the bank''s own record', 'liability', FALSE, FALSE),
('escrow:', 'Money kept for someone; never overdrawn', 'liability', TRUE, FALSE),
('house:', 'Other accounts of the house', 'clearing', FALSE, TRUE),
('house:bank:', 'Accounts at other banks', 'asset', FALSE, TRUE),
('house:exchange:', 'Both sides of currency exchanges', 'clearing', FALSE, TRUE),
('house:fees:', 'Fees taken', 'income', FALSE, TRUE),
('house:goodwill:', 'Credits of goodwill', 'expense', FALSE, TRUE),
('house:opening:', 'The other side of opening balances', 'equity', FALSE, TRUE),
('house:provisional:', 'Provisional credits until a dispute ends', 'asset', FALSE, TRUE),
('house:refunds:', 'Refunds paid', 'expense', FALSE, TRUE),
('house:suspense:', 'What nobody has placed yet', 'clearing', FALSE, TRUE),
('house:writeoff:', 'Disputes written off', 'expense', FALSE, TRUE);

CREATE TABLE ledger.chart (LIKE ledger.default_chart INCLUDING CONSTRAINTS INCLUDING DEFAULTS);
ALTER TABLE ledger.chart ADD COLUMN tenant_id TEXT NOT NULL, ADD PRIMARY KEY (tenant_id, prefix);

-- `rolled_up`: an account without a limit that many transfers touch at once (bank, fees, refunds). A transfer adds a row to
-- ledger.tails instead of updating it, and a job folds those in: no transfer ever waits for it. `stopped`: an incident.
CREATE TABLE ledger.accounts (
    tenant_id TEXT NOT NULL,
    account INTEGER GENERATED ALWAYS AS IDENTITY,
    code TEXT NOT NULL,
    currency TEXT NOT NULL,
    debits_must_not_exceed_credits BOOLEAN NOT NULL DEFAULT FALSE,
    credits_must_not_exceed_debits BOOLEAN NOT NULL DEFAULT FALSE,
    rolled_up BOOLEAN NOT NULL DEFAULT FALSE,
    closed BOOLEAN NOT NULL DEFAULT FALSE,
    stopped BOOLEAN NOT NULL DEFAULT FALSE,
    debits_posted_minor BIGINT NOT NULL DEFAULT 0,
    credits_posted_minor BIGINT NOT NULL DEFAULT 0,
    debits_pending_minor BIGINT NOT NULL DEFAULT 0,
    credits_pending_minor BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account, tenant_id),
    UNIQUE (code, currency, tenant_id)
) WITH (fillfactor = 50);

-- No checks on accounts and transfers: the server parses a check anew for every statement, 7 % of a posting. The functions that alone
-- write here hold the limits, `ledger check` proves them, and what an account may be is looked at when it is opened.
CREATE FUNCTION ledger.refuse_account() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    IF new.code !~ '^(house|customer|escrow):[^|]+$' OR OCTET_LENGTH(new.code) > 200 OR new.currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION 'account % in %: no such code or currency', new.code, new.currency USING ERRCODE = '23514';
    END IF;
    IF new.rolled_up AND (new.debits_must_not_exceed_credits OR new.credits_must_not_exceed_debits) THEN
        RAISE EXCEPTION 'account %: what is rolled up has no limit', new.code USING ERRCODE = '23514';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER refuse_account BEFORE INSERT ON ledger.accounts FOR EACH ROW EXECUTE FUNCTION ledger.refuse_account();
ALTER TABLE ledger.accounts ENABLE ALWAYS TRIGGER refuse_account;

-- What rolled-up accounts moved since they were last folded in. No index: it is short, and read and emptied whole.
CREATE TABLE ledger.tails (
    tenant_id TEXT NOT NULL,
    account INTEGER NOT NULL,
    debits_posted_minor BIGINT NOT NULL,
    credits_posted_minor BIGINT NOT NULL,
    debits_pending_minor BIGINT NOT NULL,
    credits_pending_minor BIGINT NOT NULL,
    entries INTEGER NOT NULL
);
-- The order of entries on rolled-up accounts: increasing, with gaps.
CREATE SEQUENCE ledger.entry_order;

-- Transfers -------------------------------------------------------------------------------------------------------------------

-- `kind` and `code` are domain.transfer's, by place and by number. `flags`: 1 linked to the next, 2 and 4 balancing the debit
-- or credit side. One narrow row a transfer with both sides' version and balance after it: the unique versions prove that no
-- account forks. Partitioned by the time in the UUIDv7, so that the id stays the key; ids without a month have the last part.
-- No foreign keys to the accounts: the writer has both rows locked, and each key would cost a look-up.
CREATE TABLE ledger.transfers (
    tenant_id TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    decision_id UUID,
    target_id UUID,
    debit_account INTEGER NOT NULL,
    credit_account INTEGER NOT NULL,
    amount_minor BIGINT NOT NULL,
    debit_version BIGINT NOT NULL,
    credit_version BIGINT NOT NULL,
    debit_balance_after_minor BIGINT,
    credit_balance_after_minor BIGINT,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    hold_expires_at TIMESTAMPTZ,
    kind SMALLINT NOT NULL,
    code SMALLINT NOT NULL,
    flags SMALLINT NOT NULL DEFAULT 0,
    PRIMARY KEY (transfer_id, tenant_id)
) PARTITION BY RANGE (transfer_id);

CREATE TABLE ledger.holds (
    tenant_id TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    expires_at TIMESTAMPTZ,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'posted', 'voided', 'expired')),
    posted_minor BIGINT NOT NULL DEFAULT 0 CHECK (posted_minor BETWEEN 0 AND amount_minor),
    opened_at TIMESTAMPTZ NOT NULL,
    resolved_by UUID,
    resolved_at TIMESTAMPTZ,
    PRIMARY KEY (transfer_id, tenant_id),
    CHECK ((state = 'pending') = (resolved_by IS NULL) AND (state = 'pending') = (resolved_at IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX holds_open ON ledger.holds (tenant_id, expires_at) WHERE state = 'pending';

-- How much of a transfer was reversed: the limit for reversals in part.
CREATE TABLE ledger.reversals (
    tenant_id TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    amount_minor BIGINT NOT NULL,
    reversed_minor BIGINT NOT NULL CHECK (reversed_minor > 0),
    PRIMARY KEY (transfer_id, tenant_id),
    CONSTRAINT reversals_within_transfer CHECK (reversed_minor <= amount_minor)
) WITH (fillfactor = 70);

-- An id refused by the accounts stays refused, so that a retry cannot slip through when the reason has passed.
CREATE TABLE ledger.refusals (
    tenant_id TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    decision_id UUID NOT NULL,
    code TEXT NOT NULL,
    digest BYTEA NOT NULL CHECK (OCTET_LENGTH(digest) = 32),
    refused_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (transfer_id, tenant_id)
);

-- One row for each charge that was ever refunded: the lock and the limit for two decisions on one charge.
CREATE TABLE ledger.refund_totals (
    tenant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    charged_minor BIGINT NOT NULL CHECK (charged_minor > 0),
    refunded_minor BIGINT NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    PRIMARY KEY (tenant_id, transaction_id),
    CONSTRAINT refund_totals_within_charge CHECK (refunded_minor <= charged_minor)
) WITH (fillfactor = 70);

-- Which batching writer of a tenant may write: a claim raises the epoch, and batches of an older one are refused.
CREATE TABLE ledger.writer_epochs (
    tenant_id TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL CHECK (epoch > 0),
    claimed_at TIMESTAMPTZ NOT NULL
);

-- Guards ----------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION ledger.refuse_removal() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '%.%: % refused, rows of the ledger stay', tg_table_schema, tg_table_name, tg_op USING ERRCODE = '42501';
END
$$;

-- For everyone but the functions that move money, the superuser and the owner included. Not as the trigger's WHEN: the server parses
-- that anew for every statement.
CREATE FUNCTION ledger.refuse_stranger() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    IF CURRENT_USER <> 'ledger_writer' THEN
        RAISE EXCEPTION '%.%: only the functions of the ledger write here', tg_table_schema, tg_table_name USING ERRCODE = '42501';
    END IF;
    RETURN NULL;
END
$$;

-- Rows that functions alone insert and nobody changes; ALWAYS, so that a session that plays a replica meets them too.
CREATE PROCEDURE ledger.guard_entries(target REGCLASS)
LANGUAGE plpgsql
AS $$
BEGIN
    CALL core.protect_posting_table(target);
    CALL core.protect_append_only_table(target);
    EXECUTE format(
        'CREATE TRIGGER from_functions BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_stranger()', target
    );
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER from_functions', target);
END
$$;

DO $$
DECLARE
    v_table REGCLASS;
BEGIN
    CALL ledger.guard_entries('ledger.transfers');
    CALL ledger.guard_entries('ledger.refusals');
    CALL core.protect_tenant_table('ledger.chart');
    FOREACH v_table IN ARRAY ARRAY[
        'ledger.accounts', 'ledger.tails', 'ledger.holds', 'ledger.reversals', 'ledger.refund_totals', 'ledger.writer_epochs'
    ]::REGCLASS [] LOOP
        CALL core.protect_posting_table(v_table);
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal()', v_table);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_truncate', v_table);
        IF v_table <> 'ledger.tails'::REGCLASS THEN
            EXECUTE format('CREATE TRIGGER refuse_removal BEFORE DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal()', v_table);
            EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_removal', v_table);
        END IF;
    END LOOP;
END
$$;

-- Partitions ------------------------------------------------------------------------------------------------------------------

-- Versions are unique within a part; `ledger check` proves them across parts, and the row locks see to it.
CREATE PROCEDURE ledger.prepare_partition(p_part REGCLASS)
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('CREATE UNIQUE INDEX ON %s (debit_account, debit_version, tenant_id)', p_part);
    EXECUTE format('CREATE UNIQUE INDEX ON %s (credit_account, credit_version, tenant_id)', p_part);
    CALL ledger.guard_entries(p_part);
END
$$;
CREATE TABLE ledger.transfers_other PARTITION OF ledger.transfers DEFAULT;
CALL ledger.prepare_partition('ledger.transfers_other');

-- The first UUIDv7 of a moment: 48 bits of milliseconds, then zeros.
CREATE FUNCTION ledger.first_uuid_of(p_at TIMESTAMPTZ) RETURNS UUID
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$ SELECT (LPAD(TO_HEX(FLOOR(EXTRACT(EPOCH FROM p_at) * 1000)::BIGINT), 12, '0') || REPEAT('0', 20))::UUID $$;

-- Make the parts of the months from the one of `p_now` on, before anything is written to them. Idempotent.
CREATE FUNCTION ledger.ensure_partitions(p_now TIMESTAMPTZ, p_months INTEGER) RETURNS INTEGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    v_month TIMESTAMPTZ;
    v_made INTEGER := 0;
BEGIN
    FOR v_month IN SELECT GENERATE_SERIES(DATE_TRUNC('month', p_now), DATE_TRUNC('month', p_now) + MAKE_INTERVAL(months => p_months), '1 month') LOOP
        CONTINUE WHEN TO_REGCLASS('ledger.transfers_' || TO_CHAR(v_month, 'YYYY_MM')) IS NOT NULL;
        BEGIN
            EXECUTE format(
                'CREATE TABLE ledger.%I PARTITION OF ledger.transfers FOR VALUES FROM (%L) TO (%L)',
                'transfers_' || TO_CHAR(v_month, 'YYYY_MM'), ledger.first_uuid_of(v_month), ledger.first_uuid_of(v_month + INTERVAL '1 month')
            );
            CALL ledger.prepare_partition(('ledger.transfers_' || TO_CHAR(v_month, 'YYYY_MM'))::REGCLASS);
            v_made := v_made + 1;
        EXCEPTION WHEN check_violation THEN
            -- An id of that month came before it: its transfers stay together in the last part, and the other months get theirs.
            RAISE WARNING 'no part for %: there are transfers of it in transfers_other', TO_CHAR(v_month, 'YYYY-MM');
        END;
    END LOOP;
    RETURN v_made;
END
$$;
SELECT ledger.ensure_partitions(NOW() - INTERVAL '1 month', 4);

-- Rights ----------------------------------------------------------------------------------------------------------------------

GRANT USAGE ON SCHEMA ledger TO executor, gate, gate_owner, edge, importer, jobs, auditor, ledger_writer;
GRANT SELECT ON ledger.default_chart, ledger.chart TO edge, jobs, auditor, importer, ledger_writer;
GRANT INSERT, UPDATE ON ledger.chart TO importer;
GRANT SELECT ON ledger.refund_totals, ledger.refusals, ledger.holds TO executor, gate, gate_owner, edge, jobs, auditor;
GRANT SELECT ON ledger.transfers TO gate_owner;
GRANT SELECT, INSERT ON ledger.transfers, ledger.refusals TO ledger_writer;
GRANT SELECT, INSERT, UPDATE ON ledger.accounts, ledger.holds, ledger.reversals, ledger.refund_totals, ledger.writer_epochs TO ledger_writer;
GRANT SELECT, INSERT, DELETE ON ledger.tails TO ledger_writer;
GRANT USAGE ON SEQUENCE ledger.entry_order TO ledger_writer;
GRANT EXECUTE ON FUNCTION ledger.ensure_partitions(TIMESTAMPTZ, INTEGER) TO jobs;

RESET ROLE;
