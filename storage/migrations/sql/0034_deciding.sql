-- What a decision is made from, read in two calls: one that opens the case and keeps others out, one that reads every fact of the act.
-- With the caller's rights, and plans that are kept, as in 0032.

SET LOCAL ROLE gate_owner;

-- Who asked about whom, with the locks of both taken in this order: two decisions that draw on one budget see each other. What can
-- change is read after the locks, what is in force by its registry's kinds too. No row without an inbox row; without a turn the columns
-- of the turn are null.
CREATE FUNCTION gate.open_case(
    p_proposal_id TEXT, p_kinds TEXT[], OUT proposal_id TEXT, OUT conversation_id TEXT, OUT message_id TEXT, OUT kind TEXT, OUT arguments TEXT, OUT trace TEXT,
    OUT submitted_at TIMESTAMPTZ, OUT customer_id TEXT, OUT operator_id TEXT, OUT created_at TIMESTAMPTZ, OUT message_matches BOOLEAN,
    OUT latest_decision_id TEXT, OUT events JSONB, OUT in_force JSONB
) RETURNS SETOF RECORD
LANGUAGE plpgsql ROWS 1
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_tenant_id TEXT;
BEGIN
    SELECT
        proposals.tenant_id, proposals.proposal_id, proposals.conversation_id, proposals.message_id, proposals.kind,
        proposals.arguments::TEXT, proposals.trace::TEXT, proposals.submitted_at, conversations.customer_id, messages.operator_id,
        messages.created_at, messages.author = 'operator' AND messages.conversation_id = conversations.conversation_id
    INTO
        v_tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at, customer_id, operator_id,
        created_at, message_matches
    FROM ai.proposals AS proposals
    LEFT JOIN (
        core.conversations AS conversations
        INNER JOIN core.messages AS messages ON conversations.tenant_id = messages.tenant_id
    )
        ON proposals.tenant_id = conversations.tenant_id AND proposals.conversation_id = conversations.conversation_id
            AND proposals.message_id = messages.message_id
    WHERE proposals.proposal_id = p_proposal_id;
    IF NOT FOUND THEN RETURN; END IF;
    IF customer_id IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('gate.subject|' || v_tenant_id || '|' || customer_id, 0));
        PERFORM pg_advisory_xact_lock(hashtextextended('gate.subject|' || v_tenant_id || '|' || operator_id, 0));
    END IF;
    latest_decision_id := (
        SELECT latest.decision_id FROM gate.decisions AS latest
        WHERE latest.proposal_id = p_proposal_id AND NOT EXISTS (
            SELECT FROM gate.decisions AS later
            WHERE later.tenant_id = latest.tenant_id AND later.previous_decision_id = latest.decision_id
        )
    );
    -- The first event of each.
    events := (
        SELECT JSONB_OBJECT_AGG(told.event_type, told.event_id)
        FROM (
            SELECT DISTINCT ON (earliest.event_type) earliest.event_type, earliest.event_id
            FROM core.events AS earliest
            WHERE earliest.subject IN (p_proposal_id, message_id) AND earliest.event_type IN ('proposal.submitted', 'message.received')
            ORDER BY earliest.event_type, earliest.recorded_at, earliest.event_id
        ) AS told
    );
    in_force := (
        SELECT JSONB_AGG(JSONB_BUILD_ARRAY(
            aliases.kind, aliases.name, aliases.alias, aliases.version, artifacts.sha256, aliases.percent
        ))
        FROM core.registry_aliases AS aliases
        INNER JOIN core.registry_artifacts AS artifacts USING (tenant_id, kind, name, version)
        WHERE aliases.kind = ANY(p_kinds)
    );
    RETURN NEXT;
END
$$;

-- The bank's record of a charge with what is left of it: our own refunds and the merchant's both count.
CREATE FUNCTION gate.read_charge(p_transaction_id TEXT) RETURNS JSONB
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (
        SELECT TO_JSONB(charge) FROM (
            SELECT
                transactions.transaction_id, transactions.account_id, transactions.kind, transactions.status, transactions.amount_minor,
                transactions.currency, transactions.occurred_at, transactions.merchant_id, accounts.customer_id,
                transactions.amount_minor - COALESCE(totals.refunded_minor, 0) - COALESCE((
                    SELECT SUM(credits.amount_minor)::BIGINT FROM core.transactions AS credits
                    WHERE credits.tenant_id = transactions.tenant_id AND credits.related_transaction_id = transactions.transaction_id
                        AND credits.account_id = transactions.account_id AND credits.kind = 'merchant_refund' AND credits.status = 'posted'
                ), 0) AS remaining_minor,
                (
                    -- Executed refunds only: a denied call costs nothing.
                    SELECT COUNT(*) FROM gate.executed_acts AS acts
                    WHERE acts.tenant_id = transactions.tenant_id AND acts.transaction_id = transactions.transaction_id
                        AND acts.action_kind IN ('refund', 'fee_reversal')
                ) AS refund_count,
                EXISTS (
                    SELECT FROM core.disputes
                    WHERE disputes.tenant_id = transactions.tenant_id AND disputes.transaction_id = transactions.transaction_id
                        AND disputes.state IN ('open', 'evidence', 'submitted', 'won')
                ) AS is_disputed,
                (
                    -- Seconds to the nearest equal charge of the same day that nobody has refunded.
                    SELECT MIN(CEIL(ABS(EXTRACT(EPOCH FROM twins.occurred_at - transactions.occurred_at))))::BIGINT
                    FROM core.transactions AS twins
                    WHERE twins.tenant_id = transactions.tenant_id AND twins.account_id = transactions.account_id
                        AND twins.transaction_id <> transactions.transaction_id AND twins.kind = transactions.kind
                        AND twins.status = 'posted' AND twins.amount_minor = transactions.amount_minor
                        AND twins.currency = transactions.currency
                        AND twins.occurred_at BETWEEN transactions.occurred_at - INTERVAL '24 hours'
                        AND transactions.occurred_at + INTERVAL '24 hours'
                        AND (
                            twins.merchant_id = transactions.merchant_id
                            OR (
                                twins.merchant_id IS NULL AND transactions.merchant_id IS NULL
                                AND twins.descriptor = transactions.descriptor
                            )
                        )
                        AND NOT EXISTS (
                            SELECT FROM ledger.refund_totals AS refunded
                            WHERE refunded.tenant_id = twins.tenant_id AND refunded.transaction_id = twins.transaction_id
                                AND refunded.refunded_minor <> 0
                        )
                        AND NOT EXISTS (
                            SELECT FROM core.transactions AS credits
                            WHERE credits.tenant_id = twins.tenant_id AND credits.related_transaction_id = twins.transaction_id
                                AND credits.account_id = twins.account_id AND credits.kind = 'merchant_refund'
                                AND credits.status = 'posted'
                        )
                ) AS twin_gap_s
            FROM core.transactions
            INNER JOIN core.accounts ON transactions.tenant_id = accounts.tenant_id AND transactions.account_id = accounts.account_id
            LEFT JOIN ledger.refund_totals AS totals
                ON transactions.tenant_id = totals.tenant_id AND transactions.transaction_id = totals.transaction_id
            WHERE transactions.transaction_id = p_transaction_id
        ) AS charge
    );
END
$$;

-- The customer's and the operator's standing, what was executed for them in windows that end now, and the turn's own history.
-- No limit on record means that the operator's limit is nothing.
CREATE FUNCTION gate.read_people(p_customer_id TEXT, p_operator_id TEXT, p_kind TEXT, p_currency TEXT, p_now TIMESTAMPTZ) RETURNS JSONB
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_customer JSONB;
    v_operator JSONB;
BEGIN
    SELECT TO_JSONB(person) INTO v_customer FROM (
        SELECT
            customers.kyc_status, customers.opened_at, logins.failed_logins_7d_count, logins.foreign_logins_7d_count,
            logins.challenged_logins_24h_count, refunds.refunds_total_count, refunds.refunds_1d_count, refunds.refunds_30d_count,
            refunds.refunds_30d_minor,
            (
                SELECT COUNT(*) FROM core.devices
                WHERE devices.tenant_id = customers.tenant_id AND devices.customer_id = customers.customer_id
                    AND devices.first_seen_at > p_now - INTERVAL '24 hours' AND devices.first_seen_at <= p_now
            ) AS new_devices_24h_count,
            (
                SELECT COUNT(*) FROM core.accounts
                INNER JOIN core.transactions
                    ON accounts.tenant_id = transactions.tenant_id AND accounts.account_id = transactions.account_id
                INNER JOIN core.disputes
                    ON transactions.tenant_id = disputes.tenant_id AND transactions.transaction_id = disputes.transaction_id
                WHERE accounts.tenant_id = customers.tenant_id AND accounts.customer_id = customers.customer_id
                    AND disputes.opened_at > p_now - INTERVAL '365 days' AND disputes.opened_at <= p_now
            ) AS disputes_365d_count
        FROM core.customers
        CROSS JOIN LATERAL (
            SELECT
                COUNT(*) FILTER (WHERE outcome = 'failed') AS failed_logins_7d_count,
                COUNT(*) FILTER (WHERE outcome = 'success' AND country <> customers.country) AS foreign_logins_7d_count,
                COUNT(*) FILTER (
                    WHERE outcome = 'challenged' AND occurred_at > p_now - INTERVAL '24 hours'
                ) AS challenged_logins_24h_count
            FROM core.logins AS seen
            WHERE seen.tenant_id = customers.tenant_id AND seen.customer_id = customers.customer_id
                AND seen.occurred_at > p_now - INTERVAL '7 days' AND seen.occurred_at <= p_now
        ) AS logins
        CROSS JOIN LATERAL (
            SELECT
                COUNT(*) AS refunds_total_count,
                COUNT(*) FILTER (WHERE executed_at > p_now - INTERVAL '1 day') AS refunds_1d_count,
                COUNT(*) FILTER (WHERE executed_at > p_now - INTERVAL '30 days') AS refunds_30d_count,
                COALESCE(SUM(amount_minor) FILTER (
                    WHERE executed_at > p_now - INTERVAL '30 days' AND currency = p_currency
                ), 0) AS refunds_30d_minor
            FROM gate.executed_acts AS acts
            WHERE acts.tenant_id = customers.tenant_id AND acts.customer_id = customers.customer_id AND acts.action_kind = 'refund'
        ) AS refunds
        WHERE customers.customer_id = p_customer_id
    ) AS person;
    SELECT TO_JSONB(person) INTO v_operator FROM (
        SELECT
            operators.active, operators.roles, COALESCE(limits.limit_minor, 0) AS limit_minor,
            (
                SELECT COUNT(*) FROM gate.executed_acts AS acts
                WHERE acts.tenant_id = operators.tenant_id AND acts.operator_id = operators.operator_id AND acts.action_kind = 'refund'
                    AND acts.executed_at > p_now - INTERVAL '1 day'
            ) AS refunds_1d_count
        FROM core.operators
        LEFT JOIN core.operator_limits AS limits
            ON operators.tenant_id = limits.tenant_id AND operators.operator_id = limits.operator_id
                AND limits.action_kind = p_kind AND limits.currency = p_currency
        WHERE operators.operator_id = p_operator_id
    ) AS person;
    RETURN JSONB_BUILD_OBJECT('customer', v_customer, 'operator', v_operator);
END
$$;

-- What people wrote and asked for in a conversation: the mentions of operators up to the turn, the granted charges that they named,
-- when the proposal was first decided and how many others of its message were decided before (by the server's stamps), and the reviews
-- that were asked for beside it: of this operator within the hour and still open, and of everyone within the hour.
CREATE FUNCTION gate.read_turn(
    p_proposal_id TEXT, p_conversation_id TEXT, p_message_id TEXT, p_asked_at TIMESTAMPTZ, p_operator_id TEXT, p_now TIMESTAMPTZ
) RETURNS JSONB
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_mentions JSONB;
    v_handles TEXT[];
    v_named JSONB;
    v_first_decided_at TIMESTAMPTZ;
    v_first_recorded_at TIMESTAMPTZ;
    v_load JSONB;
BEGIN
    SELECT
        JSONB_AGG(
            JSONB_BUILD_ARRAY(mentions.message_id, mentions.kind, mentions.value, mentions.origin)
            ORDER BY messages.created_at, mentions.message_id, mentions.ordinal
        ),
        ARRAY_AGG(mentions.value) FILTER (WHERE mentions.kind = 'handle')
    INTO v_mentions, v_handles
    FROM core.messages
    INNER JOIN core.mentions ON messages.tenant_id = mentions.tenant_id AND messages.message_id = mentions.message_id
    WHERE messages.conversation_id = p_conversation_id AND messages.author = 'operator' AND messages.created_at <= p_asked_at;
    IF v_handles IS NOT NULL THEN
        SELECT JSONB_AGG(JSONB_BUILD_OBJECT(
            'handle', grants.handle, 'ref', grants.ref, 'origin', grants.origin, 'amount_minor', transactions.amount_minor,
            'currency', transactions.currency
        )) INTO v_named
        FROM core.grants
        INNER JOIN core.transactions ON grants.tenant_id = transactions.tenant_id AND grants.ref = transactions.transaction_id
        WHERE grants.conversation_id = p_conversation_id AND grants.handle = ANY(v_handles) AND grants.kind = 'transaction'
            AND grants.granted;
    END IF;
    SELECT MIN(decided_at), COALESCE(MIN(recorded_at), 'infinity') INTO v_first_decided_at, v_first_recorded_at
    FROM gate.decisions WHERE proposal_id = p_proposal_id AND previous_decision_id IS NULL;
    SELECT TO_JSONB(asked) INTO v_load FROM (
        SELECT
            COUNT(*) AS tenant_1h_count, COUNT(*) FILTER (WHERE operator_id = p_operator_id) AS source_1h_count, (
                SELECT COUNT(*) FROM gate.reviews AS waiting
                WHERE waiting.operator_id = p_operator_id AND waiting.state = 'open' AND waiting.opened_at <= p_now
                    AND waiting.proposal_id <> p_proposal_id
            ) AS source_open_count
        FROM gate.reviews
        WHERE opened_at > p_now - INTERVAL '1 hour' AND opened_at <= p_now AND proposal_id <> p_proposal_id
    ) AS asked;
    RETURN JSONB_BUILD_OBJECT(
        'mentions', v_mentions, 'named', v_named, 'load', v_load, 'first_decided_at', v_first_decided_at,
        'last_message_id', (
            SELECT message_id FROM core.messages
            WHERE conversation_id = p_conversation_id AND author = 'operator'
            ORDER BY created_at DESC, message_id DESC
            LIMIT 1
        ),
        'earlier_proposals_count', (
            SELECT COUNT(*) FROM ai.proposals
            INNER JOIN gate.decisions AS others
                ON proposals.tenant_id = others.tenant_id AND proposals.proposal_id = others.proposal_id
            WHERE proposals.conversation_id = p_conversation_id AND proposals.message_id = p_message_id
                AND proposals.proposal_id <> p_proposal_id AND others.previous_decision_id IS NULL
                AND others.recorded_at < v_first_recorded_at
        )
    );
END
$$;

-- Everything that the facts and origins of one act are computed from, all of one moment, as one object. `p_is_of_hold`: the amount, and
-- so the currency, is that of the hold it names. Who has no amount is counted in no currency. `usual` is what a baseline looks at: the charge that
-- the act is about, or the payment that it is.
CREATE FUNCTION gate.read_facts(
    p_proposal_id TEXT, p_conversation_id TEXT, p_message_id TEXT, p_asked_at TIMESTAMPTZ, p_customer_id TEXT, p_operator_id TEXT,
    p_kind TEXT, p_handles TEXT[], p_handle_kinds TEXT[], p_currency TEXT, p_amount_minor BIGINT, p_is_of_hold BOOLEAN,
    p_wants_usual BOOLEAN, p_now TIMESTAMPTZ
) RETURNS JSONB
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_records JSONB := gate.read_records(p_conversation_id, p_handles, p_handle_kinds, p_currency, p_now);
    v_base JSONB := COALESCE(
        NULLIF(v_records -> 'transaction', 'null'), NULLIF(v_records -> 'dispute', 'null'), NULLIF(v_records -> 'hold', 'null')
    );
    v_currency TEXT := COALESCE(CASE WHEN p_is_of_hold THEN v_records #>> '{hold,currency}' ELSE p_currency END, 'XXX');
BEGIN
    RETURN v_records
        || gate.read_people(p_customer_id, p_operator_id, p_kind, v_currency, p_now)
        || gate.read_turn(p_proposal_id, p_conversation_id, p_message_id, p_asked_at, p_operator_id, p_now)
        || JSONB_BUILD_OBJECT(
            'velocity', gate.count_velocity(
                p_customer_id, p_operator_id, v_base ->> 'merchant_id', v_records #>> '{beneficiary,beneficiary_id}', v_currency,
                p_proposal_id, p_now
            ),
            'is_frozen', gate.is_frozen(p_kind, p_operator_id),
            'usual', CASE WHEN p_wants_usual AND (v_base ->> 'transaction_id' IS NOT NULL OR p_kind = 'payment') THEN (
                SELECT TO_JSONB(seen) FROM core.observe_usual(
                    p_customer_id, v_base ->> 'merchant_id', v_base ->> 'transaction_id', v_currency, p_amount_minor, p_now
                ) AS seen
            ) END
        );
END
$$;

GRANT EXECUTE ON FUNCTION
gate.open_case(TEXT, TEXT[]), gate.read_charge(TEXT), gate.read_people(TEXT, TEXT, TEXT, TEXT, TIMESTAMPTZ),
gate.read_turn(TEXT, TEXT, TEXT, TIMESTAMPTZ, TEXT, TIMESTAMPTZ),
gate.read_facts(
    TEXT, TEXT, TEXT, TIMESTAMPTZ, TEXT, TEXT, TEXT, TEXT[], TEXT[], TEXT, BIGINT, BOOLEAN, BOOLEAN, TIMESTAMPTZ
)
TO gate;

RESET ROLE;
