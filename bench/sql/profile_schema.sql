-- What the profile measures with: the pieces of a posting, each timed by itself. Made in the throw-away database only, run as
-- ledger_writer in a transaction that is rolled back.

CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO ledger_writer;

-- A transfer's row without index, parts, rights and triggers; and with the three indexes.
CREATE TABLE bench.bare (LIKE ledger.transfers);
CREATE TABLE bench.indexed (LIKE ledger.transfers);
CREATE UNIQUE INDEX indexed_by_id ON bench.indexed (tenant_id, transfer_id);
CREATE UNIQUE INDEX indexed_by_debit ON bench.indexed (tenant_id, debit_account, debit_version);
CREATE UNIQUE INDEX indexed_by_credit ON bench.indexed (tenant_id, credit_account, credit_version);
GRANT INSERT ON bench.bare, bench.indexed TO ledger_writer;

-- A row for each account pair in turn; versions far above those in use.
CREATE VIEW bench.rows_to_write AS
SELECT
    tokens.tenant_id, tokens.transfer_id, tokens.decision_id, NULL::UUID AS target_id, 1 + (numbers.number * 7919 % 1000)::INTEGER AS debit_account,
    1 + (numbers.number * 104729 % 1000)::INTEGER AS credit_account, 1 + numbers.number AS amount_minor,
    1000000000 + numbers.number AS debit_version, 1000000000 + numbers.number AS credit_version,
    numbers.number AS debit_balance_after_minor, numbers.number AS credit_balance_after_minor, NOW() AS occurred_at, NOW() AS recorded_at,
    NULL::TIMESTAMPTZ AS hold_expires_at, 1::SMALLINT AS kind, 5::SMALLINT AS code, 0::SMALLINT AS flags, tokens.digest,
    'customer:acc_01990000000070008000' || LPAD((numbers.number * 7919 % 1000)::TEXT, 12, '0') AS debit_code,
    'customer:acc_01990000000070008000' || LPAD((numbers.number * 104729 % 1000)::TEXT, 12, '0') AS credit_code
FROM gate.authorizations AS tokens
CROSS JOIN LATERAL (SELECT (('x' || LEFT(REPLACE(tokens.transfer_id::TEXT, '-', ''), 12))::BIT(48)::BIGINT % 1000000) AS number) AS numbers
WHERE 1 + (numbers.number * 7919 % 1000) <> 1 + (numbers.number * 104729 % 1000);
GRANT SELECT ON bench.rows_to_write TO ledger_writer;

-- Microseconds of each piece for one transfer, over all authorizations there are.
CREATE FUNCTION bench.time_pieces(p_tenant_id TEXT) RETURNS TABLE (what TEXT, us DOUBLE PRECISION)
LANGUAGE plpgsql
AS $$
DECLARE
    v_rows bench.rows_to_write[] := ARRAY(SELECT rows_to_write FROM bench.rows_to_write WHERE tenant_id = p_tenant_id);
    v_row bench.rows_to_write;
    v_took DOUBLE PRECISION[] := ARRAY_FILL(0, ARRAY[7]);
    v_times TIMESTAMPTZ[] := ARRAY_FILL(NOW(), ARRAY[8]);
    v_digest BYTEA;
    v_account INTEGER;
    v_version BIGINT;
BEGIN
    FOREACH v_row IN ARRAY v_rows LOOP
        v_times[1] := clock_timestamp();
        v_digest := ledger.digest_of_transfer(
            p_tenant_id, v_row.transfer_id, 1::SMALLINT, 'customer:acc_01990000000070008000000000000001',
            'customer:acc_01990000000070008000000000000002', v_row.amount_minor, 'USD', 5::SMALLINT, NULL, NULL, 0::SMALLINT
        );
        v_times[2] := clock_timestamp();
        DELETE FROM gate.authorizations
        WHERE tenant_id = p_tenant_id AND transfer_id = v_row.transfer_id AND digest = v_row.digest
            AND NOW() >= valid_from AND NOW() < valid_until + INTERVAL '1 hour'
            AND clock_timestamp() - recorded_at < valid_until - valid_from + INTERVAL '1 hour';
        v_times[3] := clock_timestamp();
        INSERT INTO ledger.transfers VALUES (
            v_row.tenant_id, v_row.transfer_id, v_row.decision_id, NULL, v_row.debit_account, v_row.credit_account, v_row.amount_minor,
            v_row.debit_version, v_row.credit_version, v_row.debit_balance_after_minor, v_row.credit_balance_after_minor,
            v_row.occurred_at, v_row.recorded_at, NULL, 1, 5, 0
        );
        v_times[4] := clock_timestamp();
        INSERT INTO core.events_unsequenced (tenant_id, event_id) VALUES (p_tenant_id, v_row.transfer_id);
        v_times[5] := clock_timestamp();
        INSERT INTO bench.indexed VALUES (
            v_row.tenant_id, v_row.transfer_id, v_row.decision_id, NULL, v_row.debit_account, v_row.credit_account, v_row.amount_minor,
            v_row.debit_version, v_row.credit_version, v_row.debit_balance_after_minor, v_row.credit_balance_after_minor,
            v_row.occurred_at, v_row.recorded_at, NULL, 1, 5, 0
        );
        v_times[6] := clock_timestamp();
        INSERT INTO bench.bare VALUES (
            v_row.tenant_id, v_row.transfer_id, v_row.decision_id, NULL, v_row.debit_account, v_row.credit_account, v_row.amount_minor,
            v_row.debit_version, v_row.credit_version, v_row.debit_balance_after_minor, v_row.credit_balance_after_minor,
            v_row.occurred_at, v_row.recorded_at, NULL, 1, 5, 0
        );
        v_times[7] := clock_timestamp();
        UPDATE ledger.accounts SET debits_posted_minor = debits_posted_minor + 1, version = version + 1
        WHERE tenant_id = p_tenant_id AND code = v_row.debit_code AND currency = 'USD' AND NOT (rolled_up OR closed OR stopped)
            AND debits_posted_minor + 1 <= CASE
                WHEN debits_must_not_exceed_credits THEN credits_posted_minor - debits_pending_minor ELSE 9007199254740991
            END
        RETURNING account, version INTO v_account, v_version;
        UPDATE ledger.accounts SET credits_posted_minor = credits_posted_minor + 1, version = version + 1
        WHERE tenant_id = p_tenant_id AND code = v_row.credit_code AND currency = 'USD' AND NOT (rolled_up OR closed OR stopped)
            AND credits_posted_minor + 1 <= CASE
                WHEN credits_must_not_exceed_debits THEN debits_posted_minor - credits_pending_minor ELSE 9007199254740991
            END
        RETURNING account, version INTO v_account, v_version;
        v_times[8] := clock_timestamp();
        FOR i IN 1..7 LOOP
            v_took[i] := v_took[i] + extract(EPOCH FROM v_times[i + 1] - v_times[i]) * 1000000;
        END LOOP;
    END LOOP;
    RETURN QUERY SELECT * FROM UNNEST(ARRAY['digest', 'authorization', 'transfer', 'waiting', 'indexed', 'bare', 'accounts'], (
        SELECT ARRAY_AGG(one / GREATEST(1, CARDINALITY(v_rows)) ORDER BY place) FROM UNNEST(v_took) WITH ORDINALITY AS took (one, place)
    ));
END
$$;

-- The same for a row of a batch: one statement for all of them.
CREATE FUNCTION bench.time_batch_pieces(p_tenant_id TEXT) RETURNS TABLE (what TEXT, us DOUBLE PRECISION)
LANGUAGE plpgsql
AS $$
DECLARE
    v_rows bench.rows_to_write[] := ARRAY(SELECT rows_to_write FROM bench.rows_to_write WHERE tenant_id = p_tenant_id);
    v_times TIMESTAMPTZ[];
BEGIN
    v_times := ARRAY[clock_timestamp()];
    INSERT INTO ledger.transfers
    SELECT
        tenant_id, transfer_id, decision_id, target_id, debit_account, credit_account, amount_minor, debit_version, credit_version,
        debit_balance_after_minor, credit_balance_after_minor, occurred_at, recorded_at, hold_expires_at, kind, code, flags
    FROM UNNEST(v_rows);
    v_times := v_times || clock_timestamp();
    INSERT INTO core.events_unsequenced (tenant_id, event_id) SELECT p_tenant_id, transfer_id FROM UNNEST(v_rows);
    v_times := v_times || clock_timestamp();
    INSERT INTO bench.indexed
    SELECT
        tenant_id, transfer_id, decision_id, target_id, debit_account, credit_account, amount_minor, debit_version, credit_version,
        debit_balance_after_minor, credit_balance_after_minor, occurred_at, recorded_at, hold_expires_at, kind, code, flags
    FROM UNNEST(v_rows);
    v_times := v_times || clock_timestamp();
    INSERT INTO bench.bare
    SELECT
        tenant_id, transfer_id, decision_id, target_id, debit_account, credit_account, amount_minor, debit_version, credit_version,
        debit_balance_after_minor, credit_balance_after_minor, occurred_at, recorded_at, hold_expires_at, kind, code, flags
    FROM UNNEST(v_rows);
    v_times := v_times || clock_timestamp();
    RETURN QUERY
    SELECT names.what, extract(EPOCH FROM v_times[place + 1] - v_times[place])::DOUBLE PRECISION * 1000000 / GREATEST(1, CARDINALITY(v_rows))
    FROM UNNEST(ARRAY['transfer', 'waiting', 'indexed', 'bare']) WITH ORDINALITY AS names (what, place);
END
$$;
GRANT EXECUTE ON FUNCTION bench.time_pieces(TEXT), bench.time_batch_pieces(TEXT) TO ledger_writer;
