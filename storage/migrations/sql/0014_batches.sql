-- Many requests in one call, answered in their order as if each had come alone. The accounts are read and locked once, the requests
-- are played in memory, and what came of them is written with one statement a table. Offenders are answered and the rest goes on.

SET LOCAL ROLE ledger_writer;

-- Answers by column, in the order of the requests; `codes` and `refused` are domain.transfer.ResultCode, by place from 1.
CREATE TYPE ledger.result_batch AS (
    codes SMALLINT [],
    refused SMALLINT [],
    ids UUID [],
    amounts BIGINT [],
    debit_versions BIGINT [],
    credit_versions BIGINT [],
    debit_balances BIGINT [],
    credit_balances BIGINT [],
    recorded_at TIMESTAMPTZ []
);

-- In the order of their precedence.
CREATE FUNCTION ledger.result_codes() RETURNS TEXT[]
LANGUAGE SQL IMMUTABLE PARALLEL SAFE
AS $$
    SELECT ARRAY[
        'amount_not_positive', 'amount_out_of_range', 'accounts_the_same', 'fields_do_not_fit_kind', 'chain_open', 'linked_failed',
        'already_accepted', 'id_conflict', 'refused_before', 'not_authorized', 'decision_not_yet_valid', 'decision_expired',
        'digest_mismatch', 'debit_account_not_found', 'credit_account_not_found', 'account_closed', 'account_stopped',
        'target_not_found', 'target_of_another_kind', 'target_mismatch', 'hold_posted', 'hold_voided', 'hold_expired', 'exceeds_held',
        'exceeds_reversible', 'nothing_to_balance', 'limit_exceeded', 'balance_out_of_range', 'accepted'
    ]
$$;

CREATE FUNCTION ledger.first_of(p_results ledger.result_batch) RETURNS ledger.transfer_result
LANGUAGE SQL IMMUTABLE
AS $$
    SELECT ROW(
        p_results.ids[1], (ledger.result_codes())[p_results.codes[1]], (ledger.result_codes())[p_results.refused[1]], p_results.amounts[1],
        p_results.debit_versions[1], p_results.credit_versions[1], p_results.debit_balances[1], p_results.credit_balances[1],
        p_results.recorded_at[1]
    )::ledger.transfer_result
$$;

CREATE FUNCTION ledger.is_answered(p_tenant_id TEXT, p_transfer_id UUID) RETURNS BOOLEAN
LANGUAGE SQL
AS $$
    SELECT EXISTS (SELECT FROM ledger.transfers WHERE tenant_id = p_tenant_id AND transfer_id = p_transfer_id)
        OR EXISTS (SELECT FROM ledger.refusals WHERE tenant_id = p_tenant_id AND transfer_id = p_transfer_id)
$$;

-- Every column as long as the ids, every place within the accounts: what else would be a fault of the caller's program.
CREATE FUNCTION ledger.require_shape(p_batch ledger.request_batch) RETURNS VOID
LANGUAGE plpgsql
AS $$
DECLARE
    n INTEGER := CARDINALITY(p_batch.ids);
    v_accounts INTEGER := CARDINALITY(p_batch.accounts);
BEGIN
    IF n IS NULL OR n NOT BETWEEN 1 AND 8000 THEN
        RAISE EXCEPTION 'batch: 1 to 8000 requests, not %', n USING ERRCODE = '22023';
    END IF;
    IF (
        CARDINALITY(p_batch.kinds) = n AND CARDINALITY(p_batch.debits) = n AND CARDINALITY(p_batch.credits) = n
        AND CARDINALITY(p_batch.amounts) = n AND CARDINALITY(p_batch.codes) = n AND CARDINALITY(p_batch.occurred_at) = n
        AND CARDINALITY(p_batch.targets) = n AND CARDINALITY(p_batch.expiries) = n AND CARDINALITY(p_batch.flags) = n
        AND CARDINALITY(p_batch.currencies) = v_accounts
        AND 1 <= ALL(p_batch.kinds) AND 6 >= ALL(p_batch.kinds) AND 1 <= ALL(p_batch.debits) AND v_accounts >= ALL(p_batch.debits)
        AND 1 <= ALL(p_batch.credits) AND v_accounts >= ALL(p_batch.credits)
        AND (10 >= ALL(p_batch.codes) OR p_batch.codes <@ ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 90, 91, 92]::SMALLINT[])
        AND 1 <= ALL(p_batch.codes) AND 0 <= ALL(p_batch.flags) AND 5 >= ALL(p_batch.flags)
        AND ARRAY_POSITION(p_batch.ids, NULL) IS NULL AND ARRAY_POSITION(p_batch.amounts, NULL) IS NULL
        AND ARRAY_POSITION(p_batch.occurred_at, NULL) IS NULL AND ARRAY_POSITION(p_batch.accounts, NULL) IS NULL
        AND ARRAY_POSITION(p_batch.currencies, NULL) IS NULL
    ) IS NOT TRUE THEN
        RAISE EXCEPTION 'batch: columns of different lengths, a null, or a number out of its range' USING ERRCODE = '22023';
    END IF;
END
$$;

-- Pass 1: each request by itself, then chains as wholes. 0: nothing stands against it so far.
CREATE FUNCTION ledger.check_requests(p_tenant_id TEXT, p_batch ledger.request_batch, p_now TIMESTAMPTZ, p_system BOOLEAN) RETURNS SMALLINT[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_count INTEGER := CARDINALITY(p_batch.ids);
    v_kinds SMALLINT[] := p_batch.kinds;
    v_debits INTEGER[] := p_batch.debits;
    v_credits INTEGER[] := p_batch.credits;
    v_amounts BIGINT[] := p_batch.amounts;
    v_codes SMALLINT[] := p_batch.codes;
    v_targets UUID[] := p_batch.targets;
    v_expiries TIMESTAMPTZ[] := p_batch.expiries;
    v_flags SMALLINT[] := p_batch.flags;
    v_currencies TEXT[] := p_batch.currencies;
    v_ids UUID[] := p_batch.ids;
    v_results SMALLINT[] := ARRAY_FILL(0::SMALLINT, ARRAY[v_count]);
    v_kind SMALLINT;
BEGIN
    FOR i IN 1..v_count LOOP
        v_kind := v_kinds[i];
        IF v_amounts[i] <= 0 THEN
            v_results[i] := 1;
        ELSIF v_amounts[i] > 9007199254740991 THEN
            v_results[i] := 2;
        ELSIF v_debits[i] = v_credits[i] THEN
            v_results[i] := 3;
        ELSIF (v_targets[i] IS NULL) <> (v_kind <= 2) OR (v_expiries[i] IS NOT NULL AND v_kind <> 2)
            OR (v_flags[i] & 6 <> 0 AND v_kind > 2) OR (v_codes[i] >= 90) <> p_system OR (v_kind = 5) <> (v_codes[i] = 92)
            OR v_currencies[v_debits[i]] <> v_currencies[v_credits[i]] THEN
            v_results[i] := 4;
        ELSIF v_expiries[i] <= p_now THEN
            -- An id that has its answer keeps it: a late retry of a hold must not read that nothing was written.
            -- A branch of its own: within the condition above, the look-up would run as a query for every request.
            IF NOT ledger.is_answered(p_tenant_id, v_ids[i]) THEN v_results[i] := 4; END IF;
        END IF;
    END LOOP;
    IF v_flags[v_count] & 1 <> 0 AND v_results[v_count] = 0 THEN v_results[v_count] := 5; END IF;
    RETURN v_results;
END
$$;

-- The first place of the chain that each request is in, 0 outside of chains. NULL when the batch has none.
CREATE FUNCTION ledger.find_chains(p_flags SMALLINT[]) RETURNS INTEGER[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_count INTEGER := CARDINALITY(p_flags);
    v_flags SMALLINT[] := p_flags;
    v_chains INTEGER[] := ARRAY_FILL(0, ARRAY[v_count]);
    v_first INTEGER := 0;
    v_any BOOLEAN := FALSE;
BEGIN
    FOR i IN 1..v_count LOOP
        IF v_flags[i] & 1 <> 0 THEN
            IF v_first = 0 THEN v_first := i; END IF;
            v_any := TRUE;
            v_chains[i] := v_first;
        ELSE
            v_chains[i] := v_first;
            v_first := 0;
        END IF;
    END LOOP;
    RETURN CASE WHEN v_any THEN v_chains END;
END
$$;

-- A chain in which a leg failed: the first such leg keeps its code, every other answers `linked_failed`.
CREATE FUNCTION ledger.fail_chains(p_results SMALLINT[], p_chains INTEGER[]) RETURNS SMALLINT[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_results SMALLINT[] := p_results;
    v_chains INTEGER[] := p_chains;
    v_culprit INTEGER[] := ARRAY_FILL(0, ARRAY[CARDINALITY(p_results)]);
    v_all_done BOOLEAN[] := ARRAY_FILL(TRUE, ARRAY[CARDINALITY(p_results)]);
BEGIN
    FOR i IN 1..CARDINALITY(p_results) LOOP
        CONTINUE WHEN v_chains[i] = 0;
        IF v_results[i] <> 7 THEN v_all_done[v_chains[i]] := FALSE; END IF;
    END LOOP;
    FOR i IN 1..CARDINALITY(p_results) LOOP
        CONTINUE WHEN v_chains[i] = 0 OR v_all_done[v_chains[i]];
        -- A leg that was accepted without the rest is no repetition of this chain.
        IF v_results[i] = 7 THEN v_results[i] := 8; END IF;
        IF v_results[i] NOT IN (0, 6) AND v_culprit[v_chains[i]] = 0 THEN v_culprit[v_chains[i]] := i; END IF;
    END LOOP;
    FOR i IN 1..CARDINALITY(p_results) LOOP
        CONTINUE WHEN v_chains[i] = 0 OR v_culprit[v_chains[i]] IN (0, i) OR v_all_done[v_chains[i]];
        v_results[i] := 6;
    END LOOP;
    RETURN v_results;
END
$$;

CREATE FUNCTION ledger.digest_requests(p_tenant_id TEXT, p_batch ledger.request_batch, p_results SMALLINT[]) RETURNS BYTEA[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_digests BYTEA[] := ARRAY_FILL(NULL::BYTEA, ARRAY[CARDINALITY(p_results)]);
    v_ids UUID[] := p_batch.ids;
    v_kinds SMALLINT[] := p_batch.kinds;
    v_debits INTEGER[] := p_batch.debits;
    v_credits INTEGER[] := p_batch.credits;
    v_amounts BIGINT[] := p_batch.amounts;
    v_codes SMALLINT[] := p_batch.codes;
    v_targets UUID[] := p_batch.targets;
    v_expiries TIMESTAMPTZ[] := p_batch.expiries;
    v_flags SMALLINT[] := p_batch.flags;
    v_accounts TEXT[] := p_batch.accounts;
    v_currencies TEXT[] := p_batch.currencies;
BEGIN
    FOR i IN 1..CARDINALITY(p_results) LOOP
        CONTINUE WHEN p_results[i] NOT IN (0, 6);
        v_digests[i] := ledger.digest_of_transfer(
            p_tenant_id, v_ids[i], v_kinds[i], v_accounts[v_debits[i]], v_accounts[v_credits[i]], v_amounts[i], v_currencies[v_debits[i]],
            v_codes[i], v_targets[i], v_expiries[i], v_flags[i]
        );
    END LOOP;
    RETURN v_digests;
END
$$;

-- The first place of each request's (id, body); NULL when no id comes twice.
CREATE FUNCTION ledger.find_repetitions(p_ids UUID[], p_digests BYTEA[]) RETURNS INTEGER[]
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM (SELECT UNNEST(p_ids) AS id) AS asked GROUP BY id HAVING COUNT(*) > 1) THEN RETURN NULL; END IF;
    RETURN (
        SELECT ARRAY_AGG(first_place ORDER BY place) FROM (
            SELECT place, MIN(place) OVER (PARTITION BY id, digest)::INTEGER AS first_place
            FROM UNNEST(p_ids, p_digests) WITH ORDINALITY AS asked (id, digest, place)
        ) AS numbered
    );
END
$$;

-- What stands against requests without a live authorization of exactly their body: passes 2 and 3. With the stored answer of those
-- that were accepted before. `p_system`: no decision is needed, so nothing may stand against them at all.
CREATE TYPE ledger.explanation AS (
    place INTEGER,
    code SMALLINT,
    refused SMALLINT,
    amount_minor BIGINT,
    debit_version BIGINT,
    credit_version BIGINT,
    debit_balance_after_minor BIGINT,
    credit_balance_after_minor BIGINT,
    recorded_at TIMESTAMPTZ
);
CREATE FUNCTION ledger.explain_missing(
    p_tenant_id TEXT, p_batch ledger.request_batch, p_digests BYTEA[], p_places INTEGER[], p_now TIMESTAMPTZ, p_system BOOLEAN
) RETURNS SETOF ledger.explanation
LANGUAGE SQL
AS $$
    SELECT
        asked.place,
        CASE
            WHEN stored.transfer_id IS NOT NULL THEN
                CASE
                    WHEN (debits.code, debits.currency, credits.code) = (asked.debit, asked.currency, asked.credit)
                        AND (stored.kind, stored.code, stored.flags) = (asked.kind, asked.code, asked.flags)
                        AND stored.target_id IS NOT DISTINCT FROM asked.target AND stored.hold_expires_at IS NOT DISTINCT FROM asked.expiry
                        AND (stored.amount_minor = asked.amount OR (asked.flags & 6 <> 0 AND stored.amount_minor < asked.amount))
                    THEN 7 ELSE 8
                END
            WHEN refusals.transfer_id IS NOT NULL THEN CASE WHEN refusals.digest = asked.digest THEN 9 ELSE 8 END
            WHEN p_system THEN 0
            WHEN tokens.transfer_id IS NULL THEN 10
            WHEN p_now < tokens.valid_from THEN 11
            WHEN p_now >= tokens.valid_until OR clock_timestamp() - tokens.recorded_at >= tokens.valid_until - tokens.valid_from THEN 12
            WHEN tokens.digest <> asked.digest THEN 13
            -- It lives and fits: a leg that waits for what its chain says.
            ELSE 0
        END::SMALLINT,
        CASE WHEN refusals.digest = asked.digest THEN ARRAY_POSITION(ledger.result_codes(), refusals.code) END::SMALLINT,
        stored.amount_minor, stored.debit_version, stored.credit_version, stored.debit_balance_after_minor,
        stored.credit_balance_after_minor, stored.recorded_at
    FROM (
        SELECT
            place, p_batch.ids[place] AS id, p_digests[place] AS digest, p_batch.kinds[place] AS kind, p_batch.codes[place] AS code,
            p_batch.flags[place] AS flags, p_batch.amounts[place] AS amount, p_batch.targets[place] AS target,
            p_batch.expiries[place] AS expiry, p_batch.accounts[p_batch.debits[place]] AS debit,
            p_batch.accounts[p_batch.credits[place]] AS credit, p_batch.currencies[p_batch.debits[place]] AS currency
        FROM UNNEST(p_places) AS places (place)
    ) AS asked
    LEFT JOIN ledger.transfers AS stored ON stored.tenant_id = p_tenant_id AND stored.transfer_id = asked.id
    LEFT JOIN ledger.accounts AS debits ON debits.tenant_id = p_tenant_id AND debits.account = stored.debit_account
    LEFT JOIN ledger.accounts AS credits ON credits.tenant_id = p_tenant_id AND credits.account = stored.credit_account
    LEFT JOIN ledger.refusals ON refusals.tenant_id = p_tenant_id AND refusals.transfer_id = asked.id
    LEFT JOIN gate.authorizations AS tokens ON tokens.tenant_id = p_tenant_id AND tokens.transfer_id = asked.id
$$;

-- Use up the authorizations of these places; the decision of each, NULL where none fits.
CREATE FUNCTION ledger.take_authorizations(
    p_tenant_id TEXT, p_ids UUID[], p_digests BYTEA[], p_wanted BOOLEAN[], p_now TIMESTAMPTZ
) RETURNS UUID[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_decisions UUID[] := ARRAY_FILL(NULL::UUID, ARRAY[CARDINALITY(p_ids)]);
    v_taken RECORD;
BEGIN
    FOR v_taken IN
        DELETE FROM gate.authorizations AS tokens
        USING (
            SELECT id, digest, wanted, ROW_NUMBER() OVER ()::INTEGER AS place
            FROM (SELECT UNNEST(p_ids) AS id, UNNEST(p_digests) AS digest, UNNEST(p_wanted) AS wanted) AS columns
        ) AS asked
        WHERE tokens.tenant_id = p_tenant_id AND tokens.transfer_id = asked.id AND asked.wanted AND tokens.digest = asked.digest
            AND p_now >= tokens.valid_from AND p_now < tokens.valid_until
            AND clock_timestamp() - tokens.recorded_at < tokens.valid_until - tokens.valid_from
        RETURNING asked.place, tokens.decision_id
    LOOP
        v_decisions[v_taken.place] := v_taken.decision_id;
    END LOOP;
    RETURN v_decisions;
END
$$;

-- Chains of which a leg has no authorization keep those of the other legs: nothing of such a chain is used up.
CREATE FUNCTION ledger.find_covered(p_tenant_id TEXT, p_ids UUID[], p_digests BYTEA[], p_now TIMESTAMPTZ) RETURNS BOOLEAN[]
LANGUAGE SQL
AS $$
    SELECT ARRAY_AGG(tokens.transfer_id IS NOT NULL ORDER BY asked.place)
    FROM UNNEST(p_ids, p_digests) WITH ORDINALITY AS asked (id, digest, place)
    LEFT JOIN gate.authorizations AS tokens
        ON tokens.tenant_id = p_tenant_id AND tokens.transfer_id = asked.id AND tokens.digest = asked.digest
            AND p_now >= tokens.valid_from AND p_now < tokens.valid_until
            AND clock_timestamp() - tokens.recorded_at < tokens.valid_until - tokens.valid_from
$$;

RESET ROLE;
