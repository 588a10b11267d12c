-- The gate's tables: decisions, what they authorize, reviews and approvals, policy bundles, and the nodes of the receipt log.
-- Everything here is written once. Rights: role gate writes, everyone else reads, and only the ledger's function consumes.

SET LOCAL ROLE gate_owner;

-- RFC 8785 for a flat object of strings, integers, booleans and nulls with ASCII keys: what domain.proposal.Action is.
-- A nested value or a fraction has no form here and gives NULL, which equals no digest.
CREATE FUNCTION gate.digest_of_flat(p_object JSONB) RETURNS TEXT
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    SELECT CASE WHEN BOOL_AND(JSONB_TYPEOF(value) NOT IN ('object', 'array') AND value::TEXT !~ '^-?[0-9]+\.') THEN
        ENCODE(SHA256(CONVERT_TO(
            '{' || STRING_AGG(TO_JSON(key)::TEXT || ':' || value::TEXT, ',' ORDER BY key COLLATE "C") || '}', 'UTF8'
        )), 'hex')
    END
    FROM JSONB_EACH(p_object)
$$;

-- What the posting of a refund is bound to. No field may hold the separator: the CHECKs of gate.decisions see to it.
CREATE FUNCTION gate.digest_of_refund(
    p_tenant_id TEXT, p_decision_id TEXT, p_transaction_id TEXT, p_account_id TEXT, p_amount_minor BIGINT, p_currency TEXT
) RETURNS BYTEA
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    SELECT SHA256(CONVERT_TO(
        'refund|' || p_tenant_id || '|' || p_decision_id || '|' || p_transaction_id || '|' || p_account_id || '|'
        || p_amount_minor::TEXT || '|' || p_currency, 'UTF8'
    ))
$$;

CREATE TABLE gate.policy_bundles (
    tenant_id TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    version TEXT NOT NULL,
    content JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);

-- `recorded_at` is the server's own stamp and in nobody's INSERT right: a caller who lies about `now` cannot revive a decision.
CREATE TABLE gate.decisions (
    tenant_id TEXT NOT NULL,
    decision_id TEXT NOT NULL CHECK (decision_id ~ '^dec_[0-9a-f]{32}$'),
    proposal_id TEXT NOT NULL CHECK (proposal_id ~ '^prp_[0-9a-f]{32}$'),
    previous_decision_id TEXT,
    approval_id TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN ('allow', 'review', 'hold', 'deny')),
    action JSONB NOT NULL,
    action_digest TEXT NOT NULL,
    action_kind TEXT NOT NULL,
    transaction_id TEXT CHECK (transaction_id !~ '[|]'),
    customer_id TEXT,
    account_id TEXT CHECK (account_id !~ '[|]'),
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    transfer_digest BYTEA CHECK (OCTET_LENGTH(transfer_digest) = 32),
    -- The one transfer that this decision can cause.
    transfer_id UUID,
    reasons JSONB NOT NULL,
    origins JSONB NOT NULL,
    facts JSONB NOT NULL,
    facts_digest TEXT NOT NULL CHECK (facts_digest ~ '^[0-9a-f]{64}$'),
    score INTEGER NOT NULL CHECK (score BETWEEN 0 AND 1000),
    score_reasons JSONB NOT NULL,
    score_ref TEXT NOT NULL,
    policy_bundle_sha256 TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    prompt_id TEXT NOT NULL,
    prompt_sha256 TEXT NOT NULL,
    model TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    event_id TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    PRIMARY KEY (tenant_id, decision_id),
    -- The chain of a proposal is a line: one first decision, at most one next of each.
    UNIQUE (tenant_id, previous_decision_id),
    UNIQUE (tenant_id, decision_id, proposal_id),
    UNIQUE (tenant_id, transfer_id),
    FOREIGN KEY (tenant_id, previous_decision_id, proposal_id)
    REFERENCES gate.decisions (tenant_id, decision_id, proposal_id),
    CONSTRAINT decisions_id_of_previous CHECK (previous_decision_id <> decision_id),
    CONSTRAINT decisions_approval_needs_previous CHECK (approval_id IS NULL OR previous_decision_id IS NOT NULL),
    CONSTRAINT decisions_action_digest CHECK (action_digest = gate.digest_of_flat(action)),
    CONSTRAINT decisions_action_columns CHECK (
        action ->> 'tenant_id' = tenant_id
        AND action ->> 'proposal_id' = proposal_id
        AND action ->> 'kind' = action_kind
        AND action ->> 'transaction_id' IS NOT DISTINCT FROM transaction_id
        AND action ->> 'customer_id' IS NOT DISTINCT FROM customer_id
        AND action ->> 'account_id' IS NOT DISTINCT FROM account_id
        AND action -> 'amount_minor' = TO_JSONB(amount_minor)
        AND action ->> 'currency' = currency
    ),
    CONSTRAINT decisions_allow_is_short CHECK (
        outcome <> 'allow'
        OR (expires_at > decided_at AND expires_at <= decided_at + INTERVAL '60 seconds')
    ),
    CONSTRAINT decisions_allow_refund_is_complete CHECK (
        outcome <> 'allow' OR action_kind <> 'refund'
        OR (
            transaction_id IS NOT NULL AND customer_id IS NOT NULL AND account_id IS NOT NULL
            AND transfer_digest IS NOT NULL AND transfer_id IS NOT NULL AND amount_minor > 0
            AND action ?& ARRAY['tenant_id', 'proposal_id', 'kind', 'transaction_id', 'customer_id', 'account_id', 'amount_minor', 'currency']
        )
    )
);
CREATE UNIQUE INDEX decisions_first_of_proposal ON gate.decisions (tenant_id, proposal_id) WHERE previous_decision_id IS NULL;
CREATE INDEX decisions_by_proposal ON gate.decisions (tenant_id, proposal_id, decided_at);
CREATE INDEX decisions_by_transaction ON gate.decisions (tenant_id, transaction_id, decided_at) WHERE transaction_id IS NOT NULL;
CREATE INDEX decisions_by_customer ON gate.decisions (tenant_id, customer_id, decided_at) WHERE customer_id IS NOT NULL;
CREATE INDEX decisions_allowed ON gate.decisions (tenant_id, expires_at) WHERE outcome = 'allow';

-- What may be posted now: one row for each transfer that a live decision allows, bound to it by a digest over all that it says.
-- The posting deletes it in its own transaction, and so does the decision that supersedes: one of the two comes first, by the lock
-- on the row, never both. `recorded_at` is the server's stamp: a caller who lies about `now` cannot revive anything.
CREATE TABLE gate.authorizations (
    tenant_id TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    decision_id UUID NOT NULL,
    digest BYTEA NOT NULL CHECK (OCTET_LENGTH(digest) = 32),
    valid_from TIMESTAMPTZ NOT NULL,
    valid_until TIMESTAMPTZ NOT NULL CHECK (valid_until > valid_from AND valid_until <= valid_from + INTERVAL '60 seconds'),
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    -- What the decision keeps of its budgets till then, copied from it where it authorizes itself; null where another hand did.
    proposal_id TEXT,
    customer_id TEXT,
    operator_id TEXT,
    merchant_id TEXT,
    beneficiary_id TEXT,
    currency TEXT,
    reserved_minor BIGINT,
    PRIMARY KEY (transfer_id, tenant_id)
    -- Rows come and go with every posting: clean up early and without pauses.
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX authorizations_by_decision ON gate.authorizations (decision_id, tenant_id);
CREATE INDEX authorizations_by_end ON gate.authorizations (tenant_id, valid_until) WHERE reserved_minor > 0;
CREATE INDEX authorizations_by_customer ON gate.authorizations (tenant_id, customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX authorizations_by_operator ON gate.authorizations (tenant_id, operator_id) WHERE operator_id IS NOT NULL;
CREATE INDEX authorizations_by_merchant ON gate.authorizations (tenant_id, merchant_id) WHERE merchant_id IS NOT NULL;
CREATE INDEX authorizations_by_beneficiary ON gate.authorizations (tenant_id, beneficiary_id) WHERE beneficiary_id IS NOT NULL;
CREATE INDEX authorizations_by_others ON gate.authorizations (tenant_id, valid_until) WHERE reserved_minor IS NULL;

-- `state_digest` is over the facts the reviewer saw; the gate compares it when the approval arrives.
CREATE TABLE gate.reviews (
    tenant_id TEXT NOT NULL,
    review_id TEXT NOT NULL CHECK (review_id ~ '^rev_[0-9a-f]{32}$'),
    proposal_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    action_digest TEXT NOT NULL CHECK (action_digest ~ '^[0-9a-f]{64}$'),
    state_digest TEXT NOT NULL CHECK (state_digest ~ '^[0-9a-f]{64}$'),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'refused', 'expired')),
    required_approvals SMALLINT NOT NULL DEFAULT 1 CHECK (required_approvals BETWEEN 1 AND 5),
    opened_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL CHECK (expires_at > opened_at),
    closed_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, review_id),
    UNIQUE (tenant_id, decision_id),
    UNIQUE (tenant_id, review_id, action_digest),
    FOREIGN KEY (tenant_id, decision_id, proposal_id) REFERENCES gate.decisions (tenant_id, decision_id, proposal_id),
    CHECK ((state = 'open') = (closed_at IS NULL))
);
CREATE INDEX reviews_open ON gate.reviews (tenant_id, expires_at) WHERE state = 'open';

CREATE TABLE gate.approvals (
    tenant_id TEXT NOT NULL,
    approval_id TEXT NOT NULL CHECK (approval_id ~ '^apr_[0-9a-f]{32}$'),
    review_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('approve', 'refuse')),
    action_digest TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (OCTET_LENGTH(reason) <= 4000),
    idempotency_key TEXT NOT NULL CHECK (OCTET_LENGTH(idempotency_key) BETWEEN 1 AND 200),
    event_id TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, approval_id),
    UNIQUE (tenant_id, review_id, operator_id),
    UNIQUE (tenant_id, operator_id, idempotency_key),
    UNIQUE (tenant_id, approval_id, action_digest),
    -- An approval of another action than the review's cannot be stored.
    FOREIGN KEY (tenant_id, review_id, action_digest) REFERENCES gate.reviews (tenant_id, review_id, action_digest)
);
-- And a decision cannot name an approval of another action.
ALTER TABLE gate.decisions ADD CONSTRAINT decisions_approval_of_this_action
FOREIGN KEY (tenant_id, approval_id, action_digest) REFERENCES gate.approvals (tenant_id, approval_id, action_digest);

-- Hashes of the complete subtrees of the receipt log (RFC 6962); level 0 holds the leaves.
CREATE TABLE gate.log_nodes (
    tenant_id TEXT NOT NULL,
    level SMALLINT NOT NULL CHECK (level BETWEEN 0 AND 62),
    position BIGINT NOT NULL CHECK (position >= 0),
    hash BYTEA NOT NULL CHECK (OCTET_LENGTH(hash) = 32),
    PRIMARY KEY (tenant_id, level, position)
);

CREATE TABLE gate.checkpoints (
    tenant_id TEXT NOT NULL,
    tree_size BIGINT NOT NULL CHECK (tree_size > 0),
    root BYTEA NOT NULL CHECK (OCTET_LENGTH(root) = 32),
    note TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, tree_size)
);

-- Guards ----------------------------------------------------------------------------------------------------------------------

-- A decision id as the ledger stores it: 16 bytes, no prefix.
CREATE FUNCTION gate.uuid_of(p_decision_id TEXT) RETURNS UUID
LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$ SELECT SUBSTR(p_decision_id, 5)::UUID $$;

-- Between which accounts a kind moves money by itself, if it does. `code` is domain.transfer's.
CREATE FUNCTION gate.plan_transfer(
    p_action_kind TEXT, p_account_id TEXT, p_currency TEXT, OUT debit TEXT, OUT credit TEXT, OUT code SMALLINT
) RETURNS SETOF RECORD
LANGUAGE SQL IMMUTABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog
AS $$
    SELECT plans.debit, plans.credit, plans.code
    FROM (
        VALUES
        ('refund', 'house:refunds:' || p_currency, 'customer:' || p_account_id, 1::SMALLINT),
        ('fee_reversal', 'house:fees:' || p_currency, 'customer:' || p_account_id, 2::SMALLINT),
        ('goodwill_credit', 'house:goodwill:' || p_currency, 'customer:' || p_account_id, 3::SMALLINT),
        ('provisional_credit', 'house:provisional:' || p_currency, 'customer:' || p_account_id, 4::SMALLINT),
        ('payment', 'customer:' || p_account_id, 'house:bank:payments:' || p_currency, 5::SMALLINT),
        ('dispute_writeoff', 'house:writeoff:' || p_currency, 'house:provisional:' || p_currency, 7::SMALLINT)
    ) AS plans (action_kind, debit, credit, code)
    WHERE plans.action_kind = p_action_kind AND plans.debit IS NOT NULL AND plans.credit IS NOT NULL
$$;

-- The decision that goes on with a chain takes back what the one before allowed, and is refused when money has moved already.
CREATE FUNCTION gate.supersede() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM gate.authorizations WHERE tenant_id = new.tenant_id AND decision_id = gate.uuid_of(new.previous_decision_id);
    IF EXISTS (
        SELECT FROM gate.decisions AS earlier
        INNER JOIN ledger.transfers ON earlier.tenant_id = transfers.tenant_id AND earlier.transfer_id = transfers.transfer_id
        WHERE earlier.tenant_id = new.tenant_id AND earlier.proposal_id = new.proposal_id AND transfers.kind <> 2
    ) THEN
        RAISE EXCEPTION 'proposal %: already executed, no further decision', new.proposal_id USING ERRCODE = '23514';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER supersede BEFORE INSERT ON gate.decisions
FOR EACH ROW WHEN (new.previous_decision_id IS NOT NULL) EXECUTE FUNCTION gate.supersede();

-- Only a decision that lets something happen authorizes, and an id that the ledger has answered for good is never authorized again.
CREATE FUNCTION gate.refuse_authorization() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_count BIGINT;
    v_tenant_id TEXT;
    v_decision_id TEXT;
    v_transfer_id UUID;
    v_allowed BOOLEAN;
    v_used BOOLEAN;
BEGIN
    -- How many rows an insert adds is unknown to the planner: left to itself it reads whole tables for one row.
    SELECT COUNT(*), (ARRAY_AGG(tenant_id))[1], 'dec_' || REPLACE((ARRAY_AGG(decision_id))[1]::TEXT, '-', ''), (ARRAY_AGG(transfer_id))[1]
    INTO v_count, v_tenant_id, v_decision_id, v_transfer_id
    FROM added;
    IF v_count = 1 THEN
        v_allowed := EXISTS (
            SELECT FROM gate.decisions
            WHERE tenant_id = v_tenant_id AND decision_id = v_decision_id AND outcome IN ('allow', 'hold')
        ) AND NOT EXISTS (SELECT FROM gate.decisions WHERE tenant_id = v_tenant_id AND previous_decision_id = v_decision_id);
        v_used := EXISTS (SELECT FROM ledger.transfers WHERE tenant_id = v_tenant_id AND transfer_id = v_transfer_id)
            OR EXISTS (SELECT FROM ledger.refusals WHERE tenant_id = v_tenant_id AND transfer_id = v_transfer_id);
    ELSE
        v_allowed := NOT EXISTS (
            SELECT FROM (SELECT DISTINCT tenant_id, decision_id FROM added) AS named
            WHERE NOT EXISTS (
                SELECT FROM gate.decisions
                WHERE decisions.tenant_id = named.tenant_id AND decisions.outcome IN ('allow', 'hold')
                    AND decisions.decision_id = 'dec_' || REPLACE(named.decision_id::TEXT, '-', '')
                    AND NOT EXISTS (
                        SELECT FROM gate.decisions AS later
                        WHERE later.tenant_id = decisions.tenant_id AND later.previous_decision_id = decisions.decision_id
                    )
            )
        );
        -- LIMIT keeps each of these a look-up by key, however many rows were added.
        v_used := EXISTS (
            SELECT FROM added
            CROSS JOIN LATERAL (
                (
                    SELECT transfer_id FROM ledger.transfers
                    WHERE transfers.tenant_id = added.tenant_id AND transfers.transfer_id = added.transfer_id LIMIT 1
                )
                UNION ALL
                (
                    SELECT transfer_id FROM ledger.refusals
                    WHERE refusals.tenant_id = added.tenant_id AND refusals.transfer_id = added.transfer_id LIMIT 1
                )
            ) AS used
        );
    END IF;
    IF NOT v_allowed THEN
        RAISE EXCEPTION 'authorization: no decision that allows it' USING ERRCODE = '23503';
    END IF;
    IF v_used THEN
        RAISE EXCEPTION 'authorization: the transfer id was used' USING ERRCODE = '23505';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER refuse_authorization AFTER INSERT ON gate.authorizations
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION gate.refuse_authorization();
CALL core.protect_posting_table('gate.authorizations');

-- What was executed, by decision. The transfer is the consumption: its id is the decision's, and the key takes it once.
CREATE VIEW gate.consumptions WITH (security_barrier) AS
SELECT decisions.tenant_id, decisions.decision_id, decisions.proposal_id, transfers.transfer_id, transfers.recorded_at AS consumed_at
FROM gate.decisions
INNER JOIN ledger.transfers ON decisions.tenant_id = transfers.tenant_id AND decisions.transfer_id = transfers.transfer_id;

CREATE FUNCTION gate.refuse_reopening() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    IF old.state <> 'open' THEN
        RAISE EXCEPTION 'review %: it is %, a closed review stays closed', old.review_id, old.state USING ERRCODE = '23514';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER refuse_reopening BEFORE UPDATE ON gate.reviews FOR EACH ROW EXECUTE FUNCTION gate.refuse_reopening();

DO $$
DECLARE
    v_name REGCLASS;
BEGIN
    FOREACH v_name IN ARRAY ARRAY[
        'gate.policy_bundles', 'gate.decisions', 'gate.reviews', 'gate.approvals', 'gate.log_nodes', 'gate.checkpoints'
    ]::REGCLASS [] LOOP
        CALL core.protect_tenant_table(v_name);
        IF v_name <> 'gate.reviews'::REGCLASS THEN
            CALL core.protect_append_only_table(v_name);
        END IF;
    END LOOP;
END
$$;

-- Rights ----------------------------------------------------------------------------------------------------------------------

GRANT USAGE ON SCHEMA gate TO gate, executor, edge, jobs, auditor, ledger_owner, ledger_writer;
GRANT EXECUTE ON FUNCTION gate.digest_of_flat(JSONB) TO gate, ledger_writer, auditor;
GRANT EXECUTE ON FUNCTION gate.digest_of_refund(TEXT, TEXT, TEXT, TEXT, BIGINT, TEXT) TO gate, ledger_writer, auditor;
GRANT EXECUTE ON FUNCTION gate.uuid_of(TEXT), gate.plan_transfer(TEXT, TEXT, TEXT) TO gate, ledger_owner, ledger_writer, jobs, auditor;
GRANT SELECT ON
gate.policy_bundles, gate.decisions, gate.consumptions, gate.reviews, gate.approvals, gate.log_nodes, gate.checkpoints
TO gate, auditor;
GRANT SELECT ON gate.decisions, gate.consumptions TO executor, ledger_owner, ledger_writer, jobs;
-- The functions that post take what they use.
GRANT INSERT (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until) ON gate.authorizations TO gate;
GRANT SELECT ON gate.authorizations TO gate, jobs, auditor, ledger_owner;
GRANT SELECT, UPDATE, DELETE ON gate.authorizations TO ledger_writer;
GRANT INSERT ON gate.policy_bundles, gate.reviews, gate.approvals, gate.log_nodes, gate.checkpoints TO gate;
GRANT UPDATE (state, closed_at) ON gate.reviews TO gate;
-- Without `recorded_at`, which only the server writes.
GRANT INSERT (
    tenant_id, decision_id, proposal_id, previous_decision_id, approval_id, outcome, action, action_digest, action_kind, transaction_id,
    customer_id, account_id, amount_minor, currency, transfer_digest, transfer_id, reasons, origins, facts, facts_digest, score, score_reasons,
    score_ref, policy_bundle_sha256, policy_version, engine_version, prompt_id, prompt_sha256, model, operator_id, decided_at,
    expires_at, event_id
) ON gate.decisions TO gate;

SET LOCAL ROLE core_owner;
-- As for the ledger's events: only the gate says what it decided.
CREATE POLICY gate_events_from_gate ON core.events AS RESTRICTIVE FOR INSERT
WITH CHECK (event_type !~ '^(gate|review|proposal)\.' OR CURRENT_USER IN ('gate', 'gate_owner'));

RESET ROLE;
