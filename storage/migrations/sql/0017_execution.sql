-- Execution: what the database checks before, and writes with, the posting of an allowed refund.

SET LOCAL ROLE ledger_writer;

-- `result_code` is the first that applies, in this order; all but the first two leave no money moved and the rest empty:
--   already_posted           this decision was posted before; the stored answer
--   posted                   (last: nothing below applied)
--   decision_not_found       unknown, or another tenant's
--   decision_consumed        posted before, and asked for under another transfer id
--   transfer_id_taken        the id belongs to another decision's transfer
--   action_not_executable    another kind of action than a refund
--   outcome_not_allow        review, hold or deny
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

CREATE FUNCTION ledger.check_decision(p_decision gate.decisions, p_transfer_id UUID, p_now TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT FROM ledger.transfers WHERE tenant_id = p_decision.tenant_id AND transfer_id = p_decision.transfer_id) THEN
        RETURN CASE WHEN p_decision.transfer_id = p_transfer_id THEN 'already_posted' ELSE 'decision_consumed' END;
    END IF;
    IF EXISTS (SELECT FROM ledger.transfers WHERE tenant_id = p_decision.tenant_id AND transfer_id = p_transfer_id) THEN
        RETURN 'transfer_id_taken';
    END IF;
    IF p_decision.action_kind <> 'refund' THEN RETURN 'action_not_executable'; END IF;
    IF p_decision.outcome <> 'allow' THEN RETURN 'outcome_not_allow'; END IF;
    IF EXISTS (
        SELECT FROM gate.decisions
        WHERE tenant_id = p_decision.tenant_id AND previous_decision_id = p_decision.decision_id
    ) THEN
        RETURN 'decision_superseded';
    END IF;
    IF p_now < p_decision.decided_at THEN RETURN 'decision_not_yet_valid'; END IF;
    -- The server's clock measures the lifetime too: a caller's `p_now` can shorten it, not stretch it.
    IF p_now >= p_decision.expires_at
        OR CLOCK_TIMESTAMP() - p_decision.recorded_at >= p_decision.expires_at - p_decision.decided_at THEN
        RETURN 'decision_expired';
    END IF;
    IF p_decision.transfer_id <> p_transfer_id
        OR p_decision.action_digest IS DISTINCT FROM gate.digest_of_flat(p_decision.action)
        OR p_decision.transfer_digest IS DISTINCT FROM gate.digest_of_refund(
            p_decision.tenant_id, p_decision.decision_id, p_decision.transaction_id, p_decision.account_id,
            p_decision.amount_minor, p_decision.currency
        ) THEN
        RETURN 'digest_mismatch';
    END IF;
    RETURN NULL;
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

-- Post under the decision's own authorization, which the row of the decision made when it was written.
CREATE FUNCTION ledger.post_decision(p_decision gate.decisions, p_now TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
AS $$
DECLARE
    v_plan RECORD;
    v_result ledger.transfer_result;
BEGIN
    SELECT * INTO STRICT v_plan FROM gate.plan_transfer(p_decision.action_kind, p_decision.account_id, p_decision.currency);
    PERFORM ledger.open_account(p_decision.tenant_id, v_plan.debit, p_decision.currency, p_now);
    PERFORM ledger.open_account(p_decision.tenant_id, v_plan.credit, p_decision.currency, p_now);
    v_result := ledger.post_plain(
        p_decision.tenant_id, p_decision.transfer_id, v_plan.debit, v_plan.credit, p_decision.amount_minor, p_decision.currency,
        v_plan.code, p_now, p_now
    );
    IF v_result.code IS NULL THEN
        v_result := ledger.first_of(ledger.write_batch(p_decision.tenant_id, ROW(
            ARRAY[p_decision.transfer_id], ARRAY[1::SMALLINT], ARRAY[1], ARRAY[2], ARRAY[p_decision.amount_minor], ARRAY[v_plan.code],
            ARRAY[p_now], ARRAY[NULL::UUID], ARRAY[NULL::TIMESTAMPTZ], ARRAY[0::SMALLINT], ARRAY[v_plan.debit, v_plan.credit],
            ARRAY[p_decision.currency, p_decision.currency]
        )::ledger.request_batch, p_now, FALSE));
    END IF;
    RETURN CASE v_result.code WHEN 'accepted' THEN 'posted' ELSE v_result.code END;
END
$$;

-- What happens beside the posting, in its transaction: the charge's total and the instruction to the bank.
CREATE FUNCTION ledger.record_execution(p_decision gate.decisions, p_execution ledger.execution, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE ledger.refund_totals SET refunded_minor = refunded_minor + p_decision.amount_minor
    WHERE tenant_id = p_decision.tenant_id AND transaction_id = p_decision.transaction_id;
    INSERT INTO core.outbox (tenant_id, instruction_id, kind, reference, payload, created_at, changed_at)
    VALUES (
        p_decision.tenant_id, p_execution.transfer_id, p_decision.action_kind, p_decision.decision_id,
        JSONB_BUILD_OBJECT(
            'transfer_id', 'tfr_' || REPLACE(p_execution.transfer_id::TEXT, '-', ''), 'decision_id', p_decision.decision_id,
            'proposal_id', p_decision.proposal_id, 'transaction_id', p_decision.transaction_id, 'account_id', p_decision.account_id,
            'amount_minor', p_execution.amount_minor, 'currency', p_execution.currency, 'debit', p_execution.debit,
            'credit', p_execution.credit
        ), p_now, p_now
    );
END
$$;

-- The way of a decided refund into the ledger. Repeats give the same answer; everything happens in the caller's transaction.
CREATE FUNCTION ledger.execute_refund(p_decision_id TEXT, p_transfer_id UUID, p_now TIMESTAMPTZ) RETURNS ledger.execution
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_decision gate.decisions;
    v_code TEXT := 'decision_not_found';
    v_execution ledger.execution;
BEGIN
    IF p_decision_id IS NULL OR p_transfer_id IS NULL OR p_now IS NULL THEN
        RAISE EXCEPTION 'execute_refund: an argument is null' USING ERRCODE = '22004';
    END IF;
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    SELECT * INTO v_decision FROM gate.decisions WHERE tenant_id = v_tenant_id AND decision_id = p_decision_id;
    IF FOUND THEN
        -- The second of two callers waits here and then finds the first one's transfer.
        PERFORM FROM gate.authorizations WHERE tenant_id = v_tenant_id AND transfer_id = v_decision.transfer_id FOR UPDATE;
        v_code := COALESCE(ledger.check_decision(v_decision, p_transfer_id, p_now), ledger.check_charge(v_decision));
    END IF;
    IF v_code IS NULL THEN v_code := ledger.post_decision(v_decision, p_now); END IF;
    IF v_code NOT IN ('posted', 'already_posted') THEN
        v_execution.result_code := v_code;
        v_execution.decision_id := p_decision_id;
        RETURN v_execution;
    END IF;
    v_execution := ledger.read_execution(v_decision, v_code);
    IF v_code = 'posted' THEN PERFORM ledger.record_execution(v_decision, v_execution, p_now); END IF;
    RETURN v_execution;
END
$$;
GRANT EXECUTE ON FUNCTION ledger.execute_refund(TEXT, UUID, TIMESTAMPTZ) TO executor;

RESET ROLE;
