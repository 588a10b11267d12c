-- The gate's tables: decisions, their consumption, reviews and approvals, policy bundles, and the nodes of the receipt log.
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
            AND transfer_digest IS NOT NULL AND amount_minor > 0
            AND action ?& ARRAY['tenant_id', 'proposal_id', 'kind', 'transaction_id', 'customer_id', 'account_id', 'amount_minor', 'currency']
        )
    )
);
CREATE UNIQUE INDEX decisions_first_of_proposal ON gate.decisions (tenant_id, proposal_id) WHERE previous_decision_id IS NULL;
CREATE INDEX decisions_by_proposal ON gate.decisions (tenant_id, proposal_id, decided_at);
CREATE INDEX decisions_by_transaction ON gate.decisions (tenant_id, transaction_id, decided_at) WHERE transaction_id IS NOT NULL;
CREATE INDEX decisions_by_customer ON gate.decisions (tenant_id, customer_id, decided_at) WHERE customer_id IS NOT NULL;
CREATE INDEX decisions_allowed ON gate.decisions (tenant_id, expires_at) WHERE outcome = 'allow';

-- Written by ledger.execute_refund alone, in the transaction of the posting. One row per decision, and one per proposal.
CREATE TABLE gate.consumptions (
    tenant_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    proposal_id TEXT NOT NULL,
    transfer_id UUID NOT NULL,
    consumed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, decision_id),
    UNIQUE (tenant_id, proposal_id),
    UNIQUE (tenant_id, transfer_id, decision_id),
    FOREIGN KEY (tenant_id, decision_id, proposal_id) REFERENCES gate.decisions (tenant_id, decision_id, proposal_id)
);

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

-- Held by whoever executes or supersedes a decision of the proposal: one of the two comes first, never both.
CREATE FUNCTION gate.lock_proposal(p_tenant_id TEXT, p_proposal_id TEXT) RETURNS VOID
LANGUAGE SQL
SET search_path = pg_catalog
AS $$ SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('gate.proposal|' || p_tenant_id || '|' || p_proposal_id, 0)) $$;

CREATE FUNCTION gate.refuse_after_execution() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    PERFORM gate.lock_proposal(new.tenant_id, new.proposal_id);
    IF EXISTS (SELECT FROM gate.consumptions WHERE tenant_id = new.tenant_id AND proposal_id = new.proposal_id) THEN
        RAISE EXCEPTION 'proposal %: already executed, no further decision', new.proposal_id USING ERRCODE = '23514';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER refuse_after_execution BEFORE INSERT ON gate.decisions
FOR EACH ROW WHEN (new.previous_decision_id IS NOT NULL) EXECUTE FUNCTION gate.refuse_after_execution();

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
        'gate.policy_bundles', 'gate.decisions', 'gate.consumptions', 'gate.reviews', 'gate.approvals', 'gate.log_nodes', 'gate.checkpoints'
    ]::REGCLASS [] LOOP
        CALL core.protect_tenant_table(v_name);
        IF v_name <> 'gate.reviews'::REGCLASS THEN
            CALL core.protect_append_only_table(v_name);
        END IF;
    END LOOP;
END
$$;

-- Rights ----------------------------------------------------------------------------------------------------------------------

GRANT USAGE ON SCHEMA gate TO gate, executor, edge, jobs, auditor, ledger_owner;
GRANT EXECUTE ON FUNCTION gate.digest_of_flat(JSONB) TO gate, ledger_owner, auditor;
GRANT EXECUTE ON FUNCTION gate.digest_of_refund(TEXT, TEXT, TEXT, TEXT, BIGINT, TEXT) TO gate, ledger_owner, auditor;
GRANT EXECUTE ON FUNCTION gate.lock_proposal(TEXT, TEXT) TO gate, ledger_owner;
GRANT SELECT ON
gate.policy_bundles, gate.decisions, gate.consumptions, gate.reviews, gate.approvals, gate.log_nodes, gate.checkpoints
TO gate, auditor;
GRANT SELECT ON gate.decisions, gate.consumptions TO executor, ledger_owner;
GRANT INSERT ON gate.consumptions TO ledger_owner;
GRANT REFERENCES ON gate.consumptions TO ledger_owner;
GRANT INSERT ON gate.policy_bundles, gate.reviews, gate.approvals, gate.log_nodes, gate.checkpoints TO gate;
GRANT UPDATE (state, closed_at) ON gate.reviews TO gate;
-- Without `recorded_at`, which only the server writes.
GRANT INSERT (
    tenant_id, decision_id, proposal_id, previous_decision_id, approval_id, outcome, action, action_digest, action_kind, transaction_id,
    customer_id, account_id, amount_minor, currency, transfer_digest, reasons, origins, facts, facts_digest, score, score_reasons,
    score_ref, policy_bundle_sha256, policy_version, engine_version, prompt_id, prompt_sha256, model, operator_id, decided_at,
    expires_at, event_id
) ON gate.decisions TO gate;

SET LOCAL ROLE core_owner;
-- As for the ledger's events: only the gate says what it decided.
CREATE POLICY gate_events_from_gate ON core.events AS RESTRICTIVE FOR INSERT
WITH CHECK (event_type !~ '^(gate|review|proposal)\.' OR CURRENT_USER IN ('gate', 'gate_owner'));

RESET ROLE;
