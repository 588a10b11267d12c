-- The account pass of a batch: play the requests on the locked accounts in memory, then write what came of them.

SET LOCAL ROLE ledger_writer;

-- What the accounts hold, by place in the batch; `rows`: where a locked row stands till the transaction ends. sums and versions of rolled-up accounts start at 0 and are what is added.
-- `flags`: 1 debits within credits, 2 credits within debits, 4 closed, 8 stopped, 16 rolled up; NULL where there is no account.
CREATE TYPE ledger.account_columns AS (
    rows TID [],
    accounts INTEGER [],
    flags INTEGER [],
    debits BIGINT [],
    credits BIGINT [],
    held_debits BIGINT [],
    held_credits BIGINT [],
    versions BIGINT []
);

CREATE FUNCTION ledger.lock_accounts(p_tenant_id TEXT, p_codes TEXT[], p_currencies TEXT[]) RETURNS ledger.account_columns
LANGUAGE plpgsql
AS $$
DECLARE
    n INTEGER := CARDINALITY(p_codes);
    tids TID[] := ARRAY_FILL(NULL::TID, ARRAY[n]); ids INTEGER[] := ARRAY_FILL(NULL::INTEGER, ARRAY[n]); flags INTEGER[] := ids;
    db BIGINT[] := ARRAY_FILL(0::BIGINT, ARRAY[n]); cr BIGINT[] := db; hd BIGINT[] := db; hc BIGINT[] := db; ver BIGINT[] := db;
    v_row RECORD;
    v_last INTEGER := 0;
    k INTEGER;
BEGIN
    -- The rows come as they are once the lock is held, whatever the snapshot saw: READ COMMITTED reads the newest version then.
    FOR v_row IN
        SELECT
            asked.place, accounts.ctid, accounts.account, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor, version,
            debits_must_not_exceed_credits::INTEGER + credits_must_not_exceed_debits::INTEGER * 2 + closed::INTEGER * 4
            + stopped::INTEGER * 8 AS flags
        FROM (
            SELECT code, currency, ROW_NUMBER() OVER ()::INTEGER AS place
            FROM (SELECT UNNEST(p_codes) AS code, UNNEST(p_currencies) AS currency) AS columns
        ) AS asked
        INNER JOIN ledger.accounts
            ON accounts.tenant_id = p_tenant_id AND accounts.code = asked.code AND accounts.currency = asked.currency
                AND NOT accounts.rolled_up
        ORDER BY accounts.code, accounts.currency
        FOR NO KEY UPDATE OF accounts
    LOOP
        IF v_row.account = v_last THEN
            RAISE EXCEPTION 'batch: account % twice among its accounts', p_codes[v_row.place] USING ERRCODE = '22023';
        END IF;
        v_last := v_row.account;
        k := v_row.place; tids[k] := v_row.ctid; ids[k] := v_row.account; flags[k] := v_row.flags; db[k] := v_row.debits_posted_minor;
        cr[k] := v_row.credits_posted_minor; hd[k] := v_row.debits_pending_minor; hc[k] := v_row.credits_pending_minor;
        ver[k] := v_row.version;
    END LOOP;
    FOR i IN 1..n LOOP
        CONTINUE WHEN ids[i] IS NOT NULL;
        SELECT account, closed::INTEGER * 4 + stopped::INTEGER * 8 + 16 AS flags INTO v_row FROM ledger.accounts
        WHERE tenant_id = p_tenant_id AND code = p_codes[i] AND currency = p_currencies[i] AND rolled_up;
        ids[i] := v_row.account; flags[i] := v_row.flags;
    END LOOP;
    RETURN ROW(tids, ids, flags, db, cr, hd, hc, ver)::ledger.account_columns;
END
$$;

-- The transfers that requests name, as far as they stood before the batch; locked, so that a hold is resolved once.
-- `sources`: the place of an earlier request of this batch with the named id. `slots`: places in the other columns.
CREATE TYPE ledger.target_columns AS (
    slots INTEGER [],
    sources INTEGER [],
    ids UUID [],
    kinds SMALLINT [],
    states SMALLINT [],
    amounts BIGINT [],
    reversed BIGINT [],
    debits INTEGER [],
    credits INTEGER [],
    expiries TIMESTAMPTZ []
);

CREATE FUNCTION ledger.find_targets(p_tenant_id TEXT, p_ids UUID[], p_targets UUID[]) RETURNS ledger.target_columns
LANGUAGE plpgsql
AS $$
DECLARE
    v_found ledger.target_columns;
BEGIN
    PERFORM FROM ledger.holds WHERE tenant_id = p_tenant_id AND transfer_id = ANY(p_targets) ORDER BY transfer_id FOR NO KEY UPDATE;
    WITH named AS MATERIALIZED (
        SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS slot
        FROM (SELECT DISTINCT id FROM UNNEST(p_targets) AS asked (id) WHERE id IS NOT NULL) AS ids
    )
    SELECT
        ARRAY_AGG(named.id ORDER BY slot), ARRAY_AGG(transfers.kind ORDER BY slot),
        ARRAY_AGG(CASE holds.state WHEN 'posted' THEN 1 WHEN 'voided' THEN 2 WHEN 'expired' THEN 3 ELSE 0 END::SMALLINT ORDER BY slot),
        ARRAY_AGG(transfers.amount_minor ORDER BY slot), ARRAY_AGG(COALESCE(reversals.reversed_minor, 0) ORDER BY slot),
        ARRAY_AGG(transfers.debit_account ORDER BY slot), ARRAY_AGG(transfers.credit_account ORDER BY slot),
        ARRAY_AGG(holds.expires_at ORDER BY slot)
    INTO v_found.ids, v_found.kinds, v_found.states, v_found.amounts, v_found.reversed, v_found.debits, v_found.credits, v_found.expiries
    FROM named
    LEFT JOIN ledger.transfers ON transfers.tenant_id = p_tenant_id AND transfers.transfer_id = named.id
    LEFT JOIN ledger.holds ON holds.tenant_id = p_tenant_id AND holds.transfer_id = named.id
    LEFT JOIN ledger.reversals ON reversals.tenant_id = p_tenant_id AND reversals.transfer_id = named.id;
    -- By sorting once instead of joining the batch with itself: the planner takes an array for ten rows.
    SELECT ARRAY_AGG(slot ORDER BY place), ARRAY_AGG(source ORDER BY place) INTO v_found.slots, v_found.sources
    FROM (
        SELECT
            place, asked_for, MIN(place) FILTER (WHERE NOT asked_for) OVER (PARTITION BY id)::INTEGER AS source,
            CASE WHEN id IS NOT NULL THEN DENSE_RANK() OVER (ORDER BY CASE WHEN asked_for THEN id END) END::INTEGER AS slot
        FROM (
            SELECT id, place, FALSE AS asked_for FROM UNNEST(p_ids) WITH ORDINALITY AS asked (id, place)
            UNION ALL
            SELECT id, place, TRUE FROM UNNEST(p_targets) WITH ORDINALITY AS asked (id, place)
        ) AS both_lists
    ) AS numbered
    WHERE asked_for;
    RETURN v_found;
END
$$;

-- Where each request's own id stands among the targets, 0 when no later request names it.
CREATE FUNCTION ledger.find_source_slots(p_count INTEGER, p_slots INTEGER[], p_sources INTEGER[]) RETURNS INTEGER[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_slots INTEGER[] := ARRAY_FILL(0, ARRAY[p_count]);
BEGIN
    FOR i IN 1..COALESCE(CARDINALITY(p_sources), 0) LOOP
        CONTINUE WHEN p_sources[i] IS NULL;
        v_slots[p_sources[i]] := p_slots[i];
    END LOOP;
    RETURN v_slots;
END
$$;

-- What stood before each leg of the open chain.
CREATE TYPE ledger.undo_columns AS (db BIGINT [], hd BIGINT [], cr BIGINT [], hc BIGINT [], slots INTEGER []);

-- What the account pass leaves: the accounts and targets as they then are, and the answers.
CREATE TYPE ledger.played_batch AS (
    accounts ledger.account_columns,
    targets ledger.target_columns,
    answers ledger.result_batch
);

-- Play authorized requests in their order. It reads its arguments alone.
CREATE FUNCTION ledger.play_batch(
    p_batch ledger.request_batch, p_results SMALLINT[], p_chains INTEGER[], p_accounts ledger.account_columns,
    p_targets ledger.target_columns, p_now TIMESTAMPTZ
) RETURNS ledger.played_batch
LANGUAGE plpgsql
AS $$
DECLARE
    n INTEGER := CARDINALITY(p_results);
    kinds SMALLINT[] := p_batch.kinds; ds INTEGER[] := p_batch.debits; cs INTEGER[] := p_batch.credits;
    amounts BIGINT[] := p_batch.amounts; row_flags SMALLINT[] := p_batch.flags; expiries TIMESTAMPTZ[] := p_batch.expiries;
    ids INTEGER[] := p_accounts.accounts; flags INTEGER[] := p_accounts.flags;
    db BIGINT[] := p_accounts.debits; cr BIGINT[] := p_accounts.credits;
    hd BIGINT[] := p_accounts.held_debits; hc BIGINT[] := p_accounts.held_credits; ver BIGINT[] := p_accounts.versions;
    slots INTEGER[] := p_targets.slots; t_kinds SMALLINT[] := p_targets.kinds; t_states SMALLINT[] := p_targets.states;
    t_amounts BIGINT[] := p_targets.amounts; t_reversed BIGINT[] := p_targets.reversed; t_debits INTEGER[] := p_targets.debits;
    t_credits INTEGER[] := p_targets.credits; t_expiries TIMESTAMPTZ[] := p_targets.expiries;
    source_slots INTEGER[] := ledger.find_source_slots(n, p_targets.slots, p_targets.sources);
    res SMALLINT[] := p_results; dv BIGINT[] := ARRAY_FILL(NULL::BIGINT, ARRAY[n]); cv BIGINT[] := dv; da BIGINT[] := dv; ca BIGINT[] := dv;
    undo ledger.undo_columns; failed_chain INTEGER := 0;
    kind INTEGER; d INTEGER; c INTEGER; fd INTEGER; fc INTEGER; amt BIGINT; slot INTEGER; held BIGINT; b BIGINT; code INTEGER;
BEGIN
    FOR i IN 1..n LOOP
        CONTINUE WHEN res[i] <> 0;
        kind := kinds[i]; d := ds[i]; c := cs[i]; fd := flags[d]; fc := flags[c]; amt := amounts[i]; code := 0; slot := 0; held := 0;
        IF p_chains IS NOT NULL AND p_chains[i] > 0 THEN
            IF p_chains[i] = failed_chain THEN res[i] := 6; CONTINUE; END IF;
            IF p_chains[i] = i THEN undo := NULL; END IF;
        END IF;
        -- The order of these branches is the precedence of the codes.
        IF fd IS NULL THEN code := 14;
        ELSIF fc IS NULL THEN code := 15;
        ELSIF (fd | fc) & 4 <> 0 AND kind NOT IN (4, 5) THEN code := 16;
        ELSIF (fd | fc) & 8 <> 0 AND kind NOT IN (4, 5) THEN code := 17;
        ELSIF kind > 2 THEN
            slot := slots[i];
            IF t_kinds[slot] IS NULL THEN code := 18;
            ELSIF kind = 6 THEN
                IF t_kinds[slot] NOT IN (1, 3) THEN code := 19;
                ELSIF t_debits[slot] <> ids[c] OR t_credits[slot] <> ids[d] THEN code := 20;
                ELSIF amt > t_amounts[slot] - t_reversed[slot] THEN code := 25;
                END IF;
            ELSE
                held := t_amounts[slot];
                IF t_kinds[slot] <> 2 THEN code := 19;
                ELSIF t_debits[slot] <> ids[d] OR t_credits[slot] <> ids[c] OR (kind <> 3 AND amt <> held)
                    OR (kind = 5 AND COALESCE(t_expiries[slot] > p_now, TRUE)) THEN code := 20;
                ELSIF t_states[slot] <> 0 THEN code := 20 + t_states[slot];
                ELSIF kind <> 5 AND t_expiries[slot] <= p_now THEN code := 23;
                ELSIF amt > held THEN code := 24;
                END IF;
            END IF;
        ELSIF row_flags[i] & 6 <> 0 THEN
            IF row_flags[i] & 2 <> 0 AND fd & 1 <> 0 THEN amt := LEAST(amt, cr[d] - db[d] - hd[d]); END IF;
            IF row_flags[i] & 4 <> 0 AND fc & 2 <> 0 THEN amt := LEAST(amt, db[c] - cr[c] - hc[c]); END IF;
            IF amt <= 0 THEN code := 26; END IF;
        END IF;
        IF code = 0 AND kind NOT IN (4, 5) THEN
            IF kind <> 3 AND ((fd & 1 <> 0 AND db[d] + hd[d] + amt > cr[d]) OR (fc & 2 <> 0 AND cr[c] + hc[c] + amt > db[c])) THEN
                code := 27;
            -- A rolled-up account starts from 0 here and has no bound: what it answers may not depend on how much comes in one call.
            ELSIF (fd & 16 = 0 AND (db[d] > 9007199254740991 - amt OR (kind = 2 AND db[d] + hd[d] > 9007199254740991 - amt)))
                OR (fc & 16 = 0 AND (cr[c] > 9007199254740991 - amt OR (kind = 2 AND cr[c] + hc[c] > 9007199254740991 - amt))) THEN
                code := 28;
            END IF;
        END IF;
        IF code <> 0 THEN
            res[i] := code;
            IF p_chains IS NOT NULL AND p_chains[i] > 0 THEN
                failed_chain := p_chains[i];
                FOR k IN REVERSE i - 1..failed_chain LOOP
                    res[k] := 6; d := ds[k]; c := cs[k]; b := k - failed_chain + 1;
                    db[d] := undo.db[b]; hd[d] := undo.hd[b]; cr[c] := undo.cr[b]; hc[c] := undo.hc[b];
                    ver[d] := ver[d] - 1; ver[c] := ver[c] - 1; dv[k] := NULL; cv[k] := NULL; da[k] := NULL; ca[k] := NULL;
                    IF undo.slots[b] > 0 THEN
                        t_states[undo.slots[b]] := 0;
                        IF kinds[k] = 6 THEN t_reversed[undo.slots[b]] := t_reversed[undo.slots[b]] - amounts[k]; END IF;
                    END IF;
                    IF source_slots[k] > 0 THEN t_kinds[source_slots[k]] := NULL; END IF;
                    amounts[k] := p_batch.amounts[k];
                END LOOP;
            END IF;
            CONTINUE;
        END IF;
        IF p_chains IS NOT NULL AND p_chains[i] > 0 THEN
            undo.db := undo.db || db[d]; undo.hd := undo.hd || hd[d]; undo.cr := undo.cr || cr[c]; undo.hc := undo.hc || hc[c];
            undo.slots := undo.slots || slot;
        END IF;
        IF kind = 2 THEN
            hd[d] := hd[d] + amt; hc[c] := hc[c] + amt;
        ELSE
            IF kind BETWEEN 3 AND 5 THEN
                hd[d] := hd[d] - held; hc[c] := hc[c] - held; t_states[slot] := kind - 2;
            END IF;
            IF kind NOT IN (4, 5) THEN
                b := db[d] + amt; db[d] := b; b := cr[c] + amt; cr[c] := b;
            END IF;
            IF kind = 6 THEN t_reversed[slot] := t_reversed[slot] + amt; END IF;
        END IF;
        amounts[i] := amt;
        b := ver[d] + 1; ver[d] := b;
        IF fd & 16 = 0 THEN dv[i] := b; da[i] := cr[d] - db[d]; ELSE dv[i] := nextval('ledger.entry_order'); END IF;
        b := ver[c] + 1; ver[c] := b;
        IF fc & 16 = 0 THEN cv[i] := b; ca[i] := cr[c] - db[c]; ELSE cv[i] := nextval('ledger.entry_order'); END IF;
        IF source_slots[i] > 0 THEN
            slot := source_slots[i];
            t_kinds[slot] := kind; t_states[slot] := 0; t_amounts[slot] := amt; t_reversed[slot] := 0;
            t_debits[slot] := ids[d]; t_credits[slot] := ids[c]; t_expiries[slot] := expiries[i];
        END IF;
        res[i] := 29;
    END LOOP;
    RETURN ROW(
        ROW(p_accounts.rows, ids, flags, db, cr, hd, hc, ver)::ledger.account_columns,
        ROW(slots, NULL, p_targets.ids, t_kinds, t_states, t_amounts, t_reversed, t_debits, t_credits, t_expiries)::ledger.target_columns,
        ROW(res, NULL, p_batch.ids, amounts, dv, cv, da, ca, NULL)::ledger.result_batch
    )::ledger.played_batch;
END
$$;
