-- Score models and baselines in force: what is usual, what a candidate would have scored, and what the baselines look at.

SET LOCAL ROLE core_owner;

-- Who ends a freeze closes the case that told of it; the gate closes no other.
GRANT UPDATE (state, closed_at, closed_by, outcome, note) ON core.cases TO gate;
CREATE POLICY gate_closes_freezes ON core.cases AS RESTRICTIVE FOR UPDATE TO gate USING (kind = 'gate_frozen');

CREATE INDEX transactions_by_merchant ON core.transactions (tenant_id, merchant_id, occurred_at DESC) WHERE merchant_id IS NOT NULL;

-- What a customer and a merchant did up to one payment, that payment among it: the hour and the day that end with it. For a payment
-- of the bank's records (p_transaction_id) these end at its own time; for one that is only proposed (NULL) they end at p_at, and its
-- amount is added. One row, always; a merchant that is not there gives zeros. Half-open windows: `(at - length, at]`.
CREATE FUNCTION core.observe_usual(
    p_customer_id TEXT, p_merchant_id TEXT, p_transaction_id TEXT, p_currency TEXT, p_amount_minor BIGINT, p_at TIMESTAMPTZ
) RETURNS TABLE (
    amount_minor BIGINT,
    payments_1h_count BIGINT,
    payments_24h_count BIGINT,
    payments_24h_minor BIGINT,
    merchant_payments_1h_count BIGINT,
    merchant_declines_1h_count BIGINT,
    merchant_small_1h_count BIGINT
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_at TIMESTAMPTZ := p_at;
    v_own_count BIGINT := 1;
    v_amount_minor BIGINT := p_amount_minor;
    v_currency TEXT := p_currency;
    v_payment core.transactions;
BEGIN
    IF p_transaction_id IS NOT NULL THEN
        SELECT * INTO v_payment FROM core.transactions
        WHERE transactions.tenant_id = v_tenant_id AND transactions.transaction_id = p_transaction_id;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        v_at := v_payment.occurred_at;
        v_currency := v_payment.currency;
        v_amount_minor := v_payment.amount_minor;
        v_own_count := 0;
    END IF;
    SELECT
        COUNT(*) FILTER (WHERE transactions.occurred_at > v_at - INTERVAL '1 hour') + v_own_count,
        COUNT(*) + v_own_count,
        COALESCE(SUM(transactions.amount_minor), 0) + v_own_count * v_amount_minor
    INTO payments_1h_count, payments_24h_count, payments_24h_minor
    FROM core.accounts
    INNER JOIN core.transactions
        ON accounts.tenant_id = transactions.tenant_id AND accounts.account_id = transactions.account_id
    WHERE accounts.tenant_id = v_tenant_id AND accounts.customer_id = p_customer_id
        AND transactions.kind IN ('card_payment', 'transfer_out') AND transactions.currency = v_currency
        AND transactions.occurred_at > v_at - INTERVAL '24 hours' AND transactions.occurred_at <= v_at
        -- Of payments at the very same time the first by id are before this one.
        AND (p_transaction_id IS NULL OR transactions.occurred_at < v_at OR transactions.transaction_id COLLATE "C" <= p_transaction_id);
    SELECT
        COUNT(*),
        COUNT(*) FILTER (WHERE transactions.status = 'declined'),
        COUNT(*) FILTER (WHERE transactions.amount_minor <= 500)
    INTO merchant_payments_1h_count, merchant_declines_1h_count, merchant_small_1h_count
    FROM core.transactions
    WHERE transactions.tenant_id = v_tenant_id AND transactions.merchant_id = p_merchant_id AND transactions.kind = 'card_payment'
        AND transactions.occurred_at > v_at - INTERVAL '1 hour' AND transactions.occurred_at <= v_at
        AND (p_transaction_id IS NULL OR transactions.occurred_at < v_at OR transactions.transaction_id COLLATE "C" <= p_transaction_id);
    amount_minor := v_amount_minor;
    RETURN NEXT;
END
$$;
GRANT EXECUTE ON FUNCTION core.observe_usual(TEXT, TEXT, TEXT, TEXT, BIGINT, TIMESTAMPTZ) TO gate, gate_owner;

RESET ROLE;
SET LOCAL ROLE gate_owner;

-- What was learned to be usual, by the hash of it.
CREATE TABLE gate.baselines (
    tenant_id TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    content JSONB NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);
-- What a candidate would have scored, and what would have been decided with that. Nothing follows from a row of this.
CREATE TABLE gate.shadow_scores (
    tenant_id TEXT NOT NULL,
    decision_id TEXT NOT NULL CHECK (decision_id ~ '^dec_[0-9a-f]{32}$'),
    model_ref TEXT NOT NULL,
    score SMALLINT NOT NULL CHECK (score BETWEEN 0 AND 1000),
    reasons JSONB NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('allow', 'review', 'hold', 'deny')),
    differs BOOLEAN NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, decision_id, model_ref)
);
CALL core.protect_tenant_table('gate.baselines');
CALL core.protect_append_only_table('gate.baselines');
CALL core.protect_tenant_table('gate.shadow_scores');
CALL core.protect_append_only_table('gate.shadow_scores');
GRANT SELECT ON gate.baselines, gate.shadow_scores TO gate, auditor;
GRANT INSERT ON gate.baselines, gate.shadow_scores TO gate;

RESET ROLE;
