-- Execution: what an executed decision answers, its accounts, and the charge that a refund gives back. The acts are in 0031.

SET LOCAL ROLE ledger_writer;

-- `result_code` is the first that applies, in this order; all but the first two leave no money moved and the rest empty:
--   already_posted           this decision was posted before; the stored answer
--   posted                   (last: nothing below applied)
--   decision_not_found       unknown, or another tenant's
--   decision_consumed        posted before, and asked for under another transfer id
--   transfer_id_taken        the id belongs to another decision's transfer
--   action_not_executable    no kind that can be carried out
--   outcome_not_allow        review, deny, or a hold that carries nothing out
--   decision_superseded      a later decision of the proposal exists
--   decision_not_yet_valid   p_now is before decided_at
--   decision_expired         p_now is not before expires_at, or the server saw its lifetime pass
--   digest_mismatch          the row no longer gives the digests it was decided with, or it allows another transfer id
--   transaction_not_found    the bank's records do not hold the charge
--   transaction_not_refundable  not posted, or no charge
--   account_mismatch         the charge is on another account or customer
--   currency_mismatch        the charge is in another currency
--   exceeds_refundable       more than is left of the charge
--   refused_before, not_authorized, account_closed, account_stopped, limit_exceeded, balance_out_of_range
--                            the ledger's own answers (domain.transfer.ResultCode)
CREATE TYPE ledger.execution AS (
    result_code TEXT,
    transfer_id UUID,
    decision_id TEXT,
    transaction_id TEXT,
    amount_minor BIGINT,
    currency TEXT,
    debit TEXT,
    credit TEXT,
    debit_version BIGINT,
    credit_version BIGINT,
    debit_balance_after_minor BIGINT,
    credit_balance_after_minor BIGINT,
    posted_at TIMESTAMPTZ,
    event_id UUID
);

-- Find or open an account of the chart. The unique key decides between two who open the same one.
CREATE FUNCTION ledger.open_account(p_tenant_id TEXT, p_code TEXT, p_currency TEXT, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT FROM ledger.accounts WHERE tenant_id = p_tenant_id AND code = p_code AND currency = p_currency) THEN RETURN; END IF;
    INSERT INTO ledger.accounts (
        tenant_id, code, currency, debits_must_not_exceed_credits, credits_must_not_exceed_debits, rolled_up, created_at
    )
    SELECT
        p_tenant_id, p_code, p_currency, chart.debits_must_not_exceed_credits, chart.credits_must_not_exceed_debits, chart.rolled_up, p_now
    FROM (
        SELECT prefix, debits_must_not_exceed_credits, credits_must_not_exceed_debits, rolled_up, 0 AS rank FROM ledger.chart
        WHERE tenant_id = p_tenant_id
        UNION ALL
        SELECT prefix, debits_must_not_exceed_credits, credits_must_not_exceed_debits, rolled_up, 1 FROM ledger.default_chart
    ) AS chart
    WHERE p_code ^@ chart.prefix
    ORDER BY LENGTH(chart.prefix) DESC, chart.rank LIMIT 1
    ON CONFLICT (tenant_id, code, currency) DO NOTHING;
    IF NOT EXISTS (SELECT FROM ledger.accounts WHERE tenant_id = p_tenant_id AND code = p_code AND currency = p_currency) THEN
        RAISE EXCEPTION 'account code %: not in the chart', p_code USING ERRCODE = '23514';
    END IF;
END
$$;

-- Lock the charge's row and say why the refund does not fit it, or NULL. The lock is held until the transaction ends.
CREATE FUNCTION ledger.check_charge(p_decision gate.decisions) RETURNS TEXT
LANGUAGE plpgsql
AS $$
DECLARE
    v_charge RECORD;
    v_total ledger.refund_totals;
BEGIN
    SELECT charges.status, charges.kind, charges.account_id, charges.amount_minor, charges.currency, holders.customer_id
    INTO v_charge
    FROM core.transactions AS charges
    INNER JOIN core.accounts AS holders ON charges.tenant_id = holders.tenant_id AND charges.account_id = holders.account_id
    WHERE charges.tenant_id = p_decision.tenant_id AND charges.transaction_id = p_decision.transaction_id;
    IF NOT FOUND THEN RETURN 'transaction_not_found'; END IF;
    IF v_charge.status <> 'posted'
        OR v_charge.kind NOT IN ('card_payment', 'direct_debit', 'transfer_out', 'cash_withdrawal', 'fee') THEN
        RETURN 'transaction_not_refundable';
    END IF;
    IF v_charge.account_id <> p_decision.account_id OR v_charge.customer_id <> p_decision.customer_id THEN
        RETURN 'account_mismatch';
    END IF;
    IF v_charge.currency <> p_decision.currency THEN RETURN 'currency_mismatch'; END IF;
    INSERT INTO ledger.refund_totals (tenant_id, transaction_id, currency, charged_minor)
    VALUES (p_decision.tenant_id, p_decision.transaction_id, v_charge.currency, v_charge.amount_minor)
    ON CONFLICT (tenant_id, transaction_id) DO NOTHING;
    SELECT * INTO v_total FROM ledger.refund_totals
    WHERE tenant_id = p_decision.tenant_id AND transaction_id = p_decision.transaction_id FOR NO KEY UPDATE;
    -- The bank may have corrected its record since the first refund: the smaller charge counts.
    IF p_decision.amount_minor > LEAST(v_total.charged_minor, v_charge.amount_minor) - v_total.refunded_minor THEN
        RETURN 'exceeds_refundable';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION ledger.read_execution(p_decision gate.decisions, p_result_code TEXT) RETURNS ledger.execution
LANGUAGE SQL STABLE
AS $$
    SELECT
        p_result_code, transfers.transfer_id, p_decision.decision_id, p_decision.transaction_id, transfers.amount_minor, debits.currency,
        debits.code, credits.code, transfers.debit_version, transfers.credit_version, transfers.debit_balance_after_minor,
        transfers.credit_balance_after_minor, transfers.recorded_at, transfers.transfer_id
    FROM ledger.transfers
    INNER JOIN ledger.accounts AS debits ON debits.tenant_id = transfers.tenant_id AND debits.account = transfers.debit_account
    INNER JOIN ledger.accounts AS credits ON credits.tenant_id = transfers.tenant_id AND credits.account = transfers.credit_account
    WHERE transfers.tenant_id = p_decision.tenant_id AND transfers.transfer_id = p_decision.transfer_id
$$;

RESET ROLE;
