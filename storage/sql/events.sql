-- name: insert_events
-- In their order, from objects that have the columns' names. A trigger puts them on the waiting list of the sequencer.
INSERT INTO core.events (
    tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, account_id, idempotency_key,
    amount_minor, currency, policy_decision, policy_version, model_score_ref, trace_id, data
)
SELECT
    tenant_id,
    event_id,
    event_type,
    source,
    subject,
    occurred_at,
    recorded_at,
    account_id,
    idempotency_key,
    amount_minor,
    currency,
    policy_decision,
    policy_version,
    model_score_ref,
    trace_id,
    data
FROM JSONB_POPULATE_RECORDSET(NULL::core.events, %(events)s);

-- name: find_event
-- One event of the tenant: a row of the log, or a transfer, which is its own event.
SELECT * FROM core.events
WHERE event_id = %(event_id)s
UNION ALL
SELECT * FROM ledger.transfer_events
WHERE event_id = %(event_id)s;

-- name: list_events_of
-- What happened to one subject. `transfer_id` is there when the subject is a transfer.
SELECT * FROM core.events
WHERE subject = %(subject)s
UNION ALL
SELECT * FROM ledger.transfer_events
WHERE event_id = %(transfer_id)s::UUID
ORDER BY recorded_at, event_id;

-- name: list_events
-- The log in its order. The lateral parts look each event up by its key; a union of the whole would be computed whole.
SELECT
    events.*,
    positions.position,
    positions.leaf_hash
FROM core.event_positions AS positions
CROSS JOIN
    LATERAL (
        SELECT * FROM core.events
        WHERE event_id = positions.event_id
        UNION ALL
        SELECT * FROM ledger.transfer_events
        WHERE event_id = positions.event_id
    ) AS events
WHERE positions.position > %(after_position)s
ORDER BY positions.position
LIMIT %(limit)s;

-- name: find_placement
-- Where an event stands.
SELECT
    position,
    leaf_hash
FROM core.event_positions
WHERE event_id = %(event_id)s;

-- name: list_waiting_tenants
-- Whose events wait; the policy `waiting_tenants` lets role gate see this much.
SELECT DISTINCT tenant_id FROM core.events_unsequenced
ORDER BY tenant_id;

-- name: lock_sequence
-- One sequencer a tenant at a time, till the end of the transaction.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('tellergate.sequence.' || core.current_tenant(), 0));

-- name: take_unsequenced
-- The condition on the tenant is no repetition: role gate sees the waiting list across tenants. The list is cut first, so that
-- a long one costs no more than a short one.
SELECT
    waiting.ordinal,
    events.*
FROM (
    SELECT
        ordinal,
        event_id
    FROM core.events_unsequenced
    WHERE tenant_id = (SELECT core.current_tenant())
    ORDER BY ordinal
    LIMIT %(limit)s
) AS waiting
CROSS JOIN
    LATERAL (
        SELECT * FROM core.events
        WHERE event_id = waiting.event_id
        UNION ALL
        SELECT * FROM ledger.transfer_events
        WHERE event_id = waiting.event_id
    ) AS events
ORDER BY waiting.ordinal;

-- name: next_position
-- One after the last.
SELECT COALESCE(MAX(position) + 1, 0)
FROM core.event_positions
WHERE tenant_id = (SELECT core.current_tenant());

-- name: record_positions
-- The trigger on event_positions refuses a gap, its unique key a second place for an event.
WITH placements AS (
    SELECT *
    FROM UNNEST(%(positions)s::BIGINT[], %(event_ids)s::UUID[], %(leaf_hashes)s::BYTEA[]) AS t (position, event_id, leaf_hash)
),

placed AS (
    DELETE FROM core.events_unsequenced
    WHERE tenant_id = (SELECT core.current_tenant()) AND ordinal = ANY(%(ordinals)s::BIGINT[])
)

INSERT INTO core.event_positions (tenant_id, position, event_id, leaf_hash)
SELECT
    (SELECT core.current_tenant()) AS tenant_id,
    position,
    event_id,
    leaf_hash
FROM placements
ORDER BY position;
