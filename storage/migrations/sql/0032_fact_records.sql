-- The records that an act names and the pace of its subjects, each read in one call of a decision (0034). These functions run with the
-- caller's rights: row-level security binds them as it binds the statements that they hold. Their plans are kept, because planning
-- the same look-ups by key anew cost more than the look-ups; and they are look-ups by key whatever the tables' sizes are, since a plan
-- that was made for an empty table would read a full one whole. What such a function calls is planned under its settings.

SET LOCAL ROLE core_owner;

CREATE INDEX transactions_by_related ON core.transactions (tenant_id, related_transaction_id) WHERE related_transaction_id IS NOT NULL;

RESET ROLE;
SET LOCAL ROLE gate_owner;

-- Counts and sums of what was executed, and of what is allowed and waits, in windows that end now: for customer, operator, merchant,
-- beneficiary and tenant, of 1 h, 24 h, 7 d and 30 d each, a count and a sum; 40 numbers in this order. A subject that is null counts
-- nothing. Sums are in one currency. Of the tenant whole hours are read instead of rows: an hour counts in a window when it began in
-- it; of the hour in which a window begins the rows count, and for that window alone.
CREATE FUNCTION gate.count_velocity(
    p_customer_id TEXT, p_operator_id TEXT, p_merchant_id TEXT, p_beneficiary_id TEXT, p_currency TEXT, p_proposal_id TEXT, p_now TIMESTAMPTZ
) RETURNS NUMERIC[]
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_1h TIMESTAMPTZ := p_now - INTERVAL '1 hour';
    v_24h TIMESTAMPTZ := p_now - INTERVAL '24 hours';
    v_7d TIMESTAMPTZ := p_now - INTERVAL '168 hours';
    v_30d TIMESTAMPTZ := p_now - INTERVAL '720 hours';
    v_none NUMERIC[] := '{0,0,0,0,0,0,0,0}';
    v_folded TIMESTAMPTZ;
    v_customer NUMERIC[];
    v_operator NUMERIC[];
    v_merchant NUMERIC[];
    v_beneficiary NUMERIC[];
    v_tenant NUMERIC[];
    v_edges NUMERIC[];
    v_reserved NUMERIC[];
    v_runs NUMERIC[];
BEGIN
    IF p_customer_id IS NOT NULL THEN
        SELECT ARRAY[
            COUNT(*) FILTER (WHERE executed_at > v_1h), SUM(amount_minor) FILTER (WHERE executed_at > v_1h AND currency = p_currency),
            COUNT(*) FILTER (WHERE executed_at > v_24h), SUM(amount_minor) FILTER (WHERE executed_at > v_24h AND currency = p_currency),
            COUNT(*) FILTER (WHERE executed_at > v_7d), SUM(amount_minor) FILTER (WHERE executed_at > v_7d AND currency = p_currency),
            COUNT(*), SUM(amount_minor) FILTER (WHERE currency = p_currency)
        ] INTO v_customer
        FROM gate.executed_acts
        WHERE customer_id = p_customer_id AND executed_at > v_30d AND executed_at <= p_now AND amount_minor > 0;
    END IF;
    IF p_operator_id IS NOT NULL THEN
        SELECT ARRAY[
            COUNT(*) FILTER (WHERE executed_at > v_1h), SUM(amount_minor) FILTER (WHERE executed_at > v_1h AND currency = p_currency),
            COUNT(*) FILTER (WHERE executed_at > v_24h), SUM(amount_minor) FILTER (WHERE executed_at > v_24h AND currency = p_currency),
            COUNT(*) FILTER (WHERE executed_at > v_7d), SUM(amount_minor) FILTER (WHERE executed_at > v_7d AND currency = p_currency),
            COUNT(*), SUM(amount_minor) FILTER (WHERE currency = p_currency)
        ] INTO v_operator
        FROM gate.executed_acts
        WHERE operator_id = p_operator_id AND executed_at > v_30d AND executed_at <= p_now AND amount_minor > 0;
    END IF;
    IF p_merchant_id IS NOT NULL THEN
        SELECT ARRAY[
            COUNT(*) FILTER (WHERE executed_at > v_1h), SUM(amount_minor) FILTER (WHERE executed_at > v_1h AND currency = p_currency),
            COUNT(*) FILTER (WHERE executed_at > v_24h), SUM(amount_minor) FILTER (WHERE executed_at > v_24h AND currency = p_currency),
            COUNT(*) FILTER (WHERE executed_at > v_7d), SUM(amount_minor) FILTER (WHERE executed_at > v_7d AND currency = p_currency),
            COUNT(*), SUM(amount_minor) FILTER (WHERE currency = p_currency)
        ] INTO v_merchant
        FROM gate.executed_acts
        WHERE merchant_id = p_merchant_id AND executed_at > v_30d AND executed_at <= p_now AND amount_minor > 0;
    END IF;
    IF p_beneficiary_id IS NOT NULL THEN
        SELECT ARRAY[
            COUNT(*) FILTER (WHERE executed_at > v_1h), SUM(amount_minor) FILTER (WHERE executed_at > v_1h AND currency = p_currency),
            COUNT(*) FILTER (WHERE executed_at > v_24h), SUM(amount_minor) FILTER (WHERE executed_at > v_24h AND currency = p_currency),
            COUNT(*) FILTER (WHERE executed_at > v_7d), SUM(amount_minor) FILTER (WHERE executed_at > v_7d AND currency = p_currency),
            COUNT(*), SUM(amount_minor) FILTER (WHERE currency = p_currency)
        ] INTO v_beneficiary
        FROM gate.executed_acts
        WHERE beneficiary_id = p_beneficiary_id AND executed_at > v_30d AND executed_at <= p_now AND amount_minor > 0;
    END IF;
    SELECT LEAST(COALESCE(MAX(hour) + INTERVAL '1 hour', '-infinity'), DATE_TRUNC('hour', p_now, 'UTC')) INTO v_folded
    FROM gate.executed_hours;
    -- Each row is counted where it is youngest, and then in the longer windows too.
    SELECT ARRAY[
        SUM(acts) FILTER (WHERE place <= 1), SUM(amount_minor) FILTER (WHERE place <= 1),
        SUM(acts) FILTER (WHERE place <= 2), SUM(amount_minor) FILTER (WHERE place <= 2),
        SUM(acts) FILTER (WHERE place <= 3), SUM(amount_minor) FILTER (WHERE place <= 3),
        SUM(acts), SUM(amount_minor)
    ] INTO v_tenant
    FROM (
        SELECT
            CASE WHEN hour > v_1h THEN 1 WHEN hour > v_24h THEN 2 WHEN hour > v_7d THEN 3 ELSE 4 END, acts,
            CASE WHEN currency = p_currency THEN amount_minor END
        FROM gate.executed_hours WHERE hour > v_30d AND hour < v_folded
        UNION ALL
        SELECT parts.place, rows.acts, rows.amount_minor
        FROM (VALUES (1, v_1h, p_now), (2, v_24h, v_1h), (3, v_7d, v_24h), (4, v_30d, v_7d)) AS parts (place, after, until)
        CROSS JOIN LATERAL (
            SELECT COUNT(*) AS acts, SUM(amount_minor) FILTER (WHERE currency = p_currency) AS amount_minor
            FROM gate.executed_acts
            WHERE executed_at > parts.after AND executed_at <= parts.until AND executed_at >= v_folded AND amount_minor > 0
        ) AS rows
    ) AS done (place, acts, amount_minor);
    -- Of the hour in which a window begins, if it is rolled up.
    SELECT ARRAY_AGG(edges.number ORDER BY windows.place, edges.is_sum) INTO v_edges
    FROM (VALUES (1, v_1h), (2, v_24h), (3, v_7d), (4, v_30d)) AS windows (place, since)
    CROSS JOIN LATERAL (
        SELECT COUNT(*) AS acts, SUM(amount_minor) FILTER (WHERE currency = p_currency) AS amount_minor
        FROM gate.executed_acts
        WHERE executed_at > windows.since AND executed_at < DATE_TRUNC('hour', windows.since, 'UTC') + INTERVAL '1 hour'
            AND executed_at < v_folded AND amount_minor > 0
    ) AS rows
    CROSS JOIN LATERAL (VALUES (FALSE, rows.acts::NUMERIC), (TRUE, rows.amount_minor)) AS edges (is_sum, number);
    SELECT ARRAY_AGG(reserved.number ORDER BY subjects.place, reserved.is_sum) INTO v_reserved
    FROM (
        SELECT 1, COUNT(*), SUM(reserved_minor) FILTER (WHERE currency = p_currency) FROM gate.authorizations
        WHERE customer_id = p_customer_id AND valid_until > p_now AND reserved_minor > 0 AND proposal_id <> p_proposal_id
        UNION ALL
        SELECT 2, COUNT(*), SUM(reserved_minor) FILTER (WHERE currency = p_currency) FROM gate.authorizations
        WHERE operator_id = p_operator_id AND valid_until > p_now AND reserved_minor > 0 AND proposal_id <> p_proposal_id
        UNION ALL
        SELECT 3, COUNT(*), SUM(reserved_minor) FILTER (WHERE currency = p_currency) FROM gate.authorizations
        WHERE merchant_id = p_merchant_id AND valid_until > p_now AND reserved_minor > 0 AND proposal_id <> p_proposal_id
        UNION ALL
        SELECT 4, COUNT(*), SUM(reserved_minor) FILTER (WHERE currency = p_currency) FROM gate.authorizations
        WHERE beneficiary_id = p_beneficiary_id AND valid_until > p_now AND reserved_minor > 0 AND proposal_id <> p_proposal_id
        UNION ALL
        SELECT 5, COUNT(*), SUM(reserved_minor) FILTER (WHERE currency = p_currency) FROM gate.authorizations
        WHERE valid_until > p_now AND reserved_minor > 0 AND proposal_id <> p_proposal_id
    ) AS subjects (place, acts, amount_minor)
    CROSS JOIN LATERAL (VALUES (FALSE, subjects.acts::NUMERIC), (TRUE, subjects.amount_minor)) AS reserved (is_sum, number);
    -- A run of payments is authorized one by one, and by another hand.
    IF EXISTS (SELECT FROM gate.authorizations WHERE valid_until > p_now AND reserved_minor IS NULL) THEN
        SELECT ARRAY[
            COUNT(*) FILTER (WHERE decisions.customer_id = p_customer_id),
            SUM(decisions.amount_minor) FILTER (WHERE decisions.customer_id = p_customer_id AND decisions.currency = p_currency),
            COUNT(*) FILTER (WHERE decisions.operator_id = p_operator_id),
            SUM(decisions.amount_minor) FILTER (WHERE decisions.operator_id = p_operator_id AND decisions.currency = p_currency),
            COUNT(*) FILTER (WHERE decisions.merchant_id = p_merchant_id),
            SUM(decisions.amount_minor) FILTER (WHERE decisions.merchant_id = p_merchant_id AND decisions.currency = p_currency),
            COUNT(*) FILTER (WHERE decisions.beneficiary_id = p_beneficiary_id),
            SUM(decisions.amount_minor) FILTER (WHERE decisions.beneficiary_id = p_beneficiary_id AND decisions.currency = p_currency),
            COUNT(*), SUM(decisions.amount_minor) FILTER (WHERE decisions.currency = p_currency)
        ] INTO v_runs
        FROM gate.authorizations
        INNER JOIN gate.decisions
            ON authorizations.tenant_id = decisions.tenant_id
                AND decisions.decision_id = 'dec_' || REPLACE(authorizations.decision_id::TEXT, '-', '')
        WHERE authorizations.valid_until > p_now AND authorizations.reserved_minor IS NULL AND decisions.outcome = 'allow'
            AND decisions.action_kind <> 'hold_release' AND decisions.amount_minor > 0 AND decisions.proposal_id <> p_proposal_id;
    END IF;
    RETURN (
        SELECT ARRAY_AGG(
            COALESCE(done, 0) + COALESCE(v_edges[place - 32], 0)
            + COALESCE(v_reserved[(place - 1) / 8 * 2 + (place - 1) % 2 + 1], 0)
            + COALESCE(v_runs[(place - 1) / 8 * 2 + (place - 1) % 2 + 1], 0)
            ORDER BY place
        )
        FROM UNNEST(
            COALESCE(v_customer, v_none) || COALESCE(v_operator, v_none) || COALESCE(v_merchant, v_none)
            || COALESCE(v_beneficiary, v_none) || v_tenant
        ) WITH ORDINALITY AS counted (done, place)
    );
END
$$;

-- The records that an act names, one object by kind, read through the conversation's grants and nowhere else: `grants` says for which handles.
-- `p_handles` come with the kind of record that each must stand for. An account that is not named is that of the charge, of the
-- disputed charge or of the hold. `p_currency` is the act's, null where it names none: then the record's.
CREATE FUNCTION gate.read_records(p_conversation_id TEXT, p_handles TEXT[], p_kinds TEXT[], p_currency TEXT, p_now TIMESTAMPTZ)
RETURNS JSONB
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_grants JSONB;
    v_refs JSONB;
    v_transaction JSONB;
    v_beneficiary JSONB;
    v_dispute JSONB;
    v_card JSONB;
    v_hold JSONB;
    v_case JSONB;
    v_account JSONB;
    v_account_id TEXT;
BEGIN
    SELECT
        JSONB_AGG(JSONB_BUILD_OBJECT('handle', grants.handle, 'kind', grants.kind, 'ref', grants.ref, 'origin', grants.origin)),
        JSONB_OBJECT_AGG(grants.kind, grants.ref)
    INTO v_grants, v_refs
    FROM UNNEST(p_handles, p_kinds) AS wanted (handle, kind)
    INNER JOIN core.grants ON wanted.handle = grants.handle AND wanted.kind = grants.kind
    WHERE grants.conversation_id = p_conversation_id AND grants.granted
    HAVING COUNT(*) > 0;
    IF v_refs IS NULL THEN RETURN '{"grants":[]}'; END IF;
    IF v_refs ? 'transaction' THEN v_transaction := gate.read_charge(v_refs ->> 'transaction'); END IF;
    IF v_refs ? 'beneficiary' THEN
        SELECT TO_JSONB(payee) INTO v_beneficiary FROM (
            SELECT
                beneficiary_id, customer_id, currency, screening_state, added_at, verified_at IS NOT NULL AS is_verified,
                account_number_token AS token, name_token, paid.changed_30d_count,
                GREATEST(paid.paid_count, sent.paid_count) AS paid_count, GREATEST(paid.max_paid_minor, sent.max_paid_minor) AS max_paid_minor
            FROM core.beneficiaries AS payees
            -- Executed, or sent by the bank, which tells of ours too.
            CROSS JOIN LATERAL (
                SELECT
                    COUNT(*) FILTER (
                        WHERE acts.action_kind = 'beneficiary_change' AND acts.executed_at > p_now - INTERVAL '30 days'
                    ) AS changed_30d_count,
                    COUNT(*) FILTER (WHERE acts.action_kind = 'payment') AS paid_count,
                    COALESCE(MAX(acts.amount_minor) FILTER (
                        WHERE acts.action_kind = 'payment' AND acts.currency = COALESCE(p_currency, payees.currency)
                    ), 0) AS max_paid_minor
                FROM gate.executed_acts AS acts
                WHERE acts.beneficiary_id = payees.beneficiary_id AND acts.executed_at <= p_now
            ) AS paid
            CROSS JOIN LATERAL (
                SELECT
                    COUNT(*) AS paid_count,
                    COALESCE(MAX(amount_minor) FILTER (WHERE currency = COALESCE(p_currency, payees.currency)), 0) AS max_paid_minor
                FROM core.transactions AS moved
                WHERE moved.beneficiary_id = payees.beneficiary_id AND kind = 'transfer_out' AND status = 'posted' AND occurred_at <= p_now
            ) AS sent
            WHERE payees.beneficiary_id = v_refs ->> 'beneficiary'
        ) AS payee;
    END IF;
    IF v_refs ? 'dispute' THEN
        SELECT TO_JSONB(disputed) INTO v_dispute FROM (
            SELECT
                disputes.state, disputes.opened_at, disputes.transaction_id, transactions.account_id, transactions.merchant_id,
                transactions.kind, transactions.amount_minor AS charge_minor, transactions.currency, transactions.occurred_at,
                accounts.customer_id, accounts.opened_at AS account_opened_at, sums.provisional_minor, sums.writeoff_minor
            FROM core.disputes
            INNER JOIN core.transactions
                ON disputes.tenant_id = transactions.tenant_id AND disputes.transaction_id = transactions.transaction_id
            INNER JOIN core.accounts ON transactions.tenant_id = accounts.tenant_id AND transactions.account_id = accounts.account_id
            CROSS JOIN LATERAL (
                SELECT
                    COALESCE(SUM(amount_minor) FILTER (WHERE action_kind = 'provisional_credit'), 0) AS provisional_minor,
                    COALESCE(SUM(amount_minor) FILTER (WHERE action_kind = 'dispute_writeoff'), 0) AS writeoff_minor
                FROM gate.executed_acts AS acts WHERE acts.subject_id = disputes.dispute_id
            ) AS sums
            WHERE disputes.dispute_id = v_refs ->> 'dispute'
        ) AS disputed;
    END IF;
    IF v_refs ->> 'hold' ~ '^tfr_[0-9a-f]{32}$' THEN
        SELECT TO_JSONB(held) INTO v_hold FROM (
            SELECT holds.state, holds.held_minor AS amount_minor, holds.currency, accounts.account_id, accounts.customer_id
            FROM ledger.hold_lines AS holds
            LEFT JOIN core.accounts
                ON holds.tenant_id = accounts.tenant_id
                    AND accounts.account_id = SUBSTR(CASE WHEN holds.debit LIKE 'customer:%' THEN holds.debit ELSE holds.credit END, 10)
            WHERE holds.transfer_id = SUBSTR(v_refs ->> 'hold', 5)::UUID
        ) AS held;
    END IF;
    IF v_refs ? 'card' THEN
        SELECT JSONB_BUILD_OBJECT('status', cards.status, 'customer_id', accounts.customer_id) INTO v_card
        FROM core.cards
        INNER JOIN core.accounts ON cards.tenant_id = accounts.tenant_id AND cards.account_id = accounts.account_id
        WHERE cards.card_id = v_refs ->> 'card';
    END IF;
    IF v_refs ? 'case' THEN
        SELECT JSONB_BUILD_OBJECT('kind', kind, 'state', state) INTO v_case FROM core.cases WHERE case_id = v_refs ->> 'case';
    END IF;
    v_account_id := COALESCE(v_refs ->> 'account', COALESCE(v_transaction, v_dispute, v_hold) ->> 'account_id');
    IF v_account_id IS NOT NULL THEN
        SELECT TO_JSONB(named) INTO v_account FROM (
            SELECT
                accounts.customer_id, accounts.status, accounts.currency, COALESCE((
                    SELECT balances.version FROM ledger.account_balances AS balances
                    WHERE balances.tenant_id = accounts.tenant_id AND balances.code = 'customer:' || accounts.account_id
                        AND balances.currency = COALESCE(v_hold ->> 'currency', p_currency, accounts.currency)
                ), 0) AS ledger_version
            FROM core.accounts WHERE accounts.account_id = v_account_id
        ) AS named;
    END IF;
    RETURN JSONB_BUILD_OBJECT(
        'grants', v_grants, 'transaction', v_transaction, 'beneficiary', v_beneficiary, 'dispute', v_dispute, 'hold', v_hold,
        'card', v_card, 'case', v_case, 'account', v_account
    );
END
$$;

GRANT EXECUTE ON FUNCTION
gate.count_velocity(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TIMESTAMPTZ),
gate.read_records(TEXT, TEXT[], TEXT[], TEXT, TIMESTAMPTZ)
TO gate;

RESET ROLE;
