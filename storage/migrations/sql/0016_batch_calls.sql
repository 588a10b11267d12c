-- The whole way of a batch: the four passes, then the writing; and the calls that roles may make.

SET LOCAL ROLE ledger_writer;

-- One statement a table. Only what the account pass accepted or refused is written.
CREATE FUNCTION ledger.write_played(
    p_tenant_id TEXT, p_batch ledger.request_batch, p_before ledger.account_columns, p_played ledger.played_batch, p_decisions UUID[],
    p_now TIMESTAMPTZ
) RETURNS VOID
LANGUAGE plpgsql
AS $$
DECLARE
    v_debit_ids INTEGER[] := p_batch.debits;
    v_credit_ids INTEGER[] := p_batch.credits;
    v_accounts INTEGER[] := (p_played.accounts).accounts;
    v_after ledger.account_columns := p_played.accounts;
    v_flags INTEGER[] := (p_played.accounts).flags;
    v_versions BIGINT[] := (p_played.accounts).versions;
    v_answers ledger.result_batch := p_played.answers;
BEGIN
    FOR i IN 1..CARDINALITY(v_debit_ids) LOOP
        v_debit_ids[i] := v_accounts[v_debit_ids[i]];
        v_credit_ids[i] := v_accounts[v_credit_ids[i]];
    END LOOP;
    UPDATE ledger.accounts SET
        debits_posted_minor = after.debits, credits_posted_minor = after.credits, debits_pending_minor = after.held_debits,
        credits_pending_minor = after.held_credits, version = after.version
    FROM (
        SELECT
            UNNEST(v_after.rows) AS id, UNNEST(v_after.accounts) AS account, UNNEST(v_after.debits) AS debits,
            UNNEST(v_after.credits) AS credits, UNNEST(v_after.held_debits) AS held_debits, UNNEST(v_after.held_credits) AS held_credits,
            UNNEST(v_after.versions) AS version, UNNEST(p_before.versions) AS version_before
    ) AS after
    -- Without another look-up by key: whoever holds a row's lock knows where it stands.
    WHERE accounts.ctid = after.id AND accounts.tenant_id = p_tenant_id AND accounts.account = after.account
        AND after.version <> after.version_before;
    FOR i IN 1..CARDINALITY(v_after.accounts) LOOP
        CONTINUE WHEN v_flags[i] & 16 = 0 OR v_versions[i] = 0;
        INSERT INTO ledger.tails VALUES (
            p_tenant_id, v_accounts[i], v_after.debits[i], v_after.credits[i], v_after.held_debits[i], v_after.held_credits[i], v_versions[i]
        );
    END LOOP;
    INSERT INTO ledger.transfers (
        tenant_id, transfer_id, decision_id, target_id, debit_account, credit_account, amount_minor, debit_version, credit_version,
        debit_balance_after_minor, credit_balance_after_minor, occurred_at, recorded_at, hold_expires_at, kind, code, flags
    )
    SELECT
        p_tenant_id, id, decision_id, target_id, debit, credit, amount, debit_version, credit_version, debit_balance, credit_balance,
        occurred_at, p_now, expiry, kind, code, flags
    FROM (
        SELECT
            UNNEST(p_batch.ids) AS id, UNNEST(p_decisions) AS decision_id, UNNEST(p_batch.targets) AS target_id,
            UNNEST(v_debit_ids) AS debit, UNNEST(v_credit_ids) AS credit, UNNEST(v_answers.amounts) AS amount,
            UNNEST(v_answers.debit_versions) AS debit_version, UNNEST(v_answers.credit_versions) AS credit_version,
            UNNEST(v_answers.debit_balances) AS debit_balance, UNNEST(v_answers.credit_balances) AS credit_balance,
            UNNEST(p_batch.occurred_at) AS occurred_at, UNNEST(p_batch.expiries) AS expiry, UNNEST(p_batch.kinds) AS kind,
            UNNEST(p_batch.codes) AS code, UNNEST(p_batch.flags) AS flags, UNNEST(v_answers.codes) AS result
    ) AS made
    WHERE result = 29;
    INSERT INTO core.events_unsequenced (tenant_id, event_id)
    SELECT p_tenant_id, id FROM (SELECT UNNEST(p_batch.ids) AS id, UNNEST(v_answers.codes) AS result) AS made WHERE result = 29;
END
$$;

-- Holds and reversals; only for batches that have such kinds.
CREATE FUNCTION ledger.write_targets(p_tenant_id TEXT, p_batch ledger.request_batch, p_answers ledger.result_batch, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO ledger.holds (tenant_id, transfer_id, amount_minor, expires_at, opened_at)
    SELECT p_tenant_id, id, amount, expiry, p_now
    FROM UNNEST(p_batch.ids, p_answers.amounts, p_batch.expiries, p_batch.kinds, p_answers.codes) AS made (id, amount, expiry, kind, result)
    WHERE result = 29 AND kind = 2;
    UPDATE ledger.holds SET
        state = CASE made.kind WHEN 3 THEN 'posted' WHEN 4 THEN 'voided' ELSE 'expired' END,
        posted_minor = CASE made.kind WHEN 3 THEN made.amount ELSE 0 END, resolved_by = made.id, resolved_at = p_now
    FROM UNNEST(p_batch.ids, p_batch.targets, p_answers.amounts, p_batch.kinds, p_answers.codes) AS made (id, target, amount, kind, result)
    WHERE holds.tenant_id = p_tenant_id AND holds.transfer_id = made.target AND made.result = 29 AND made.kind BETWEEN 3 AND 5;
    INSERT INTO ledger.reversals (tenant_id, transfer_id, amount_minor, reversed_minor)
    SELECT p_tenant_id, made.target, transfers.amount_minor, SUM(made.amount)
    FROM UNNEST(p_batch.targets, p_answers.amounts, p_batch.kinds, p_answers.codes) AS made (target, amount, kind, result)
    INNER JOIN ledger.transfers ON transfers.tenant_id = p_tenant_id AND transfers.transfer_id = made.target
    WHERE made.result = 29 AND made.kind = 6
    GROUP BY made.target, transfers.amount_minor
    ON CONFLICT (tenant_id, transfer_id) DO UPDATE SET reversed_minor = reversals.reversed_minor + excluded.reversed_minor;
END
$$;

-- Passes 2 and 3. Returns the codes with those of the two passes, and the stored answers of what was accepted before.
CREATE TYPE ledger.admission AS (
    answers ledger.result_batch,
    decisions UUID []
);
CREATE FUNCTION ledger.admit(
    p_tenant_id TEXT, p_batch ledger.request_batch, p_results SMALLINT[], p_chains INTEGER[], p_digests BYTEA[], p_repetitions INTEGER[],
    p_now TIMESTAMPTZ, p_system BOOLEAN
) RETURNS ledger.admission
LANGUAGE plpgsql
AS $$
DECLARE
    n INTEGER := CARDINALITY(p_results);
    res SMALLINT[] := p_results;
    v_wanted BOOLEAN[] := ARRAY_FILL(FALSE, ARRAY[n]);
    v_covered BOOLEAN[];
    v_twice BOOLEAN[];
    v_decisions UUID[] := ARRAY_FILL(NULL::UUID, ARRAY[n]);
    v_missing INTEGER[];
    v_later SMALLINT[] := ARRAY_FILL(0::SMALLINT, ARRAY[n]);
    v_answers ledger.result_batch;
    refused SMALLINT[]; amounts BIGINT[]; dv BIGINT[]; cv BIGINT[]; da BIGINT[]; ca BIGINT[]; times TIMESTAMPTZ[];
    v_told ledger.explanation;
BEGIN
    IF p_chains IS NOT NULL AND NOT p_system THEN
        v_covered := ledger.find_covered(p_tenant_id, p_batch.ids, p_digests, p_now);
        IF p_repetitions IS NOT NULL THEN
            -- An id stands once in a chain; `write_batch` sees to it that this batch is one chain then.
            v_twice := ledger.find_second_places(p_batch.ids);
            v_covered := ARRAY_FILL(FALSE, ARRAY[n]);
        END IF;
        v_covered := ledger.cover_chains(v_covered, p_chains, res);
    END IF;
    FOR i IN 1..n LOOP
        v_wanted[i] := res[i] = 0 AND (p_repetitions IS NULL OR p_repetitions[i] = i) AND (v_covered IS NULL OR v_covered[i]);
    END LOOP;
    IF NOT p_system THEN
        v_decisions := ledger.take_authorizations(p_tenant_id, p_batch.ids, p_digests, v_wanted, p_now);
    END IF;
    IF p_repetitions IS NOT NULL THEN
        res := ledger.answer_repetitions(p_batch.ids, res, p_repetitions, v_decisions);
    END IF;
    FOR i IN 1..n LOOP
        IF res[i] = 0 AND v_decisions[i] IS NULL THEN v_missing := v_missing || i; END IF;
    END LOOP;
    IF CARDINALITY(v_missing) > 0 THEN
        refused := ARRAY_FILL(NULL::SMALLINT, ARRAY[n]); amounts := ARRAY_FILL(NULL::BIGINT, ARRAY[n]);
        dv := amounts; cv := amounts; da := amounts; ca := amounts; times := ARRAY_FILL(NULL::TIMESTAMPTZ, ARRAY[n]);
        FOR v_told IN SELECT * FROM ledger.explain_missing(p_tenant_id, p_batch, p_digests, v_missing, p_now, p_system) LOOP
            IF v_twice[v_told.place] THEN v_told.code := 8; END IF;
            IF v_told.code < 10 THEN res[v_told.place] := v_told.code; ELSE v_later[v_told.place] := v_told.code; END IF;
            refused[v_told.place] := v_told.refused;
            IF v_told.code = 7 THEN
                amounts[v_told.place] := v_told.amount_minor; times[v_told.place] := v_told.recorded_at;
                dv[v_told.place] := v_told.debit_version; cv[v_told.place] := v_told.credit_version;
                da[v_told.place] := v_told.debit_balance_after_minor; ca[v_told.place] := v_told.credit_balance_after_minor;
            END IF;
        END LOOP;
        v_answers := ROW(NULL, refused, NULL, amounts, dv, cv, da, ca, times)::ledger.result_batch;
        IF p_chains IS NOT NULL THEN res := ledger.fail_chains(res, p_chains); END IF;
        FOR i IN 1..n LOOP
            IF res[i] = 0 THEN res[i] := v_later[i]; END IF;
        END LOOP;
        IF p_chains IS NOT NULL THEN res := ledger.fail_chains(res, p_chains); END IF;
        FOR i IN 1..n LOOP
            IF res[i] = 0 AND v_decisions[i] IS NULL AND NOT p_system THEN res[i] := 10; END IF;
        END LOOP;
    END IF;
    v_answers.codes := res;
    RETURN ROW(v_answers, v_decisions)::ledger.admission;
END
$$;

CREATE FUNCTION ledger.find_second_places(p_ids UUID[]) RETURNS BOOLEAN[]
LANGUAGE SQL
AS $$
    SELECT ARRAY_AGG(place > first_place ORDER BY place)
    FROM (
        SELECT place, MIN(place) OVER (PARTITION BY id) AS first_place FROM UNNEST(p_ids) WITH ORDINALITY AS asked (id, place)
    ) AS numbered
$$;

-- Which requests may use their authorization up: in a chain, none or all.
CREATE FUNCTION ledger.cover_chains(p_covered BOOLEAN[], p_chains INTEGER[], p_results SMALLINT[]) RETURNS BOOLEAN[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_covered BOOLEAN[] := p_covered;
    v_whole BOOLEAN[] := ARRAY_FILL(TRUE, ARRAY[CARDINALITY(p_covered)]);
BEGIN
    FOR i IN 1..CARDINALITY(p_covered) LOOP
        IF p_chains[i] > 0 AND NOT (p_covered[i] AND p_results[i] = 0) THEN v_whole[p_chains[i]] := FALSE; END IF;
    END LOOP;
    FOR i IN 1..CARDINALITY(p_covered) LOOP
        IF p_chains[i] > 0 THEN v_covered[i] := v_whole[p_chains[i]]; END IF;
    END LOOP;
    RETURN v_covered;
END
$$;

-- Requests that share an id with one of this batch that has its decision: another body is a conflict behind it and a mismatch before
-- it; the same body waits for that one's answer (-1).
CREATE FUNCTION ledger.answer_repetitions(p_ids UUID[], p_results SMALLINT[], p_repetitions INTEGER[], p_decisions UUID[]) RETURNS SMALLINT[]
LANGUAGE SQL
AS $$
    SELECT ARRAY_AGG(
        CASE
            WHEN result <> 0 OR winner IS NULL OR winner = place THEN result
            WHEN first_place = winner THEN -1
            WHEN place > winner THEN 8
            ELSE 13
        END::SMALLINT ORDER BY place
    )
    FROM (
        SELECT place, result, first_place, MIN(place) FILTER (WHERE decision_id IS NOT NULL) OVER (PARTITION BY id) AS winner
        FROM UNNEST(p_ids, p_results, p_repetitions, p_decisions) WITH ORDINALITY AS asked (id, result, first_place, decision_id, place)
    ) AS numbered
$$;

-- Copy the answers of pass 2 and the account pass into one, and those of repetitions from the request that they repeat.
CREATE FUNCTION ledger.merge_answers(p_ids UUID[], p_stored ledger.result_batch, p_played ledger.result_batch, p_repetitions INTEGER[], p_now TIMESTAMPTZ)
RETURNS ledger.result_batch
LANGUAGE plpgsql
AS $$
DECLARE
    n INTEGER := CARDINALITY(p_ids);
    codes SMALLINT[] := p_played.codes;
    refused SMALLINT[] := COALESCE(p_stored.refused, ARRAY_FILL(NULL::SMALLINT, ARRAY[n]));
    amounts BIGINT[] := p_played.amounts; dv BIGINT[] := p_played.debit_versions; cv BIGINT[] := p_played.credit_versions;
    da BIGINT[] := p_played.debit_balances; ca BIGINT[] := p_played.credit_balances;
    times TIMESTAMPTZ[] := ARRAY_FILL(p_now, ARRAY[n]);
    k INTEGER;
BEGIN
    FOR i IN 1..n LOOP
        CONTINUE WHEN codes[i] = 29;
        times[i] := NULL; amounts[i] := NULL;
        IF codes[i] <> 9 THEN refused[i] := NULL; END IF;
        IF codes[i] = 7 THEN
            times[i] := p_stored.recorded_at[i]; amounts[i] := p_stored.amounts[i];
            dv[i] := p_stored.debit_versions[i]; cv[i] := p_stored.credit_versions[i];
            da[i] := p_stored.debit_balances[i]; ca[i] := p_stored.credit_balances[i];
        ELSIF codes[i] = -1 THEN
            k := p_repetitions[i];
            IF codes[k] = 29 THEN
                codes[i] := 7; times[i] := p_now; amounts[i] := amounts[k]; dv[i] := dv[k]; cv[i] := cv[k]; da[i] := da[k]; ca[i] := ca[k];
            ELSE
                codes[i] := 9; refused[i] := codes[k];
            END IF;
        END IF;
    END LOOP;
    RETURN ROW(codes, refused, p_ids, amounts, dv, cv, da, ca, times)::ledger.result_batch;
END
$$;

-- One request or one chain after the other: for batches whose repetitions meet chains, targets or system kinds.
CREATE FUNCTION ledger.write_units(p_tenant_id TEXT, p_batch ledger.request_batch, p_chains INTEGER[], p_now TIMESTAMPTZ, p_system BOOLEAN)
RETURNS ledger.result_batch
LANGUAGE plpgsql
AS $$
DECLARE
    n INTEGER := CARDINALITY(p_batch.ids);
    v_all ledger.result_batch;
    v_part ledger.result_batch;
    i INTEGER := 1;
    j INTEGER;
BEGIN
    -- All locks first and in their order, as if it were one unit: two such batches must not wait for each other.
    PERFORM ledger.lock_accounts(p_tenant_id, p_batch.accounts, p_batch.currencies);
    WHILE i <= n LOOP
        j := i;
        WHILE j < n AND p_chains IS NOT NULL AND p_chains[i] > 0 AND p_chains[j + 1] = p_chains[i] LOOP j := j + 1; END LOOP;
        v_part := ledger.write_batch(p_tenant_id, ROW(
            p_batch.ids[i:j], p_batch.kinds[i:j], p_batch.debits[i:j], p_batch.credits[i:j], p_batch.amounts[i:j], p_batch.codes[i:j],
            p_batch.occurred_at[i:j], p_batch.targets[i:j], p_batch.expiries[i:j], p_batch.flags[i:j], p_batch.accounts, p_batch.currencies
        )::ledger.request_batch, p_now, p_system);
        v_all := ROW(
            v_all.codes || v_part.codes, v_all.refused || v_part.refused, v_all.ids || v_part.ids, v_all.amounts || v_part.amounts,
            v_all.debit_versions || v_part.debit_versions, v_all.credit_versions || v_part.credit_versions,
            v_all.debit_balances || v_part.debit_balances, v_all.credit_balances || v_part.credit_balances,
            v_all.recorded_at || v_part.recorded_at
        )::ledger.result_batch;
        i := j + 1;
    END LOOP;
    RETURN v_all;
END
$$;

-- `p_system`: the ledger's own kinds (opening balance, import, expiry), which need no decision and are not remembered when refused.
CREATE FUNCTION ledger.write_batch(p_tenant_id TEXT, p_batch ledger.request_batch, p_now TIMESTAMPTZ, p_system BOOLEAN) RETURNS ledger.result_batch
LANGUAGE plpgsql
-- Look-ups by key and nothing else, whatever the statistics say.
SET plan_cache_mode = 'force_generic_plan'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_chains INTEGER[] := ledger.find_chains(p_batch.flags);
    v_results SMALLINT[] := ledger.check_requests(p_tenant_id, p_batch, p_now, p_system);
    v_has_targets BOOLEAN := 1 <> ANY(p_batch.kinds);
    v_digests BYTEA[];
    v_repetitions INTEGER[];
    v_accounts ledger.account_columns;
    v_targets ledger.target_columns;
    v_admission ledger.admission;
    v_played ledger.played_batch;
    v_answers ledger.result_batch;
BEGIN
    IF v_chains IS NOT NULL THEN v_results := ledger.fail_chains(v_results, v_chains); END IF;
    v_digests := ledger.digest_requests(p_tenant_id, p_batch, v_results);
    v_repetitions := ledger.find_repetitions(p_batch.ids, v_digests);
    -- Locks in one order for everyone: reversals, accounts by code, then authorizations, then holds. Two rolled-up accounts have no
    -- lock in common that would make one reversal between them see the other.
    IF 6 = ANY(p_batch.kinds) THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('ledger.reversals|' || p_tenant_id, 0));
    END IF;
    IF v_repetitions IS NOT NULL AND (v_chains IS NOT NULL OR v_has_targets OR p_system)
        AND COALESCE(v_chains[CARDINALITY(v_chains)] <> 1, TRUE) THEN
        RETURN ledger.write_units(p_tenant_id, p_batch, v_chains, p_now, p_system);
    END IF;
    v_accounts := ledger.lock_accounts(p_tenant_id, p_batch.accounts, p_batch.currencies);
    v_admission := ledger.admit(p_tenant_id, p_batch, v_results, v_chains, v_digests, v_repetitions, p_now, p_system);
    v_results := (v_admission.answers).codes;
    IF v_has_targets THEN v_targets := ledger.find_targets(p_tenant_id, p_batch.ids, p_batch.targets); END IF;
    v_played := ledger.play_batch(p_batch, v_results, v_chains, v_accounts, v_targets, p_now);
    PERFORM ledger.write_played(p_tenant_id, p_batch, v_accounts, v_played, v_admission.decisions, p_now);
    IF v_has_targets THEN PERFORM ledger.write_targets(p_tenant_id, p_batch, v_played.answers, p_now); END IF;
    IF NOT p_system THEN
        INSERT INTO ledger.refusals (tenant_id, transfer_id, decision_id, code, digest, refused_at)
        SELECT p_tenant_id, id, decision_id, (ledger.result_codes())[result], digest, p_now
        FROM (
            SELECT
                UNNEST(p_batch.ids) AS id, UNNEST(v_admission.decisions) AS decision_id, UNNEST((v_played.answers).codes) AS result,
                UNNEST(v_results) AS admitted, UNNEST(v_digests) AS digest
        ) AS made
        WHERE admitted = 0 AND result <> 29;
    END IF;
    v_answers := v_played.answers;
    RETURN ledger.merge_answers(p_batch.ids, v_admission.answers, v_answers, v_repetitions, p_now);
END
$$;

-- Up to 8,000 requests, each under a decision. `p_writer_epoch`: of the batching writer that calls, refused when another took over.
-- In the answer a column is NULL as a whole where no row has a value, and the times also where each is NULL or `p_now`.
CREATE FUNCTION ledger.post_many(p_batch ledger.request_batch, p_now TIMESTAMPTZ, p_writer_epoch BIGINT DEFAULT NULL) RETURNS ledger.result_batch
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_answers ledger.result_batch;
BEGIN
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    PERFORM ledger.require_shape(p_batch);
    IF p_writer_epoch IS NOT NULL THEN
        PERFORM FROM ledger.writer_epochs WHERE tenant_id = v_tenant_id AND epoch = p_writer_epoch FOR SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'writer of epoch %: another one took over', p_writer_epoch USING ERRCODE = '55000';
        END IF;
    END IF;
    v_answers := ledger.write_batch(v_tenant_id, p_batch, p_now, FALSE);
    -- 7: a repetition within the batch has the time of the row that it repeats.
    IF 7 <> ALL(v_answers.codes) AND CARDINALITY(ARRAY_REMOVE(ARRAY_REMOVE(v_answers.recorded_at, p_now), NULL)) = 0 THEN
        v_answers.recorded_at := NULL;
    END IF;
    IF CARDINALITY(ARRAY_REMOVE(v_answers.refused, NULL)) = 0 THEN v_answers.refused := NULL; END IF;
    RETURN v_answers;
END
$$;

GRANT EXECUTE ON FUNCTION ledger.post_many(ledger.request_batch, TIMESTAMPTZ, BIGINT) TO executor;

-- Become the one batching writer of the tenant: waits for a batch in flight, then its writer is refused.
CREATE FUNCTION ledger.claim_writer(p_now TIMESTAMPTZ) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_epoch BIGINT;
BEGIN
    PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);
    INSERT INTO ledger.writer_epochs AS epochs (tenant_id, epoch, claimed_at) VALUES (v_tenant_id, 1, p_now)
    ON CONFLICT (tenant_id) DO UPDATE SET epoch = epochs.epoch + 1, claimed_at = excluded.claimed_at
    RETURNING epoch INTO v_epoch;
    RETURN v_epoch;
END
$$;
GRANT EXECUTE ON FUNCTION ledger.claim_writer(TIMESTAMPTZ) TO executor;

RESET ROLE;
