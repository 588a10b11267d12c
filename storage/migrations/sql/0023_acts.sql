-- Acts of every kind: what each one posts, holds, releases or tells the bank; what was executed; and the switch that stops them all.
-- The database makes a decision's plan from the row itself: what is authorized, posted and recorded are one thing.

SET LOCAL ROLE core_owner;

ALTER TABLE core.grants DROP CONSTRAINT grants_kind_check, ADD CONSTRAINT grants_kind_check CHECK (
    kind IN ('transaction', 'account', 'card', 'beneficiary', 'dispute', 'hold', 'case', 'outside')
);
GRANT SELECT ON core.beneficiaries, core.disputes, core.cards TO ledger_writer;

RESET ROLE;
SET LOCAL ROLE ledger_owner;
GRANT SELECT ON ledger.accounts TO gate_owner;
RESET ROLE;
SET LOCAL ROLE gate_owner;

-- Decisions -------------------------------------------------------------------------------------------------------------------

-- `hold_transfer_id`: the open hold of this chain, which an allow posts and a further hold keeps.
ALTER TABLE gate.decisions
ADD COLUMN beneficiary_id TEXT,
ADD COLUMN merchant_id TEXT,
ADD COLUMN subject_id TEXT,
ADD COLUMN hold_transfer_id UUID,
ADD COLUMN hold_expires_at TIMESTAMPTZ,
ADD CONSTRAINT decisions_subject_columns CHECK (
    action ->> 'beneficiary_id' IS NOT DISTINCT FROM beneficiary_id
    AND action ->> 'merchant_id' IS NOT DISTINCT FROM merchant_id
    AND action ->> 'subject_id' IS NOT DISTINCT FROM subject_id
),
ADD CONSTRAINT decisions_hold_lasts CHECK (
    hold_expires_at IS NULL OR (outcome = 'hold' AND hold_expires_at > decided_at)
),
ADD CONSTRAINT decisions_hold_goes_on CHECK (hold_transfer_id IS NULL OR outcome IN ('allow', 'hold')),
-- An act that names its transfer says all that its kind needs. A run of payments names none; its authorizations are its own.
ADD CONSTRAINT decisions_act_is_complete CHECK (
    outcome NOT IN ('allow', 'hold') OR transfer_id IS NULL
    OR (
        customer_id IS NOT NULL AND transfer_digest IS NOT NULL
        AND CASE
            WHEN action_kind IN ('refund', 'fee_reversal') THEN transaction_id IS NOT NULL
            WHEN action_kind IN ('provisional_credit', 'dispute_writeoff', 'hold_release', 'card_block', 'case_close')
                THEN subject_id IS NOT NULL
            WHEN action_kind = 'payment' THEN beneficiary_id IS NOT NULL
            WHEN action_kind = 'beneficiary_change' THEN beneficiary_id IS NOT NULL AND action ->> 'details' IS NOT NULL
            WHEN action_kind = 'kyc_decision' THEN action ->> 'verdict' IS NOT NULL
            ELSE TRUE
        END
        AND CASE
            WHEN action_kind IN ('card_block', 'beneficiary_change', 'case_close', 'kyc_decision') THEN amount_minor = 0
            WHEN action_kind = 'hold_release' THEN amount_minor > 0
            ELSE account_id IS NOT NULL AND amount_minor > 0
        END
    )
);
CREATE INDEX decisions_held ON gate.decisions (tenant_id, decided_at) WHERE outcome = 'hold';
GRANT INSERT (beneficiary_id, merchant_id, subject_id, hold_transfer_id, hold_expires_at) ON gate.decisions TO gate;

-- What a decision carries out. `kind` is the transfer's, 0 for an act that moves no money; `target_id` the hold that it posts or voids.
CREATE TYPE gate.act_plan AS (
    kind SMALLINT,
    debit TEXT,
    credit TEXT,
    code SMALLINT,
    target_id UUID,
    hold_expires_at TIMESTAMPTZ
);

-- No row: the decision carries nothing out. A hold is posted by its own chain only, whatever the row of the decision claims.
CREATE FUNCTION gate.plan_act(p_decision gate.decisions) RETURNS SETOF gate.act_plan
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_plan gate.act_plan;
BEGIN
    IF p_decision.action_kind = 'hold_release' THEN
        IF p_decision.outcome = 'allow' AND p_decision.subject_id ~ '^tfr_[0-9a-f]{32}$' THEN
            RETURN QUERY SELECT 4::SMALLINT, debits.code, credits.code, 6::SMALLINT, placed.transfer_id, NULL::TIMESTAMPTZ
            FROM ledger.transfers AS placed
            INNER JOIN ledger.accounts AS debits ON placed.tenant_id = debits.tenant_id AND placed.debit_account = debits.account
            INNER JOIN ledger.accounts AS credits ON placed.tenant_id = credits.tenant_id AND placed.credit_account = credits.account
            WHERE placed.tenant_id = p_decision.tenant_id AND placed.transfer_id = SUBSTR(p_decision.subject_id, 5)::UUID
                AND placed.kind = 2;
        END IF;
        RETURN;
    END IF;
    IF p_decision.action_kind IN ('card_block', 'beneficiary_change', 'case_close', 'kyc_decision') THEN
        IF p_decision.outcome = 'allow' THEN
            v_plan.kind := 0;
            RETURN NEXT v_plan;
        END IF;
        RETURN;
    END IF;
    IF p_decision.outcome = 'hold' AND p_decision.hold_transfer_id IS NULL AND p_decision.hold_expires_at IS NOT NULL THEN
        v_plan.kind := 2;
    ELSIF p_decision.outcome = 'allow' AND p_decision.hold_transfer_id IS NULL THEN
        v_plan.kind := 1;
    ELSIF p_decision.outcome = 'allow' AND EXISTS (
        SELECT FROM gate.decisions AS held
        WHERE held.tenant_id = p_decision.tenant_id AND held.proposal_id = p_decision.proposal_id
            AND held.transfer_id = p_decision.hold_transfer_id AND held.outcome = 'hold'
    ) THEN
        v_plan.kind := 3;
    ELSE
        RETURN;
    END IF;
    RETURN QUERY SELECT
        v_plan.kind, plan.debit, plan.credit, plan.code, p_decision.hold_transfer_id, p_decision.hold_expires_at
    FROM gate.plan_transfer(p_decision.action_kind, p_decision.account_id, p_decision.currency) AS plan;
END
$$;

-- What the carrying out of an act is bound to. `action_digest` covers every field of the action.
CREATE FUNCTION gate.digest_of_act(
    p_tenant_id TEXT, p_decision_id TEXT, p_action_digest TEXT, p_kind SMALLINT, p_target_id UUID
) RETURNS BYTEA
LANGUAGE SQL IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    SELECT SHA256(CONVERT_TO(
        'act|' || p_tenant_id || '|' || p_decision_id || '|' || p_action_digest || '|'
        || (ARRAY['none', 'posted', 'pending', 'post', 'void'])[p_kind + 1] || '|' || COALESCE(p_target_id::TEXT, ''), 'UTF8'
    ))
$$;

-- What a decision must hold as its `transfer_digest`. A refund posted at once has a form of its own.
CREATE FUNCTION gate.digest_of_decision(p_decision gate.decisions, p_plan gate.act_plan) RETURNS BYTEA
LANGUAGE SQL IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    SELECT CASE
        WHEN (p_decision).action_kind = 'refund' AND (p_plan).kind = 1 THEN gate.digest_of_refund(
            (p_decision).tenant_id, (p_decision).decision_id, (p_decision).transaction_id, (p_decision).account_id,
            (p_decision).amount_minor, (p_decision).currency
        )
        ELSE gate.digest_of_act(
            (p_decision).tenant_id, (p_decision).decision_id, (p_decision).action_digest, (p_plan).kind, (p_plan).target_id
        )
    END
$$;

-- The switch ------------------------------------------------------------------------------------------------------------------

-- `subject`: the kind or the operator; empty for a whole tenant.
CREATE TABLE gate.freezes (
    tenant_id TEXT NOT NULL,
    freeze_id TEXT NOT NULL CHECK (freeze_id ~ '^frz_[0-9a-f]{32}$'),
    scope TEXT NOT NULL CHECK (scope IN ('tenant', 'kind', 'operator')),
    subject TEXT NOT NULL DEFAULT '' CHECK (OCTET_LENGTH(subject) <= 100),
    frozen_by TEXT NOT NULL,
    frozen_at TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL CHECK (OCTET_LENGTH(reason) BETWEEN 1 AND 4000),
    thawed_by TEXT,
    thawed_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, freeze_id),
    CONSTRAINT freezes_subject_of_scope CHECK ((scope = 'tenant') = (subject = '')),
    CONSTRAINT freezes_thawed_by_another CHECK (thawed_by <> frozen_by),
    CONSTRAINT freezes_thawed_whole CHECK ((thawed_by IS NULL) = (thawed_at IS NULL))
);
CREATE INDEX freezes_in_force ON gate.freezes (tenant_id) WHERE thawed_at IS NULL;
CALL core.protect_tenant_table('gate.freezes');
GRANT SELECT ON gate.freezes TO gate, executor, edge, auditor, ledger_writer, jobs;

-- Deciders hold it shared while they authorize, a freeze alone.
CREATE FUNCTION gate.freeze_lock(p_tenant_id TEXT) RETURNS BIGINT
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$ SELECT HASHTEXTEXTENDED('gate.freeze|' || p_tenant_id, 0) $$;

CREATE FUNCTION gate.is_frozen(p_kind TEXT, p_operator_id TEXT) RETURNS BOOLEAN
LANGUAGE SQL STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM gate.freezes
        WHERE thawed_at IS NULL AND (
            scope = 'tenant' OR (scope = 'kind' AND subject = p_kind) OR (scope = 'operator' AND subject = p_operator_id)
        )
    )
$$;
GRANT EXECUTE ON FUNCTION gate.is_frozen(TEXT, TEXT) TO gate, ledger_writer;

-- Stop every execution in the scope and say how many were stopped. Whatever posts at this moment is waited for.
CREATE FUNCTION gate.freeze(p_freeze_id TEXT, p_scope TEXT, p_subject TEXT, p_by TEXT, p_reason TEXT, p_now TIMESTAMPTZ) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_stopped BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(gate.freeze_lock(v_tenant_id));
    INSERT INTO gate.freezes (tenant_id, freeze_id, scope, subject, frozen_by, frozen_at, reason)
    VALUES (v_tenant_id, p_freeze_id, p_scope, p_subject, p_by, p_now, p_reason);
    DELETE FROM gate.authorizations
    USING gate.decisions
    WHERE authorizations.tenant_id = v_tenant_id AND decisions.tenant_id = v_tenant_id
        AND decisions.decision_id = 'dec_' || REPLACE(authorizations.decision_id::TEXT, '-', '')
        AND gate.is_frozen(decisions.action_kind, decisions.operator_id);
    GET DIAGNOSTICS v_stopped = ROW_COUNT;
    INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)
    VALUES (
        v_tenant_id, SUBSTR(p_freeze_id, 5)::UUID, 'gate.frozen', 'gate', p_freeze_id, p_now, p_now,
        JSONB_BUILD_OBJECT(
            'freeze_id', p_freeze_id, 'scope', p_scope, 'subject', p_subject, 'frozen_by', p_by, 'authorizations_stopped', v_stopped,
            -- A person's words may name people: the log gets their hash.
            'reason_sha256', ENCODE(SHA256(CONVERT_TO(p_reason, 'UTF8')), 'hex')
        )
    );
    RETURN v_stopped;
END
$$;

CREATE FUNCTION gate.thaw(p_freeze_id TEXT, p_by TEXT, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
BEGIN
    UPDATE gate.freezes SET thawed_by = p_by, thawed_at = p_now
    WHERE tenant_id = v_tenant_id AND freeze_id = p_freeze_id AND thawed_at IS NULL;
    IF NOT FOUND THEN RAISE EXCEPTION 'freeze %: none in force', p_freeze_id USING ERRCODE = 'P0002'; END IF;
    INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)
    VALUES (
        v_tenant_id, GEN_RANDOM_UUID(), 'gate.thawed', 'gate', p_freeze_id, p_now, p_now,
        JSONB_BUILD_OBJECT('freeze_id', p_freeze_id, 'thawed_by', p_by)
    );
END
$$;
GRANT EXECUTE ON FUNCTION gate.freeze(TEXT, TEXT, TEXT, TEXT, TEXT, TIMESTAMPTZ), gate.thaw(TEXT, TEXT, TIMESTAMPTZ) TO gate;

-- What was executed -----------------------------------------------------------------------------------------------------------

-- One row for each act that moved money or told the bank to act. A projection: it can be built again from the log.
CREATE TABLE gate.executed_acts (
    tenant_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    proposal_id TEXT NOT NULL,
    action_kind TEXT NOT NULL,
    customer_id TEXT,
    operator_id TEXT NOT NULL,
    merchant_id TEXT,
    beneficiary_id TEXT,
    transaction_id TEXT,
    subject_id TEXT,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    transfer_id UUID,
    executed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, decision_id)
);
DO $$
DECLARE
    v_column TEXT;
BEGIN
    CREATE INDEX executed_acts_by_time ON gate.executed_acts (tenant_id, executed_at) INCLUDE (currency, amount_minor);
    FOREACH v_column IN ARRAY ARRAY['customer_id', 'operator_id', 'merchant_id', 'beneficiary_id', 'subject_id'] LOOP
        EXECUTE format(
            'CREATE INDEX ON gate.executed_acts (tenant_id, %1$I, executed_at) INCLUDE (currency, amount_minor) WHERE %1$I IS NOT NULL',
            v_column
        );
    END LOOP;
END
$$;
CALL core.protect_tenant_table('gate.executed_acts');
GRANT SELECT ON gate.executed_acts TO gate, executor, jobs, auditor, ledger_writer;

-- Written in the transaction of the execution. An act without a transfer is told to the log, with the id that it would have had.
CREATE FUNCTION gate.record_act(p_decision gate.decisions, p_transfer_id UUID, p_now TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- In the order of the table's columns.
    INSERT INTO gate.executed_acts VALUES (
        p_decision.tenant_id, p_decision.decision_id, p_decision.proposal_id, p_decision.action_kind, p_decision.customer_id,
        p_decision.operator_id, p_decision.merchant_id, p_decision.beneficiary_id, p_decision.transaction_id, p_decision.subject_id,
        p_decision.amount_minor, p_decision.currency, p_transfer_id, p_now
    );
    IF p_transfer_id IS NULL THEN
        INSERT INTO core.events (
            tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, account_id, idempotency_key, policy_decision,
            policy_version, model_score_ref, data
        ) VALUES (
            p_decision.tenant_id, p_decision.transfer_id, 'gate.executed', 'gate', p_decision.decision_id, p_now, p_now,
            p_decision.account_id, p_decision.decision_id, p_decision.outcome, p_decision.policy_version, p_decision.score_ref,
            JSONB_BUILD_OBJECT(
                'decision_id', p_decision.decision_id, 'decision_event_id', p_decision.event_id, 'proposal_id', p_decision.proposal_id,
                'kind', p_decision.action_kind, 'action_digest', p_decision.action_digest,
                'transfer_digest', ENCODE(p_decision.transfer_digest, 'hex')
            )
        );
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION gate.record_act(gate.decisions, UUID, TIMESTAMPTZ) TO ledger_writer;

-- What was executed, by decision: its transfer, unless that only holds, or the act that needed none.
CREATE OR REPLACE VIEW gate.consumptions WITH (security_barrier) AS
SELECT decisions.tenant_id, decisions.decision_id, decisions.proposal_id, transfers.transfer_id, transfers.recorded_at AS consumed_at
FROM gate.decisions
INNER JOIN ledger.transfers ON decisions.tenant_id = transfers.tenant_id AND decisions.transfer_id = transfers.transfer_id
WHERE transfers.kind <> 2
UNION ALL
SELECT acts.tenant_id, acts.decision_id, acts.proposal_id, acts.transfer_id, acts.executed_at
FROM gate.executed_acts AS acts
WHERE acts.transfer_id IS NULL;

-- Guards ----------------------------------------------------------------------------------------------------------------------

-- The decision that goes on with a chain takes back what the one before allowed, and is refused when that was executed already.
-- The freeze's lock comes first, as everywhere: a freeze waits for the rows that are taken back here.
CREATE OR REPLACE FUNCTION gate.supersede() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(gate.freeze_lock(new.tenant_id));
    DELETE FROM gate.authorizations WHERE tenant_id = new.tenant_id AND decision_id = gate.uuid_of(new.previous_decision_id);
    IF EXISTS (
        SELECT FROM gate.decisions AS earlier
        INNER JOIN ledger.transfers ON earlier.tenant_id = transfers.tenant_id AND earlier.transfer_id = transfers.transfer_id
        WHERE earlier.tenant_id = new.tenant_id AND earlier.proposal_id = new.proposal_id AND transfers.kind <> 2
    ) OR EXISTS (
        SELECT FROM gate.executed_acts
        WHERE executed_acts.tenant_id = new.tenant_id AND executed_acts.decision_id = new.previous_decision_id
    ) THEN
        RAISE EXCEPTION 'proposal %: already executed, no further decision', new.proposal_id USING ERRCODE = '23514';
    END IF;
    RETURN new;
END
$$;

-- A decision that carries something out authorizes it, in the same transaction. An act without a transfer is used up the same way;
-- its digest is no transfer's. While a freeze stands nothing is authorized.
CREATE FUNCTION gate.authorize() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_plan gate.act_plan;
BEGIN
    SELECT * INTO v_plan FROM gate.plan_act(new);
    IF NOT FOUND THEN RETURN NULL; END IF;
    PERFORM pg_advisory_xact_lock_shared(gate.freeze_lock(new.tenant_id));
    IF gate.is_frozen(new.action_kind, new.operator_id) THEN RETURN NULL; END IF;
    INSERT INTO gate.authorizations (
        tenant_id, transfer_id, decision_id, digest, valid_from, valid_until, proposal_id, customer_id, operator_id, merchant_id,
        beneficiary_id, currency, reserved_minor
    ) VALUES (
        new.tenant_id, new.transfer_id, gate.uuid_of(new.decision_id),
        CASE WHEN v_plan.kind = 0 THEN new.transfer_digest ELSE ledger.digest_of_transfer(
            new.tenant_id, new.transfer_id, v_plan.kind, v_plan.debit, v_plan.credit, new.amount_minor, new.currency, v_plan.code,
            v_plan.target_id, v_plan.hold_expires_at, 0::SMALLINT
        ) END,
        new.decided_at, new.expires_at, new.proposal_id, new.customer_id, new.operator_id, new.merchant_id, new.beneficiary_id,
        new.currency,
        -- What lets an amount go reserves none; nor does a hold, which keeps its amount in the ledger.
        CASE WHEN new.outcome = 'allow' AND new.action_kind <> 'hold_release' THEN new.amount_minor ELSE 0 END
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER authorize AFTER INSERT ON gate.decisions
FOR EACH ROW WHEN (new.outcome IN ('allow', 'hold') AND new.transfer_id IS NOT NULL) EXECUTE FUNCTION gate.authorize();

-- Whoever authorizes by himself, as a run of payments does, meets the freeze here.
CREATE FUNCTION gate.refuse_frozen() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(gate.freeze_lock(core.current_tenant()));
    IF EXISTS (SELECT FROM gate.freezes WHERE thawed_at IS NULL) AND EXISTS (
        SELECT FROM (SELECT DISTINCT tenant_id, decision_id FROM added) AS named
        -- LIMIT keeps each a look-up by key.
        CROSS JOIN LATERAL (
            SELECT FROM gate.decisions
            WHERE decisions.tenant_id = named.tenant_id
                AND decisions.decision_id = 'dec_' || REPLACE(named.decision_id::TEXT, '-', '')
                AND gate.is_frozen(decisions.action_kind, decisions.operator_id)
            LIMIT 1
        ) AS stopped
    ) THEN
        RAISE EXCEPTION 'authorization: frozen' USING ERRCODE = '23503';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER refuse_frozen AFTER INSERT ON gate.authorizations
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION gate.refuse_frozen();

GRANT EXECUTE ON FUNCTION gate.plan_act(gate.decisions) TO ledger_writer;
GRANT EXECUTE ON FUNCTION
gate.digest_of_act(TEXT, TEXT, TEXT, SMALLINT, UUID), gate.digest_of_decision(gate.decisions, gate.act_plan)
TO gate, ledger_writer, auditor;

RESET ROLE;
