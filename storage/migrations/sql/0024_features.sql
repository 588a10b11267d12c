-- Features: what was executed, by the hour, so that the pace of a whole tenant is cheap to read; and the way to build it all again.

SET LOCAL ROLE core_owner;

CREATE INDEX disputes_by_transaction ON core.disputes (tenant_id, transaction_id);
CREATE INDEX devices_by_customer ON core.devices (tenant_id, customer_id, first_seen_at);

RESET ROLE;
SET LOCAL ROLE ledger_owner;

GRANT SELECT ON ledger.transfer_events TO gate_owner;

RESET ROLE;
SET LOCAL ROLE core_owner;

GRANT SELECT ON core.events TO gate_owner;

RESET ROLE;
SET LOCAL ROLE gate_owner;

CREATE INDEX executed_acts_by_transaction ON gate.executed_acts (tenant_id, transaction_id) WHERE transaction_id IS NOT NULL;

-- Whole hours that are over, in order and without a gap that has acts in it: what lies before the end of the newest one is folded in.
CREATE TABLE gate.executed_hours (
    tenant_id TEXT NOT NULL,
    hour TIMESTAMPTZ NOT NULL CHECK (hour = DATE_TRUNC('hour', hour, 'UTC')),
    currency TEXT NOT NULL,
    acts BIGINT NOT NULL CHECK (acts > 0),
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    PRIMARY KEY (tenant_id, hour, currency)
);
CALL core.protect_tenant_table('gate.executed_hours');
GRANT SELECT ON gate.executed_hours TO gate, auditor;

-- Fold in the hours that ended at least ten minutes ago. An act is executed within a minute of its time, so no act comes later.
-- Returns how many rows it wrote. One at a time for a tenant.
CREATE FUNCTION gate.fold_hours(p_now TIMESTAMPTZ) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_folded BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(HASHTEXTEXTENDED('gate.fold|' || v_tenant_id, 0));
    INSERT INTO gate.executed_hours (tenant_id, hour, currency, acts, amount_minor)
    SELECT v_tenant_id, DATE_TRUNC('hour', executed_at, 'UTC'), currency, COUNT(*), SUM(amount_minor)
    FROM gate.executed_acts
    WHERE tenant_id = v_tenant_id AND amount_minor > 0
        AND executed_at >= COALESCE((
            SELECT MAX(hour) + INTERVAL '1 hour' FROM gate.executed_hours WHERE tenant_id = v_tenant_id
        ), '-infinity')
        AND executed_at < DATE_TRUNC('hour', p_now - INTERVAL '10 minutes', 'UTC')
    GROUP BY 2, 3;
    GET DIAGNOSTICS v_folded = ROW_COUNT;
    RETURN v_folded;
END
$$;

-- One hash over everything that features are read from, the same whenever the rows are the same.
CREATE FUNCTION gate.hash_features(p_tenant_id TEXT) RETURNS TEXT
LANGUAGE SQL STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT ENCODE(SHA256(CONVERT_TO(acts.lines || E'\n\n' || hours.lines, 'UTF8')), 'hex')
    FROM (
        SELECT COALESCE(STRING_AGG(executed_acts::TEXT, E'\n' ORDER BY decision_id COLLATE "C"), '') AS lines
        FROM gate.executed_acts WHERE tenant_id = p_tenant_id
    ) AS acts
    CROSS JOIN (
        SELECT COALESCE(STRING_AGG(executed_hours::TEXT, E'\n' ORDER BY hour, currency COLLATE "C"), '') AS lines
        FROM gate.executed_hours WHERE tenant_id = p_tenant_id
    ) AS hours
$$;

-- Drop a tenant's features and build them again from events: what the ledger posted, what was executed without a transfer, and what
-- was decided. A transfer that is not its decision's own (a run of payments) was never a feature. Executions wait meanwhile.
CREATE FUNCTION gate.rebuild_features(OUT acts BIGINT, OUT hash_before TEXT, OUT hash_after TEXT)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_folded_until TIMESTAMPTZ;
BEGIN
    LOCK TABLE gate.executed_acts, gate.executed_hours IN SHARE ROW EXCLUSIVE MODE;
    hash_before := gate.hash_features(v_tenant_id);
    SELECT MAX(hour) + INTERVAL '1 hour' INTO v_folded_until FROM gate.executed_hours WHERE tenant_id = v_tenant_id;
    DELETE FROM gate.executed_acts WHERE tenant_id = v_tenant_id;
    DELETE FROM gate.executed_hours WHERE tenant_id = v_tenant_id;
    INSERT INTO gate.executed_acts (
        tenant_id, decision_id, proposal_id, action_kind, customer_id, operator_id, merchant_id, beneficiary_id, transaction_id, subject_id,
        amount_minor, currency, transfer_id, executed_at
    )
    SELECT
        v_tenant_id, decided.subject, decided.data ->> 'proposal_id', decided.data #>> '{action,kind}',
        decided.data #>> '{action,customer_id}', decided.data ->> 'operator_id', decided.data #>> '{action,merchant_id}',
        decided.data #>> '{action,beneficiary_id}', decided.data #>> '{action,transaction_id}', decided.data #>> '{action,subject_id}',
        (decided.data #>> '{action,amount_minor}')::BIGINT, decided.data #>> '{action,currency}', done.transfer_id, done.executed_at
    FROM (
        SELECT posted.idempotency_key AS decision_id, posted.event_id AS transfer_id, posted.recorded_at AS executed_at
        FROM ledger.transfer_events AS posted
        INNER JOIN gate.decisions
            ON posted.tenant_id = decisions.tenant_id AND posted.idempotency_key = decisions.decision_id
                AND posted.event_id = decisions.transfer_id
        WHERE posted.tenant_id = v_tenant_id AND posted.event_type IN ('ledger.transfer_posted', 'ledger.hold_posted')
        UNION ALL
        SELECT events.subject, NULL, events.recorded_at FROM core.events
        WHERE events.tenant_id = v_tenant_id AND events.event_type = 'gate.executed'
    ) AS done
    INNER JOIN core.events AS decided
        ON decided.tenant_id = v_tenant_id AND decided.subject = done.decision_id AND decided.event_type = 'gate.decided';
    GET DIAGNOSTICS acts = ROW_COUNT;
    IF v_folded_until IS NOT NULL THEN PERFORM gate.fold_hours(v_folded_until + INTERVAL '10 minutes'); END IF;
    hash_after := gate.hash_features(v_tenant_id);
END
$$;
GRANT EXECUTE ON FUNCTION gate.fold_hours(TIMESTAMPTZ), gate.rebuild_features() TO gate;

RESET ROLE;
