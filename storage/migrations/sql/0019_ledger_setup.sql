-- Setting the ledger up: accounts are opened, closed, stopped and resumed, and balances and history from before are imported.
-- Each change of an account is an event. Errors have SQLSTATEs of their own, which ledger/setup.py names.

SET LOCAL ROLE ledger_owner;

GRANT EXECUTE ON FUNCTION ledger.first_uuid_of(TIMESTAMPTZ) TO ledger_writer;

-- A fresh UUIDv7 of a moment: its milliseconds, the version, and what gen_random_uuid rolls behind it.
CREATE FUNCTION ledger.make_event_id(p_now TIMESTAMPTZ) RETURNS UUID
LANGUAGE SQL VOLATILE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    SELECT (LEFT(REPLACE(ledger.first_uuid_of(p_now)::TEXT, '-', ''), 12) || '7' || SUBSTR(REPLACE(GEN_RANDOM_UUID()::TEXT, '-', ''), 14))::UUID
$$;
GRANT EXECUTE ON FUNCTION ledger.make_event_id(TIMESTAMPTZ) TO ledger_writer;

SET LOCAL ROLE ledger_writer;

-- What happened to an account, as an event about `code/CUR`.
CREATE FUNCTION ledger.tell_of_account(p_tenant_id TEXT, p_event_type TEXT, p_account ledger.accounts, p_reason TEXT, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, currency, data)
    VALUES (
        p_tenant_id, ledger.make_event_id(p_now), p_event_type, 'ledger', p_account.code || '/' || p_account.currency, p_now, p_now,
        p_account.currency,
        JSONB_STRIP_NULLS(JSONB_BUILD_OBJECT(
            'code', p_account.code, 'currency', p_account.currency, 'reason', p_reason,
            'debits_must_not_exceed_credits', p_account.debits_must_not_exceed_credits,
            'credits_must_not_exceed_debits', p_account.credits_must_not_exceed_debits, 'rolled_up', p_account.rolled_up
        ))
    );
END
$$;

-- Open an account with flags of its own. The same again does nothing; with other flags it is refused (23505).
CREATE FUNCTION ledger.define_account(
    p_code TEXT, p_currency TEXT, p_debits_must_not_exceed_credits BOOLEAN, p_credits_must_not_exceed_debits BOOLEAN, p_rolled_up BOOLEAN,
    p_now TIMESTAMPTZ
) RETURNS BOOLEAN
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_account ledger.accounts;
BEGIN
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    INSERT INTO ledger.accounts (
        tenant_id, code, currency, debits_must_not_exceed_credits, credits_must_not_exceed_debits, rolled_up, created_at
    ) VALUES (
        v_tenant_id, p_code, p_currency, p_debits_must_not_exceed_credits, p_credits_must_not_exceed_debits, p_rolled_up, p_now
    )
    ON CONFLICT (tenant_id, code, currency) DO NOTHING
    RETURNING * INTO v_account;
    IF FOUND THEN
        PERFORM ledger.tell_of_account(v_tenant_id, 'ledger.account_opened', v_account, NULL, p_now);
        RETURN TRUE;
    END IF;
    SELECT * INTO STRICT v_account FROM ledger.accounts WHERE tenant_id = v_tenant_id AND code = p_code AND currency = p_currency;
    IF (v_account.debits_must_not_exceed_credits, v_account.credits_must_not_exceed_debits, v_account.rolled_up)
        IS DISTINCT FROM (p_debits_must_not_exceed_credits, p_credits_must_not_exceed_debits, p_rolled_up) THEN
        RAISE EXCEPTION 'account %/%: open already, with other flags', p_code, p_currency USING ERRCODE = '23505';
    END IF;
    RETURN FALSE;
END
$$;

-- The account's row, locked against postings that update it. No such account: P0002.
CREATE FUNCTION ledger.lock_account(p_tenant_id TEXT, p_code TEXT, p_currency TEXT) RETURNS ledger.accounts
LANGUAGE plpgsql
AS $$
DECLARE
    v_account ledger.accounts;
BEGIN
    SELECT * INTO v_account FROM ledger.accounts WHERE tenant_id = p_tenant_id AND code = p_code AND currency = p_currency
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'account %/%: there is no such account', p_code, p_currency USING ERRCODE = 'P0002';
    END IF;
    RETURN v_account;
END
$$;

-- Let nothing more be posted. Refused while holds are open (55006). A transfer on a rolled-up account that is under way while it is
-- closed may still land: nothing waits for such an account, and nothing that has begun is lost.
CREATE FUNCTION ledger.close_account(p_code TEXT, p_currency TEXT, p_now TIMESTAMPTZ) RETURNS BOOLEAN
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_account ledger.accounts;
    v_held_minor BIGINT;
BEGIN
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    v_account := ledger.lock_account(v_tenant_id, p_code, p_currency);
    IF v_account.closed THEN RETURN FALSE; END IF;
    -- Each side is at least 0, so the sum says whether anything is held.
    SELECT v_account.debits_pending_minor + v_account.credits_pending_minor + COALESCE(SUM(debits_pending_minor + credits_pending_minor), 0)
    INTO v_held_minor FROM ledger.tails WHERE tenant_id = v_tenant_id AND account = v_account.account;
    IF v_held_minor <> 0 THEN
        RAISE EXCEPTION 'account %/%: holds on it are open', p_code, p_currency USING ERRCODE = '55006';
    END IF;
    UPDATE ledger.accounts SET closed = TRUE WHERE tenant_id = v_tenant_id AND account = v_account.account;
    PERFORM ledger.tell_of_account(v_tenant_id, 'ledger.account_closed', v_account, NULL, p_now);
    RETURN TRUE;
END
$$;

-- Stop or resume posting. Says whether that was news.
CREATE FUNCTION ledger.switch_account(p_code TEXT, p_currency TEXT, p_stopped BOOLEAN, p_reason TEXT, p_now TIMESTAMPTZ) RETURNS BOOLEAN
LANGUAGE plpgsql
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_account ledger.accounts;
BEGIN
    IF p_reason IS NULL OR p_reason !~ '^[a-z_]{1,100}$' THEN
        RAISE EXCEPTION 'account %/%: the reason is a word such as balance_differs', p_code, p_currency USING ERRCODE = '22023';
    END IF;
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    v_account := ledger.lock_account(v_tenant_id, p_code, p_currency);
    IF v_account.stopped = p_stopped THEN RETURN FALSE; END IF;
    UPDATE ledger.accounts SET stopped = p_stopped WHERE tenant_id = v_tenant_id AND account = v_account.account;
    PERFORM ledger.tell_of_account(
        v_tenant_id, CASE WHEN p_stopped THEN 'ledger.account_stopped' ELSE 'ledger.account_resumed' END, v_account, p_reason, p_now
    );
    RETURN TRUE;
END
$$;

CREATE FUNCTION ledger.stop_account(p_code TEXT, p_currency TEXT, p_reason TEXT, p_now TIMESTAMPTZ) RETURNS BOOLEAN
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN ledger.switch_account(p_code, p_currency, TRUE, p_reason, p_now);
END
$$;

CREATE FUNCTION ledger.resume_account(p_code TEXT, p_currency TEXT, p_reason TEXT, p_now TIMESTAMPTZ) RETURNS BOOLEAN
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN ledger.switch_account(p_code, p_currency, FALSE, p_reason, p_now);
END
$$;

-- Opening balances and history from another ledger, with event times of their own: postings and chains of them, under codes that no
-- decision can have. Answers as post_many does; a refused row is not remembered, so that a file can be mended and sent again.
CREATE FUNCTION ledger.import_transfers(p_batch ledger.request_batch, p_now TIMESTAMPTZ) RETURNS ledger.result_batch
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
BEGIN
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    PERFORM ledger.require_shape(p_batch);
    IF EXISTS (SELECT FROM UNNEST(p_batch.kinds, p_batch.codes) AS asked (kind, code) WHERE kind <> 1 OR code NOT IN (90, 91)) THEN
        RAISE EXCEPTION 'import: a posting that is an opening balance or an import, and nothing else' USING ERRCODE = '22023';
    END IF;
    RETURN ledger.write_batch(v_tenant_id, p_batch, p_now, TRUE);
END
$$;

GRANT EXECUTE ON FUNCTION
ledger.define_account(TEXT, TEXT, BOOLEAN, BOOLEAN, BOOLEAN, TIMESTAMPTZ), ledger.close_account(TEXT, TEXT, TIMESTAMPTZ),
ledger.resume_account(TEXT, TEXT, TEXT, TIMESTAMPTZ), ledger.import_transfers(ledger.request_batch, TIMESTAMPTZ)
TO importer;
GRANT EXECUTE ON FUNCTION ledger.stop_account(TEXT, TEXT, TEXT, TIMESTAMPTZ) TO importer, jobs;

RESET ROLE;
