-- Execution: what the database checks before, and writes with, the posting of an allowed refund.

SET LOCAL ROLE ledger_owner;

-- No transfer without its consumption: checked when the transaction commits.
ALTER TABLE ledger.transfers ADD CONSTRAINT transfers_consume_their_decision
FOREIGN KEY (tenant_id, transfer_id, decision_id) REFERENCES gate.consumptions (tenant_id, transfer_id, decision_id)
DEFERRABLE INITIALLY DEFERRED;

-- `result_code` is the first that applies, in this order; all but the first two leave no money moved and the rest empty:
--   already_posted           this decision and transfer id were posted before; the stored answer
--   posted                   (last: nothing below applied)
--   decision_not_found       unknown, or another tenant's
--   decision_consumed        posted before under another transfer id
--   transfer_id_taken        the id belongs to another decision's transfer
--   action_not_executable    another kind of action than a refund
--   outcome_not_allow        review, hold or deny
--   decision_superseded      a later decision of the proposal exists
--   decision_not_yet_valid   p_now is before decided_at
--   decision_expired         p_now is not before expires_at, or the server saw its lifetime pass
--   digest_mismatch          the row no longer gives the digests it was decided with
--   transaction_not_found    the bank's records do not hold the charge
--   transaction_not_refundable  not posted, or no charge
--   account_mismatch         the charge is on another account or customer
--   currency_mismatch        the charge is in another currency
--   exceeds_refundable       more than is left of the charge
--   account_closed, limit_exceeded, balance_out_of_range   see ledger.post_transfer
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

CREATE FUNCTION ledger.check_decision(p_decision gate.decisions, p_transfer_id UUID, p_now TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_consumed_by UUID;
BEGIN
    SELECT transfer_id INTO v_consumed_by FROM gate.consumptions
    WHERE tenant_id = p_decision.tenant_id AND decision_id = p_decision.decision_id;
    IF v_consumed_by = p_transfer_id THEN RETURN 'already_posted'; END IF;
    IF v_consumed_by IS NOT NULL THEN RETURN 'decision_consumed'; END IF;
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
    IF p_decision.action_digest IS DISTINCT FROM gate.digest_of_flat(p_decision.action)
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
SET search_path = pg_catalog, pg_temp
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

CREATE FUNCTION ledger.read_execution(p_tenant_id TEXT, p_transfer_id UUID, p_result_code TEXT) RETURNS ledger.execution
LANGUAGE SQL STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        p_result_code, lines.transfer_id, lines.decision_id, decisions.transaction_id, lines.amount_minor, lines.currency,
        lines.debit, lines.credit, lines.debit_version, lines.credit_version, lines.debit_balance_after_minor,
        lines.credit_balance_after_minor, lines.recorded_at, lines.transfer_id
    FROM ledger.transfer_lines AS lines
    INNER JOIN gate.decisions ON lines.tenant_id = decisions.tenant_id AND lines.decision_id = decisions.decision_id
    WHERE lines.tenant_id = p_tenant_id AND lines.transfer_id = p_transfer_id
$$;

-- What happens beside the posting, in its transaction: the charge's total, the consumption, the event, the instruction to the bank.
CREATE FUNCTION ledger.record_execution(p_decision gate.decisions, p_execution ledger.execution, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_data JSONB;
BEGIN
    UPDATE ledger.refund_totals SET refunded_minor = refunded_minor + p_decision.amount_minor
    WHERE tenant_id = p_decision.tenant_id AND transaction_id = p_decision.transaction_id;
    INSERT INTO gate.consumptions (tenant_id, decision_id, proposal_id, transfer_id, consumed_at)
    VALUES (p_decision.tenant_id, p_decision.decision_id, p_decision.proposal_id, p_execution.transfer_id, p_now);
    v_data := JSONB_BUILD_OBJECT(
        'transfer_id', 'tfr_' || REPLACE(p_execution.transfer_id::TEXT, '-', ''), 'decision_id', p_decision.decision_id,
        'decision_event_id', p_decision.event_id, 'proposal_id', p_decision.proposal_id, 'action_digest', p_decision.action_digest,
        'transfer_digest', ENCODE(p_decision.transfer_digest, 'hex'), 'transaction_id', p_decision.transaction_id,
        'account_id', p_decision.account_id, 'amount_minor', p_execution.amount_minor, 'currency', p_execution.currency,
        'debit', p_execution.debit, 'debit_version', p_execution.debit_version,
        'debit_balance_after_minor', p_execution.debit_balance_after_minor, 'credit', p_execution.credit,
        'credit_version', p_execution.credit_version, 'credit_balance_after_minor', p_execution.credit_balance_after_minor
    );
    -- The event has the transfer's UUID: one posting, one event.
    INSERT INTO core.events (
        tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, account_id, idempotency_key, amount_minor,
        currency, policy_decision, policy_version, model_score_ref, data
    ) VALUES (
        p_decision.tenant_id, p_execution.transfer_id, 'ledger.transfer_posted', 'ledger', v_data ->> 'transfer_id', p_now, p_now,
        p_decision.account_id, p_decision.decision_id, p_execution.amount_minor, p_execution.currency, p_decision.outcome,
        p_decision.policy_version, p_decision.score_ref, v_data
    );
    INSERT INTO core.outbox (tenant_id, instruction_id, kind, reference, payload, created_at, changed_at)
    VALUES (p_decision.tenant_id, p_execution.transfer_id, 'refund', p_decision.decision_id, v_data, p_now, p_now);
END
$$;

-- The only way to move money. Repeats with the same ids give the same answer; everything happens in the caller's transaction.
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
    SELECT * INTO v_decision FROM gate.decisions WHERE tenant_id = v_tenant_id AND decision_id = p_decision_id;
    IF FOUND THEN
        PERFORM gate.lock_proposal(v_tenant_id, v_decision.proposal_id);
        v_code := COALESCE(ledger.check_decision(v_decision, p_transfer_id, p_now), ledger.check_charge(v_decision));
    END IF;
    IF v_code IS NULL THEN
        v_code := ledger.post_transfer(
            v_tenant_id, p_transfer_id, 'refund', p_decision_id,
            ledger.open_account(v_tenant_id, 'house:refunds:' || v_decision.currency, v_decision.currency, p_now),
            ledger.open_account(v_tenant_id, 'customer:' || v_decision.account_id, v_decision.currency, p_now),
            v_decision.amount_minor, v_decision.currency, p_now
        );
    END IF;
    IF v_code NOT IN ('posted', 'already_posted') THEN
        v_execution.result_code := v_code;
        v_execution.decision_id := p_decision_id;
        RETURN v_execution;
    END IF;
    v_execution := ledger.read_execution(v_tenant_id, p_transfer_id, v_code);
    IF v_code = 'posted' THEN
        PERFORM ledger.record_execution(v_decision, v_execution, p_now);
    END IF;
    RETURN v_execution;
END
$$;
GRANT EXECUTE ON FUNCTION ledger.execute_refund(TEXT, UUID, TIMESTAMPTZ) TO executor;

RESET ROLE;
