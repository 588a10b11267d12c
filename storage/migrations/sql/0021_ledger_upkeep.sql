-- What keeps the ledger in shape: rolled-up accounts are folded in, holds expire, balances are rebuilt from the entries.

SET LOCAL ROLE ledger_owner;

-- Balances as the entries give them, made anew at each rebuilding, beside the ones in use.
CREATE TABLE ledger.rebuilt_balances (
    tenant_id TEXT NOT NULL,
    account INTEGER NOT NULL,
    debits_posted_minor BIGINT NOT NULL,
    credits_posted_minor BIGINT NOT NULL,
    debits_pending_minor BIGINT NOT NULL,
    credits_pending_minor BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, account)
);
CALL core.protect_posting_table('ledger.rebuilt_balances');
GRANT SELECT, INSERT, DELETE ON ledger.rebuilt_balances TO ledger_writer;
GRANT SELECT ON ledger.account_balances TO ledger_writer;

-- The waiting rows are folded in each second; what they leave behind is cleared as often.
ALTER TABLE ledger.tails SET (
    autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0
);

-- Archived parts: read-only, out of the way of every posting and every check.
RESET ROLE;
CREATE SCHEMA archive AUTHORIZATION ledger_owner;
SET LOCAL ROLE ledger_owner;
GRANT USAGE ON SCHEMA archive TO auditor;

SET LOCAL ROLE ledger_writer;

-- Fold what rolled-up accounts moved into their sums; returns how many entries. One statement: any snapshot sees a transfer in the
-- tails or in the account, never in both and never in neither. Nothing that is posted meanwhile waits, and all that is visible goes,
-- because what a posting took back stands there as two rows that belong together.
CREATE FUNCTION ledger.roll_up() RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_entries BIGINT;
BEGIN
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    IF NOT pg_try_advisory_xact_lock(hashtextextended('tellergate.roll_up.' || v_tenant_id, 0)) THEN RETURN 0; END IF;
    WITH taken AS (
        DELETE FROM ledger.tails WHERE tenant_id = v_tenant_id RETURNING *
    ),

    sums AS (
        SELECT
            account, SUM(debits_posted_minor) AS debits, SUM(credits_posted_minor) AS credits, SUM(debits_pending_minor) AS held_debits,
            SUM(credits_pending_minor) AS held_credits, SUM(entries) AS entries
        FROM taken GROUP BY account
    ),

    folded AS (
        UPDATE ledger.accounts SET
            debits_posted_minor = debits_posted_minor + sums.debits, credits_posted_minor = credits_posted_minor + sums.credits,
            debits_pending_minor = debits_pending_minor + sums.held_debits,
            credits_pending_minor = credits_pending_minor + sums.held_credits, version = version + sums.entries
        FROM sums WHERE accounts.tenant_id = v_tenant_id AND accounts.account = sums.account AND accounts.rolled_up
        RETURNING sums.entries
    )

    SELECT COALESCE(SUM(entries), 0) INTO v_entries FROM folded;
    RETURN v_entries;
END
$$;

-- The one id that the expiry of a hold can have: a repetition is the same transfer. A UUIDv7 of the time at which it was due.
CREATE FUNCTION ledger.derive_expiry_id(p_hold_id UUID, p_expires_at TIMESTAMPTZ) RETURNS UUID
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    SELECT (
        LEFT(REPLACE(ledger.first_uuid_of(p_expires_at)::TEXT, '-', ''), 12) || '7' || SUBSTR(digest, 1, 3) || '8' || SUBSTR(digest, 4, 15)
    )::UUID
    FROM ENCODE(SHA256(CONVERT_TO('expiry|' || p_hold_id::TEXT, 'UTF8')), 'hex') AS digest
$$;

-- Release open holds whose time has passed, the longest due first; returns how many. A hold that someone posts or voids meanwhile is
-- his: both lock it, and the second one finds it resolved.
CREATE FUNCTION ledger.expire_holds(p_now TIMESTAMPTZ, p_limit INTEGER) RETURNS INTEGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_batch ledger.request_batch;
    v_answers ledger.result_batch;
BEGIN
    IF p_limit NOT BETWEEN 1 AND 8000 THEN
        RAISE EXCEPTION 'expire_holds: a limit of 1 to 8000, not %', p_limit USING ERRCODE = '22023';
    END IF;
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    WITH due AS MATERIALIZED (
        SELECT transfer_id, amount_minor, expires_at FROM ledger.holds
        WHERE tenant_id = v_tenant_id AND state = 'pending' AND expires_at <= p_now
        ORDER BY expires_at, transfer_id LIMIT p_limit
    ),

    sided AS MATERIALIZED (
        SELECT due.*, transfers.debit_account, transfers.credit_account
        FROM due
        INNER JOIN ledger.transfers ON transfers.tenant_id = v_tenant_id AND transfers.transfer_id = due.transfer_id
    ),

    named AS MATERIALIZED (
        SELECT account, code, currency, ROW_NUMBER() OVER (ORDER BY account)::INTEGER AS place
        FROM ledger.accounts
        WHERE tenant_id = v_tenant_id AND account IN (SELECT debit_account FROM sided UNION SELECT credit_account FROM sided)
    )

    SELECT
        ARRAY_AGG(ledger.derive_expiry_id(sided.transfer_id, sided.expires_at) ORDER BY sided.expires_at, sided.transfer_id),
        ARRAY_AGG(5::SMALLINT), ARRAY_AGG(debits.place ORDER BY sided.expires_at, sided.transfer_id),
        ARRAY_AGG(credits.place ORDER BY sided.expires_at, sided.transfer_id),
        ARRAY_AGG(sided.amount_minor ORDER BY sided.expires_at, sided.transfer_id), ARRAY_AGG(92::SMALLINT),
        ARRAY_AGG(sided.expires_at ORDER BY sided.expires_at, sided.transfer_id),
        ARRAY_AGG(sided.transfer_id ORDER BY sided.expires_at, sided.transfer_id), ARRAY_AGG(NULL::TIMESTAMPTZ), ARRAY_AGG(0::SMALLINT),
        (SELECT ARRAY_AGG(code ORDER BY place) FROM named), (SELECT ARRAY_AGG(currency ORDER BY place) FROM named)
    INTO v_batch
    FROM sided
    INNER JOIN named AS debits ON sided.debit_account = debits.account
    INNER JOIN named AS credits ON sided.credit_account = credits.account;
    IF v_batch.ids IS NULL THEN RETURN 0; END IF;
    v_answers := ledger.write_batch(v_tenant_id, v_batch, p_now, TRUE);
    RETURN (SELECT COUNT(*) FROM UNNEST(v_answers.codes) AS answers (code) WHERE code = 29);
END
$$;

-- SHA-256 over what accounts hold, one line each, in the order of code and currency.
CREATE FUNCTION ledger.hash_balances(p_tenant_id TEXT, p_rebuilt BOOLEAN) RETURNS TEXT
LANGUAGE SQL STABLE
AS $$
    SELECT ENCODE(SHA256(CONVERT_TO(COALESCE(STRING_AGG(
        CONCAT_WS('|', code, currency, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, version),
        CHR(10) ORDER BY code COLLATE "C", currency COLLATE "C"
    ), ''), 'UTF8')), 'hex')
    FROM (
        SELECT code, currency, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, version
        FROM ledger.account_balances WHERE tenant_id = p_tenant_id AND NOT p_rebuilt
        UNION ALL
        SELECT
            accounts.code, accounts.currency, rebuilt.debits_posted_minor, rebuilt.credits_posted_minor, rebuilt.debits_pending_minor,
            rebuilt.credits_pending_minor, rebuilt.version
        FROM ledger.rebuilt_balances AS rebuilt
        INNER JOIN ledger.accounts ON rebuilt.tenant_id = accounts.tenant_id AND rebuilt.account = accounts.account
        WHERE rebuilt.tenant_id = p_tenant_id AND p_rebuilt
    ) AS lines
$$;

-- Make the rebuilt balances from nothing but entries and archived sums.
CREATE FUNCTION ledger.rebuild_beside(p_tenant_id TEXT) RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM ledger.rebuilt_balances WHERE tenant_id = p_tenant_id;
    INSERT INTO ledger.rebuilt_balances
    SELECT
        p_tenant_id, accounts.account, COALESCE(SUM(parts.debits_posted_minor), 0), COALESCE(SUM(parts.credits_posted_minor), 0),
        COALESCE(SUM(parts.debits_pending_minor), 0), COALESCE(SUM(parts.credits_pending_minor), 0), COALESCE(SUM(parts.entries), 0)
    FROM ledger.accounts
    LEFT JOIN (
        SELECT account, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, 1 AS entries
        FROM ledger.entry_effects WHERE tenant_id = p_tenant_id
        UNION ALL
        SELECT account, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, entries
        FROM ledger.archived_sums WHERE tenant_id = p_tenant_id
    ) AS parts ON accounts.account = parts.account
    WHERE accounts.tenant_id = p_tenant_id
    GROUP BY accounts.account;
END
$$;

-- `differing`: accounts whose sums or version are not those of their entries. `applied`: the rebuilt ones are in use now.
CREATE TYPE ledger.rebuilding AS (
    accounts BIGINT,
    differing BIGINT,
    hash_before TEXT,
    hash_rebuilt TEXT,
    applied BOOLEAN
);

-- Rebuild beside, compare, and with `p_apply` put the rebuilt balances in the place of those in use: posting waits that long.
-- Without it, call at REPEATABLE READ: then nothing waits and both sides are of one moment.
CREATE FUNCTION ledger.rebuild_balances(p_apply BOOLEAN, p_now TIMESTAMPTZ) RETURNS ledger.rebuilding
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_done ledger.rebuilding;
BEGIN
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    IF p_apply THEN LOCK TABLE ledger.accounts, ledger.tails IN SHARE ROW EXCLUSIVE MODE; END IF;
    PERFORM ledger.rebuild_beside(v_tenant_id);
    v_done.hash_before := ledger.hash_balances(v_tenant_id, FALSE);
    v_done.hash_rebuilt := ledger.hash_balances(v_tenant_id, TRUE);
    v_done.applied := p_apply;
    SELECT COUNT(*), COUNT(*) FILTER (WHERE (
        rebuilt.debits_posted_minor, rebuilt.credits_posted_minor, rebuilt.debits_pending_minor, rebuilt.credits_pending_minor, rebuilt.version
    ) IS DISTINCT FROM (
        balances.debits_posted_minor, balances.credits_posted_minor, balances.debits_pending_minor, balances.credits_pending_minor,
        balances.version
    )) INTO v_done.accounts, v_done.differing
    FROM ledger.rebuilt_balances AS rebuilt
    INNER JOIN ledger.accounts ON rebuilt.tenant_id = accounts.tenant_id AND rebuilt.account = accounts.account
    INNER JOIN ledger.account_balances AS balances
        ON accounts.tenant_id = balances.tenant_id AND accounts.code = balances.code AND accounts.currency = balances.currency
    WHERE rebuilt.tenant_id = v_tenant_id;
    IF p_apply THEN PERFORM ledger.swap_balances(v_tenant_id, v_done, p_now); END IF;
    RETURN v_done;
END
$$;

CREATE FUNCTION ledger.swap_balances(p_tenant_id TEXT, p_done ledger.rebuilding, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM ledger.tails WHERE tenant_id = p_tenant_id;
    UPDATE ledger.accounts SET
        debits_posted_minor = rebuilt.debits_posted_minor, credits_posted_minor = rebuilt.credits_posted_minor,
        debits_pending_minor = rebuilt.debits_pending_minor, credits_pending_minor = rebuilt.credits_pending_minor, version = rebuilt.version
    FROM ledger.rebuilt_balances AS rebuilt
    WHERE accounts.tenant_id = p_tenant_id AND rebuilt.tenant_id = p_tenant_id AND accounts.account = rebuilt.account;
    IF ledger.hash_balances(p_tenant_id, FALSE) <> p_done.hash_rebuilt THEN
        RAISE EXCEPTION 'rebuilt balances are not those in use afterwards' USING ERRCODE = 'XX001';
    END IF;
    INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)
    VALUES (
        p_tenant_id, ledger.make_event_id(p_now), 'ledger.balances_rebuilt', 'ledger', 'balances', p_now, p_now,
        JSONB_BUILD_OBJECT(
            'accounts', p_done.accounts, 'differing', p_done.differing, 'hash_before', p_done.hash_before, 'hash_rebuilt', p_done.hash_rebuilt
        )
    );
END
$$;

GRANT EXECUTE ON FUNCTION ledger.roll_up(), ledger.expire_holds(TIMESTAMPTZ, INTEGER) TO jobs;
GRANT EXECUTE ON FUNCTION ledger.rebuild_balances(BOOLEAN, TIMESTAMPTZ) TO importer;

SET LOCAL ROLE ledger_owner;

-- Say, for the tenant of the session, that a month was archived. Role jobs, in the transaction that detaches the part.
CREATE FUNCTION ledger.tell_of_archive(p_month DATE, p_transfers BIGINT, p_file_sha256 TEXT, p_by TEXT, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.archived_parts WHERE month = p_month AND transfers = p_transfers AND file_sha256 = p_file_sha256) THEN
        RAISE EXCEPTION 'month %: it was not archived', TO_CHAR(p_month, 'YYYY-MM') USING ERRCODE = '42501';
    END IF;
    INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)
    VALUES (
        core.current_tenant(), ledger.make_event_id(p_now), 'ledger.month_archived', 'ledger', TO_CHAR(p_month, 'YYYY-MM'), p_now, p_now,
        JSONB_BUILD_OBJECT('month', TO_CHAR(p_month, 'YYYY-MM'), 'transfers', p_transfers, 'file_sha256', p_file_sha256, 'archived_by', p_by)
    );
END
$$;
GRANT EXECUTE ON FUNCTION ledger.tell_of_archive(DATE, BIGINT, TEXT, TEXT, TIMESTAMPTZ) TO jobs;

RESET ROLE;
