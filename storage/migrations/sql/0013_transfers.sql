-- One call, one transfer. The happy path is five plain statements; whatever it cannot answer goes to the set-based path (0014), which
-- alone knows every code. Codes, kinds and their precedence are domain.transfer's.

SET LOCAL ROLE ledger_writer;

CREATE TYPE ledger.transfer_result AS (
    transfer_id UUID,
    code TEXT,
    refused_code TEXT,
    amount_minor BIGINT,
    debit_version BIGINT,
    credit_version BIGINT,
    debit_balance_after_minor BIGINT,
    credit_balance_after_minor BIGINT,
    recorded_at TIMESTAMPTZ
);

-- Requests by column. `debits` and `credits` are places in `accounts`, which holds each (code, currency) once.
CREATE TYPE ledger.request_batch AS (
    ids UUID [],
    kinds SMALLINT [],
    debits INTEGER [],
    credits INTEGER [],
    amounts BIGINT [],
    codes SMALLINT [],
    occurred_at TIMESTAMPTZ [],
    targets UUID [],
    expiries TIMESTAMPTZ [],
    flags SMALLINT [],
    accounts TEXT [],
    currencies TEXT []
);

CREATE FUNCTION ledger.name_of_kind(p_kind SMALLINT) RETURNS TEXT
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$ SELECT (ARRAY['posted', 'pending', 'post', 'void', 'expire', 'reverse'])[p_kind] $$;

CREATE FUNCTION ledger.name_of_code(p_code SMALLINT) RETURNS TEXT
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    SELECT CASE
        WHEN p_code < 90 THEN (ARRAY[
            'refund', 'fee_reversal', 'goodwill_credit', 'provisional_credit', 'payment', 'hold_release', 'dispute_writeoff', 'exchange',
            'fee', 'settlement'
        ])[p_code]
        ELSE (ARRAY['opening_balance', 'import', 'expiry'])[p_code - 89]
    END
$$;

-- What a decision's authorization is bound to; domain.transfer.digest_transfer is the same function.
-- STABLE and without a SET clause, or the planner would not inline it: EXTRACT is STABLE. It is a fifth of a batch's time then.
CREATE FUNCTION ledger.digest_of_transfer(
    p_tenant_id TEXT, p_transfer_id UUID, p_kind SMALLINT, p_debit TEXT, p_credit TEXT, p_amount_minor BIGINT, p_currency TEXT,
    p_code SMALLINT, p_target_id UUID, p_hold_expires_at TIMESTAMPTZ, p_flags SMALLINT
) RETURNS BYTEA
LANGUAGE SQL STABLE PARALLEL SAFE
AS $$
    SELECT pg_catalog.sha256(pg_catalog.convert_to(
        'transfer|' || p_tenant_id || '|' || p_transfer_id::TEXT || '|' || (
            CASE p_kind
                WHEN 1 THEN 'posted' WHEN 2 THEN 'pending' WHEN 3 THEN 'post' WHEN 4 THEN 'void' WHEN 5 THEN 'expire' ELSE 'reverse'
            END
        ) || '|' || p_debit || '|' || p_credit || '|' || p_amount_minor::TEXT || '|' || p_currency || '|' || p_code::TEXT || '|'
        || COALESCE(p_target_id::TEXT, '') || '|'
        || COALESCE((EXTRACT(EPOCH FROM p_hold_expires_at) * 1000000)::BIGINT::TEXT, '') || '|'
        || (p_flags & 1)::TEXT || '|' || CASE p_flags & 6 WHEN 2 THEN 'debit' WHEN 4 THEN 'credit' ELSE '' END, 'UTF8'
    ))
$$;
GRANT EXECUTE ON FUNCTION ledger.digest_of_transfer(TEXT, UUID, SMALLINT, TEXT, TEXT, BIGINT, TEXT, SMALLINT, UUID, TIMESTAMPTZ, SMALLINT)
TO gate, gate_owner, ledger_owner, auditor;
GRANT EXECUTE ON FUNCTION ledger.name_of_kind(SMALLINT), ledger.name_of_code(SMALLINT)
TO executor, gate, gate_owner, edge, importer, jobs, auditor, ledger_owner;

-- Take back what a posting did to an account in this very transaction; nobody else has seen it.
CREATE FUNCTION ledger.undo_side(p_tenant_id TEXT, p_account INTEGER, p_debited_minor BIGINT, p_credited_minor BIGINT) RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE ledger.accounts SET debits_posted_minor = debits_posted_minor - p_debited_minor,
        credits_posted_minor = credits_posted_minor - p_credited_minor, version = version - 1
    WHERE tenant_id = p_tenant_id AND account = p_account AND NOT rolled_up;
END
$$;

-- Post one plain transfer that a live decision authorizes. NULL, with nothing done, when anything stands against it: the caller
-- then asks the set-based path, which names the code. Rows are locked in the order of the codes, the authorization last. A rolled-up
-- account gets a tail instead of an update, so that nobody waits for it. Written out without inner calls: each would cost as much as
-- one of the statements. The same four steps stand here twice, for the two orders of locking.
CREATE FUNCTION ledger.post_plain(
    p_tenant_id TEXT, p_transfer_id UUID, p_debit TEXT, p_credit TEXT, p_amount_minor BIGINT, p_currency TEXT, p_code SMALLINT,
    p_occurred_at TIMESTAMPTZ, p_now TIMESTAMPTZ
) RETURNS ledger.transfer_result
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    v_digest BYTEA;
    v_clock TIMESTAMPTZ := clock_timestamp();
    v_decision_id UUID;
    v_debit INTEGER; v_debit_version BIGINT; v_debit_after BIGINT;
    v_credit INTEGER; v_credit_version BIGINT; v_credit_after BIGINT;
BEGIN
    IF NOT (p_amount_minor BETWEEN 1 AND 9007199254740991 AND p_code BETWEEN 1 AND 10 AND p_debit <> p_credit) THEN RETURN NULL; END IF;
    IF p_debit ^@ 'house:' THEN
        SELECT account, nextval('ledger.entry_order') INTO v_debit, v_debit_version FROM ledger.accounts
        WHERE tenant_id = p_tenant_id AND code = p_debit AND currency = p_currency AND rolled_up AND NOT closed AND NOT stopped;
    END IF;
    IF p_debit < p_credit AND v_debit IS NULL THEN
        UPDATE ledger.accounts SET debits_posted_minor = debits_posted_minor + p_amount_minor, version = version + 1
        WHERE tenant_id = p_tenant_id AND code = p_debit AND currency = p_currency AND NOT (rolled_up OR closed OR stopped)
            AND debits_posted_minor + p_amount_minor <= CASE
                WHEN debits_must_not_exceed_credits THEN credits_posted_minor - debits_pending_minor ELSE 9007199254740991
            END
        RETURNING account, version, credits_posted_minor - debits_posted_minor INTO v_debit, v_debit_version, v_debit_after;
        IF v_debit IS NULL THEN RETURN NULL; END IF;
    END IF;
    IF p_credit ^@ 'house:' THEN
        SELECT account, nextval('ledger.entry_order') INTO v_credit, v_credit_version FROM ledger.accounts
        WHERE tenant_id = p_tenant_id AND code = p_credit AND currency = p_currency AND rolled_up AND NOT closed AND NOT stopped;
    END IF;
    IF v_credit IS NULL THEN
        UPDATE ledger.accounts SET credits_posted_minor = credits_posted_minor + p_amount_minor, version = version + 1
        WHERE tenant_id = p_tenant_id AND code = p_credit AND currency = p_currency AND NOT (rolled_up OR closed OR stopped)
            AND credits_posted_minor + p_amount_minor <= CASE
                WHEN credits_must_not_exceed_debits THEN debits_posted_minor - credits_pending_minor ELSE 9007199254740991
            END
        RETURNING account, version, credits_posted_minor - debits_posted_minor INTO v_credit, v_credit_version, v_credit_after;
    END IF;
    IF v_credit IS NOT NULL AND v_debit IS NULL THEN
        UPDATE ledger.accounts SET debits_posted_minor = debits_posted_minor + p_amount_minor, version = version + 1
        WHERE tenant_id = p_tenant_id AND code = p_debit AND currency = p_currency AND NOT (rolled_up OR closed OR stopped)
            AND debits_posted_minor + p_amount_minor <= CASE
                WHEN debits_must_not_exceed_credits THEN credits_posted_minor - debits_pending_minor ELSE 9007199254740991
            END
        RETURNING account, version, credits_posted_minor - debits_posted_minor INTO v_debit, v_debit_version, v_debit_after;
    END IF;
    IF v_debit IS NOT NULL AND v_credit IS NOT NULL THEN
        v_digest := sha256(convert_to(concat_ws(
            '|', 'transfer', p_tenant_id, p_transfer_id, 'posted', p_debit, p_credit, p_amount_minor, p_currency, p_code, '||0|'
        ), 'UTF8'));
        DELETE FROM gate.authorizations
        WHERE tenant_id = p_tenant_id AND transfer_id = p_transfer_id AND digest = v_digest AND p_now >= valid_from AND p_now < valid_until
            AND v_clock - recorded_at < valid_until - valid_from
        RETURNING decision_id INTO v_decision_id;
    END IF;
    IF v_decision_id IS NULL THEN
        IF v_debit_after IS NOT NULL THEN PERFORM ledger.undo_side(p_tenant_id, v_debit, p_amount_minor, 0); END IF;
        IF v_credit_after IS NOT NULL THEN PERFORM ledger.undo_side(p_tenant_id, v_credit, 0, p_amount_minor); END IF;
        RETURN NULL;
    END IF;
    IF v_debit_after IS NULL THEN INSERT INTO ledger.tails VALUES (p_tenant_id, v_debit, p_amount_minor, 0, 0, 0, 1); END IF;
    IF v_credit_after IS NULL THEN INSERT INTO ledger.tails VALUES (p_tenant_id, v_credit, 0, p_amount_minor, 0, 0, 1); END IF;
    INSERT INTO ledger.transfers (
        tenant_id, transfer_id, decision_id, debit_account, credit_account, amount_minor, debit_version, credit_version,
        debit_balance_after_minor, credit_balance_after_minor, occurred_at, recorded_at, kind, code
    ) VALUES (
        p_tenant_id, p_transfer_id, v_decision_id, v_debit, v_credit, p_amount_minor, v_debit_version, v_credit_version, v_debit_after,
        v_credit_after, p_occurred_at, p_now, 1, p_code
    );
    -- The transfer is its own event; here it waits for its place in the log.
    INSERT INTO core.events_unsequenced (tenant_id, event_id) VALUES (p_tenant_id, p_transfer_id);
    RETURN ROW(
        p_transfer_id, 'accepted', NULL, p_amount_minor, v_debit_version, v_credit_version, v_debit_after, v_credit_after, p_now
    )::ledger.transfer_result;
END
$$;

-- One request of any kind. Idempotent by its id; everything happens in the caller's transaction.
CREATE FUNCTION ledger.post_one(
    p_transfer_id UUID, p_kind SMALLINT, p_debit TEXT, p_credit TEXT, p_amount_minor BIGINT, p_currency TEXT, p_code SMALLINT,
    p_occurred_at TIMESTAMPTZ, p_now TIMESTAMPTZ, p_target_id UUID DEFAULT NULL, p_hold_expires_at TIMESTAMPTZ DEFAULT NULL,
    p_flags SMALLINT DEFAULT 0::SMALLINT
) RETURNS ledger.transfer_result
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_result ledger.transfer_result;
    v_batch ledger.request_batch;
BEGIN
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    IF p_kind = 1 AND p_flags = 0 AND p_target_id IS NULL AND p_hold_expires_at IS NULL THEN
        v_result := ledger.post_plain(
            v_tenant_id, p_transfer_id, p_debit, p_credit, p_amount_minor, p_currency, p_code, p_occurred_at, p_now
        );
    END IF;
    IF v_result.code IS NULL THEN
        v_batch := ROW(
            ARRAY[p_transfer_id], ARRAY[p_kind], ARRAY[1], ARRAY[CASE WHEN p_debit = p_credit THEN 1 ELSE 2 END], ARRAY[p_amount_minor],
            ARRAY[p_code], ARRAY[p_occurred_at], ARRAY[p_target_id], ARRAY[p_hold_expires_at], ARRAY[p_flags],
            CASE WHEN p_debit = p_credit THEN ARRAY[p_debit] ELSE ARRAY[p_debit, p_credit] END,
            CASE WHEN p_debit = p_credit THEN ARRAY[p_currency] ELSE ARRAY[p_currency, p_currency] END
        )::ledger.request_batch;
        PERFORM ledger.require_shape(v_batch);
        v_result := ledger.first_of(ledger.write_batch(v_tenant_id, v_batch, p_now, FALSE));
    END IF;
    RETURN v_result;
END
$$;
GRANT EXECUTE ON FUNCTION ledger.post_one(
    UUID, SMALLINT, TEXT, TEXT, BIGINT, TEXT, SMALLINT, TIMESTAMPTZ, TIMESTAMPTZ, UUID, TIMESTAMPTZ, SMALLINT
) TO executor;

RESET ROLE;
