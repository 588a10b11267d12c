-- Double entry: accounts, transfers, what was refunded of each charge, and the one function that moves money.
-- A balance is credits minus debits. The integer account ids never leave the database; a code such as `customer:acc_1` does.

SET LOCAL ROLE core_owner;

GRANT SELECT ON core.transactions, core.accounts TO ledger_owner;
-- Whoever may append events may not claim a posting: only the ledger's own function says that one happened.
CREATE POLICY ledger_events_from_ledger ON core.events AS RESTRICTIVE FOR INSERT
WITH CHECK (event_type NOT LIKE 'ledger.%' OR CURRENT_USER = 'ledger_owner');

SET LOCAL ROLE ledger_owner;

CREATE TABLE ledger.accounts (
    tenant_id TEXT NOT NULL,
    account BIGINT GENERATED ALWAYS AS IDENTITY,
    code TEXT NOT NULL CHECK (code ~ '^(house|customer):' AND OCTET_LENGTH(code) <= 200),
    currency TEXT NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    debits_must_not_exceed_credits BOOLEAN NOT NULL DEFAULT FALSE,
    credits_must_not_exceed_debits BOOLEAN NOT NULL DEFAULT FALSE,
    closed BOOLEAN NOT NULL DEFAULT FALSE,
    debits_posted_minor BIGINT NOT NULL DEFAULT 0 CHECK (debits_posted_minor >= 0),
    credits_posted_minor BIGINT NOT NULL DEFAULT 0 CHECK (credits_posted_minor >= 0),
    debits_pending_minor BIGINT NOT NULL DEFAULT 0 CHECK (debits_pending_minor >= 0),
    credits_pending_minor BIGINT NOT NULL DEFAULT 0 CHECK (credits_pending_minor >= 0),
    version BIGINT NOT NULL DEFAULT 0 CHECK (version >= 0),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, account),
    UNIQUE (tenant_id, code, currency),
    CONSTRAINT accounts_debits_within_credits CHECK (
        NOT debits_must_not_exceed_credits OR debits_posted_minor + debits_pending_minor <= credits_posted_minor
    ),
    CONSTRAINT accounts_credits_within_debits CHECK (
        NOT credits_must_not_exceed_debits OR credits_posted_minor + credits_pending_minor <= debits_posted_minor
    )
) WITH (fillfactor = 70);

-- One narrow row a transfer with both sides' version and balance after it: the unique versions prove that no account forks.
-- No foreign keys to the accounts: the one writer has both rows locked when it writes, and each key would cost a look-up.
CREATE TABLE ledger.transfers (
    tenant_id TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('posted')),
    action_kind TEXT NOT NULL CHECK (action_kind IN ('refund')),
    decision_id TEXT NOT NULL,
    debit_account BIGINT NOT NULL,
    credit_account BIGINT NOT NULL CHECK (credit_account <> debit_account),
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    debit_version BIGINT NOT NULL,
    credit_version BIGINT NOT NULL,
    debit_balance_after_minor BIGINT NOT NULL,
    credit_balance_after_minor BIGINT NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, transfer_id),
    UNIQUE (tenant_id, debit_account, debit_version),
    UNIQUE (tenant_id, credit_account, credit_version)
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

CALL core.protect_tenant_table('ledger.accounts');
CALL core.protect_tenant_table('ledger.transfers');
CALL core.protect_tenant_table('ledger.refund_totals');
CALL core.protect_append_only_table('ledger.transfers');

CREATE FUNCTION ledger.refuse_removal() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '%.%: % refused, rows of the ledger stay', tg_table_schema, tg_table_name, tg_op USING ERRCODE = '42501';
END
$$;
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON ledger.accounts
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal();
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON ledger.refund_totals
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal();
ALTER TABLE ledger.accounts ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE ledger.refund_totals ENABLE ALWAYS TRIGGER refuse_removal;

-- Reads: each view is one statement, so one snapshot.
CREATE VIEW ledger.account_balances WITH (security_barrier) AS
SELECT
    tenant_id, code, currency, credits_posted_minor - debits_posted_minor AS balance_minor, debits_posted_minor, credits_posted_minor,
    debits_pending_minor, credits_pending_minor, version, closed
FROM ledger.accounts;

CREATE VIEW ledger.transfer_lines WITH (security_barrier) AS
SELECT
    transfers.tenant_id, transfers.transfer_id, transfers.kind, transfers.action_kind, transfers.decision_id, debits.code AS debit,
    credits.code AS credit, transfers.amount_minor, transfers.currency, transfers.debit_version, transfers.credit_version,
    transfers.debit_balance_after_minor, transfers.credit_balance_after_minor, transfers.occurred_at, transfers.recorded_at
FROM ledger.transfers
INNER JOIN ledger.accounts AS debits ON transfers.tenant_id = debits.tenant_id AND transfers.debit_account = debits.account
INNER JOIN ledger.accounts AS credits ON transfers.tenant_id = credits.tenant_id AND transfers.credit_account = credits.account;

-- `difference_minor` is 0 for each currency, in any snapshot, or the ledger is broken.
CREATE VIEW ledger.trial_balance WITH (security_barrier) AS
SELECT
    tenant_id, currency, SUM(debits_posted_minor) AS debits_posted_minor, SUM(credits_posted_minor) AS credits_posted_minor,
    SUM(credits_posted_minor) - SUM(debits_posted_minor) AS difference_minor
FROM ledger.accounts
GROUP BY tenant_id, currency;

-- Accounts whose stored sums or version are not those of their entries. Empty, or the ledger is broken.
CREATE VIEW ledger.account_drift WITH (security_barrier) AS
SELECT accounts.tenant_id, accounts.code, accounts.currency
FROM ledger.accounts
LEFT JOIN LATERAL (
    SELECT
        COALESCE(SUM(amount_minor) FILTER (WHERE debit_account = accounts.account), 0) AS debits_minor,
        COALESCE(SUM(amount_minor) FILTER (WHERE credit_account = accounts.account), 0) AS credits_minor,
        COUNT(*) AS entries
    FROM ledger.transfers
    WHERE transfers.tenant_id = accounts.tenant_id AND accounts.account IN (transfers.debit_account, transfers.credit_account)
) AS entered ON TRUE
WHERE
    accounts.debits_posted_minor <> entered.debits_minor
    OR accounts.credits_posted_minor <> entered.credits_minor
    OR accounts.version <> entered.entries;

-- Find or open an account. The unique key decides between two who open the same one.
CREATE FUNCTION ledger.open_account(p_tenant_id TEXT, p_code TEXT, p_currency TEXT, p_now TIMESTAMPTZ) RETURNS BIGINT
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_account BIGINT;
BEGIN
    SELECT account INTO v_account FROM ledger.accounts WHERE tenant_id = p_tenant_id AND code = p_code AND currency = p_currency;
    IF v_account IS NULL THEN
        INSERT INTO ledger.accounts (tenant_id, code, currency, created_at) VALUES (p_tenant_id, p_code, p_currency, p_now)
        ON CONFLICT (tenant_id, code, currency) DO NOTHING;
        SELECT account INTO v_account FROM ledger.accounts WHERE tenant_id = p_tenant_id AND code = p_code AND currency = p_currency;
    END IF;
    RETURN v_account;
END
$$;

-- Post one transfer between two accounts: lock in id order, check everything, then write. Returns `posted`, or in this order:
-- `account_closed`, `limit_exceeded`, `balance_out_of_range`, with nothing written. Only functions of the owner call it.
-- The range is that of exact integers in JSON (2^53 - 1), because balances stand in signed records.
CREATE FUNCTION ledger.post_transfer(
    p_tenant_id TEXT, p_transfer_id UUID, p_action_kind TEXT, p_decision_id TEXT, p_debit BIGINT, p_credit BIGINT,
    p_amount_minor BIGINT, p_currency TEXT, p_now TIMESTAMPTZ
) RETURNS TEXT
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_side RECORD;
    v_debit ledger.accounts;
    v_credit ledger.accounts;
BEGIN
    FOR v_side IN
        SELECT accounts AS side FROM ledger.accounts
        WHERE tenant_id = p_tenant_id AND account IN (p_debit, p_credit) AND currency = p_currency
        ORDER BY account FOR NO KEY UPDATE
    LOOP
        IF (v_side.side).account = p_debit THEN v_debit := v_side.side; ELSE v_credit := v_side.side; END IF;
    END LOOP;
    IF v_debit.account IS NULL OR v_credit.account IS NULL THEN
        RAISE EXCEPTION 'transfer %: no such two accounts in %', p_transfer_id, p_currency USING ERRCODE = '23503';
    END IF;
    IF v_debit.closed OR v_credit.closed THEN RETURN 'account_closed'; END IF;
    IF (
        v_debit.debits_must_not_exceed_credits
        AND v_debit.debits_posted_minor + v_debit.debits_pending_minor + p_amount_minor > v_debit.credits_posted_minor
    ) OR (
        v_credit.credits_must_not_exceed_debits
        AND v_credit.credits_posted_minor + v_credit.credits_pending_minor + p_amount_minor > v_credit.debits_posted_minor
    ) THEN
        RETURN 'limit_exceeded';
    END IF;
    IF GREATEST(v_debit.debits_posted_minor, v_credit.credits_posted_minor) > 9007199254740991 - p_amount_minor THEN
        RETURN 'balance_out_of_range';
    END IF;
    UPDATE ledger.accounts SET debits_posted_minor = debits_posted_minor + p_amount_minor, version = version + 1
    WHERE tenant_id = p_tenant_id AND account = p_debit;
    UPDATE ledger.accounts SET credits_posted_minor = credits_posted_minor + p_amount_minor, version = version + 1
    WHERE tenant_id = p_tenant_id AND account = p_credit;
    -- Read back what now stands in the accounts, instead of repeating the sum.
    INSERT INTO ledger.transfers (
        tenant_id, transfer_id, kind, action_kind, decision_id, debit_account, credit_account, amount_minor, currency,
        debit_version, credit_version, debit_balance_after_minor, credit_balance_after_minor, occurred_at, recorded_at
    )
    SELECT
        p_tenant_id, p_transfer_id, 'posted', p_action_kind, p_decision_id, p_debit, p_credit, p_amount_minor, p_currency,
        debits.version, credits.version, debits.credits_posted_minor - debits.debits_posted_minor,
        credits.credits_posted_minor - credits.debits_posted_minor, p_now, p_now
    FROM ledger.accounts AS debits, ledger.accounts AS credits
    WHERE debits.tenant_id = p_tenant_id AND debits.account = p_debit
        AND credits.tenant_id = p_tenant_id AND credits.account = p_credit;
    RETURN 'posted';
END
$$;

GRANT USAGE ON SCHEMA ledger TO executor, gate, edge, jobs, auditor;
GRANT SELECT ON ledger.account_balances, ledger.transfer_lines, ledger.trial_balance, ledger.account_drift, ledger.refund_totals
TO executor, gate, edge, jobs, auditor;

RESET ROLE;
