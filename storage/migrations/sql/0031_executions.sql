-- The way of a decision of any kind into the ledger: what is checked before, what is written, and what stands beside it. The codes are
-- ledger.results.ExecutionCode's; those of a refund are explained in 0017.

SET LOCAL ROLE ledger_writer;

-- The decision by itself, in the order of ledger.results.ExecutionCode.
CREATE FUNCTION ledger.check_decision(
    p_decision gate.decisions, p_plan gate.act_plan, p_transfer_id UUID, p_now TIMESTAMPTZ
) RETURNS TEXT
LANGUAGE plpgsql
AS $$
DECLARE
    v_kind SMALLINT;
BEGIN
    SELECT kind INTO v_kind FROM ledger.transfers WHERE tenant_id = p_decision.tenant_id AND transfer_id = p_decision.transfer_id;
    IF NOT FOUND THEN
        SELECT 0 INTO v_kind FROM gate.executed_acts
        WHERE tenant_id = p_decision.tenant_id AND decision_id = p_decision.decision_id AND transfer_id IS NULL;
    END IF;
    IF v_kind IS NOT NULL THEN
        IF p_decision.transfer_id <> p_transfer_id THEN RETURN 'decision_consumed'; END IF;
        RETURN CASE v_kind WHEN 0 THEN 'executed' WHEN 2 THEN 'held' ELSE 'already_posted' END;
    END IF;
    IF EXISTS (SELECT FROM ledger.transfers WHERE tenant_id = p_decision.tenant_id AND transfer_id = p_transfer_id) THEN
        RETURN 'transfer_id_taken';
    END IF;
    IF p_decision.action_kind NOT IN (
        'refund', 'fee_reversal', 'goodwill_credit', 'provisional_credit', 'payment', 'hold_release', 'dispute_writeoff', 'card_block',
        'beneficiary_change', 'case_close', 'kyc_decision'
    ) THEN
        RETURN 'action_not_executable';
    END IF;
    IF p_decision.outcome NOT IN ('allow', 'hold') OR (p_decision.outcome = 'hold' AND p_plan.kind IS NULL) THEN
        RETURN 'outcome_not_allow';
    END IF;
    IF gate.is_frozen(p_decision.action_kind, p_decision.operator_id) THEN RETURN 'frozen'; END IF;
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
    IF p_plan.kind IS NULL THEN
        RETURN CASE
            WHEN p_decision.action_kind = 'hold_release' OR p_decision.hold_transfer_id IS NOT NULL THEN 'hold_not_open'
            ELSE 'digest_mismatch'
        END;
    END IF;
    IF p_decision.transfer_id <> p_transfer_id
        OR p_decision.action_digest IS DISTINCT FROM gate.digest_of_flat(p_decision.action)
        OR p_decision.transfer_digest IS DISTINCT FROM gate.digest_of_decision(p_decision, p_plan) THEN
        RETURN 'digest_mismatch';
    END IF;
    RETURN NULL;
END
$$;

-- The account that an act credits or debits: the customer's own, open, in its currency.
CREATE FUNCTION ledger.check_holder(p_decision gate.decisions) RETURNS TEXT
LANGUAGE SQL STABLE
AS $$
    SELECT CASE
        WHEN holders.account_id IS NULL THEN 'account_not_found'
        WHEN holders.customer_id <> p_decision.customer_id THEN 'account_mismatch'
        WHEN holders.status = 'closed' THEN 'account_closed'
        WHEN holders.currency <> p_decision.currency THEN 'currency_mismatch'
    END
    FROM (VALUES (1)) AS one (place)
    LEFT JOIN core.accounts AS holders ON holders.tenant_id = p_decision.tenant_id AND holders.account_id = p_decision.account_id
$$;

-- The payee: the customer's own, and not one that screening hit.
CREATE FUNCTION ledger.check_beneficiary(p_decision gate.decisions) RETURNS TEXT
LANGUAGE SQL STABLE
AS $$
    SELECT CASE
        WHEN payees.beneficiary_id IS NULL THEN 'beneficiary_not_found'
        WHEN payees.customer_id <> p_decision.customer_id OR payees.screening_state = 'hit' THEN 'beneficiary_mismatch'
    END
    FROM (VALUES (1)) AS one (place)
    LEFT JOIN core.beneficiaries AS payees
        ON payees.tenant_id = p_decision.tenant_id AND payees.beneficiary_id = p_decision.beneficiary_id
$$;

-- Lock the dispute, then say why the amount does not fit it, or NULL: credits of all stay within the charge, write-offs within those.
CREATE FUNCTION ledger.check_dispute(p_decision gate.decisions) RETURNS TEXT
LANGUAGE plpgsql
AS $$
DECLARE
    v_charge RECORD;
    v_credited BIGINT;
    v_written_off BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.dispute|' || p_decision.tenant_id || '|' || p_decision.subject_id, 0));
    SELECT charges.account_id, charges.amount_minor, charges.currency, holders.customer_id INTO v_charge
    FROM core.disputes
    INNER JOIN core.transactions AS charges
        ON disputes.tenant_id = charges.tenant_id AND disputes.transaction_id = charges.transaction_id
    INNER JOIN core.accounts AS holders ON charges.tenant_id = holders.tenant_id AND charges.account_id = holders.account_id
    WHERE disputes.tenant_id = p_decision.tenant_id AND disputes.dispute_id = p_decision.subject_id;
    IF NOT FOUND THEN RETURN 'transaction_not_found'; END IF;
    IF v_charge.account_id <> p_decision.account_id OR v_charge.customer_id <> p_decision.customer_id THEN
        RETURN 'account_mismatch';
    END IF;
    IF v_charge.currency <> p_decision.currency THEN RETURN 'currency_mismatch'; END IF;
    SELECT
        COALESCE(SUM(amount_minor) FILTER (WHERE action_kind = 'provisional_credit'), 0),
        COALESCE(SUM(amount_minor) FILTER (WHERE action_kind = 'dispute_writeoff'), 0)
    INTO v_credited, v_written_off
    FROM gate.executed_acts
    WHERE tenant_id = p_decision.tenant_id AND subject_id = p_decision.subject_id AND currency = p_decision.currency;
    -- In parentheses: the statement's own THEN is the first one outside of them.
    IF p_decision.amount_minor > (
        CASE p_decision.action_kind WHEN 'provisional_credit' THEN v_charge.amount_minor - v_credited ELSE v_credited - v_written_off END
    ) THEN
        RETURN 'exceeds_dispute';
    END IF;
    RETURN NULL;
END
$$;

-- The records that an act is about, as they are now; NULL when nothing stands against it.
CREATE FUNCTION ledger.check_records(p_decision gate.decisions, p_plan gate.act_plan, p_now TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
AS $$
BEGIN
    IF p_plan.kind IN (3, 4) AND NOT EXISTS (
        SELECT FROM ledger.holds
        WHERE tenant_id = p_decision.tenant_id AND transfer_id = p_plan.target_id AND state = 'pending'
            AND (expires_at IS NULL OR expires_at > p_now)
    ) THEN
        RETURN 'hold_not_open';
    END IF;
    IF p_decision.action_kind = 'fee_reversal' AND EXISTS (
        SELECT FROM core.transactions
        WHERE tenant_id = p_decision.tenant_id AND transaction_id = p_decision.transaction_id AND kind <> 'fee'
    ) THEN
        RETURN 'transaction_not_refundable';
    END IF;
    RETURN CASE p_decision.action_kind
        WHEN 'refund' THEN ledger.check_charge(p_decision)
        WHEN 'fee_reversal' THEN ledger.check_charge(p_decision)
        WHEN 'goodwill_credit' THEN ledger.check_holder(p_decision)
        WHEN 'payment' THEN COALESCE(ledger.check_holder(p_decision), ledger.check_beneficiary(p_decision))
        WHEN 'provisional_credit' THEN ledger.check_dispute(p_decision)
        WHEN 'dispute_writeoff' THEN ledger.check_dispute(p_decision)
        WHEN 'beneficiary_change' THEN ledger.check_beneficiary(p_decision)
    END;
END
$$;

-- Carry out under the decision's own authorization, which its row made when it was written.
CREATE FUNCTION ledger.post_decision(p_decision gate.decisions, p_plan gate.act_plan, p_now TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
AS $$
DECLARE
    v_result ledger.transfer_result;
BEGIN
    IF p_plan.kind = 0 THEN
        DELETE FROM gate.authorizations
        WHERE tenant_id = p_decision.tenant_id AND transfer_id = p_decision.transfer_id AND digest = p_decision.transfer_digest
            AND p_now >= valid_from AND p_now < valid_until AND clock_timestamp() - recorded_at < valid_until - valid_from;
        RETURN CASE WHEN FOUND THEN 'executed' ELSE 'not_authorized' END;
    END IF;
    IF p_plan.kind <= 2 THEN
        PERFORM ledger.open_account(p_decision.tenant_id, p_plan.debit, p_decision.currency, p_now);
        PERFORM ledger.open_account(p_decision.tenant_id, p_plan.credit, p_decision.currency, p_now);
    END IF;
    IF p_plan.kind = 1 THEN
        v_result := ledger.post_plain(
            p_decision.tenant_id, p_decision.transfer_id, p_plan.debit, p_plan.credit, p_decision.amount_minor, p_decision.currency,
            p_plan.code, p_now, p_now
        );
    END IF;
    IF v_result.code IS NULL THEN
        v_result := ledger.first_of(ledger.write_batch(p_decision.tenant_id, ROW(
            ARRAY[p_decision.transfer_id], ARRAY[p_plan.kind], ARRAY[1], ARRAY[2], ARRAY[p_decision.amount_minor], ARRAY[p_plan.code],
            ARRAY[p_now], ARRAY[p_plan.target_id], ARRAY[p_plan.hold_expires_at], ARRAY[0::SMALLINT],
            ARRAY[p_plan.debit, p_plan.credit], ARRAY[p_decision.currency, p_decision.currency]
        )::ledger.request_batch, p_now, FALSE));
    END IF;
    RETURN CASE
        WHEN v_result.code = 'accepted' AND p_plan.kind = 2 THEN 'held'
        WHEN v_result.code = 'accepted' THEN 'posted'
        WHEN v_result.code ~ '^(target|hold)_' THEN 'hold_not_open'
        ELSE v_result.code
    END;
END
$$;

-- What happens beside it, in its transaction: the charge's total, the record of the act, the instruction to the bank. A hold placed is
-- our own matter until it is posted.
CREATE FUNCTION ledger.record_execution(p_decision gate.decisions, p_plan gate.act_plan, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    IF p_plan.kind = 2 THEN RETURN; END IF;
    IF p_decision.action_kind IN ('refund', 'fee_reversal') THEN
        UPDATE ledger.refund_totals SET refunded_minor = refunded_minor + p_decision.amount_minor
        WHERE tenant_id = p_decision.tenant_id AND transaction_id = p_decision.transaction_id;
    END IF;
    IF p_plan.kind <> 4 THEN
        PERFORM gate.record_act(p_decision, CASE WHEN p_plan.kind <> 0 THEN p_decision.transfer_id END, p_now);
    END IF;
    INSERT INTO core.outbox (tenant_id, instruction_id, kind, reference, payload, created_at, changed_at)
    VALUES (
        p_decision.tenant_id, p_decision.transfer_id, p_decision.action_kind, p_decision.decision_id,
        JSONB_STRIP_NULLS(JSONB_BUILD_OBJECT(
            'decision_id', p_decision.decision_id, 'proposal_id', p_decision.proposal_id, 'customer_id', p_decision.customer_id,
            'account_id', p_decision.account_id, 'transaction_id', p_decision.transaction_id,
            'beneficiary_id', p_decision.beneficiary_id, 'subject_id', p_decision.subject_id,
            'details', p_decision.action ->> 'details', 'verdict', p_decision.action ->> 'verdict'
        ))
        || CASE WHEN p_plan.kind = 0 THEN '{}'::JSONB ELSE JSONB_BUILD_OBJECT(
            'transfer_id', 'tfr_' || REPLACE(p_decision.transfer_id::TEXT, '-', ''), 'amount_minor', p_decision.amount_minor,
            'currency', p_decision.currency, 'debit', p_plan.debit, 'credit', p_plan.credit
        ) END,
        p_now, p_now
    );
END
$$;

-- The way of a decision into the ledger. Repeats give the same answer; everything happens in the caller's transaction.
CREATE FUNCTION ledger.execute_decision(p_decision_id TEXT, p_transfer_id UUID, p_now TIMESTAMPTZ) RETURNS ledger.execution
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_decision gate.decisions;
    v_plan gate.act_plan;
    v_code TEXT := 'decision_not_found';
    v_execution ledger.execution;
BEGIN
    IF p_decision_id IS NULL OR p_transfer_id IS NULL OR p_now IS NULL THEN
        RAISE EXCEPTION 'execute_decision: an argument is null' USING ERRCODE = '22004';
    END IF;
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    SELECT * INTO v_decision FROM gate.decisions WHERE tenant_id = v_tenant_id AND decision_id = p_decision_id;
    IF FOUND THEN
        -- The second of two callers waits here and then finds what the first one did.
        PERFORM FROM gate.authorizations WHERE tenant_id = v_tenant_id AND transfer_id = v_decision.transfer_id FOR UPDATE;
        SELECT * INTO v_plan FROM gate.plan_act(v_decision);
        v_code := COALESCE(
            ledger.check_decision(v_decision, v_plan, p_transfer_id, p_now), ledger.check_records(v_decision, v_plan, p_now)
        );
    END IF;
    IF v_code IS NULL THEN
        v_code := ledger.post_decision(v_decision, v_plan, p_now);
        IF v_code IN ('posted', 'held', 'executed') THEN PERFORM ledger.record_execution(v_decision, v_plan, p_now); END IF;
    END IF;
    IF v_code IN ('posted', 'already_posted') THEN RETURN ledger.read_execution(v_decision, v_code); END IF;
    v_execution.result_code := v_code;
    v_execution.decision_id := p_decision_id;
    RETURN v_execution;
END
$$;
GRANT EXECUTE ON FUNCTION ledger.execute_decision(TEXT, UUID, TIMESTAMPTZ) TO executor;

RESET ROLE;
