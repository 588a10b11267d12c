-- name: find_import
-- The report of a file that is in already.
SELECT report FROM settlement.imports
WHERE sha256 = %(sha256)s;

-- name: insert_import
-- Last of an import, with what became of it.
INSERT INTO settlement.imports (tenant_id, sha256, imported_by, imported_at, report)
VALUES ((SELECT core.CURRENT_TENANT()), %(sha256)s, %(operator_id)s, %(now)s, %(report)s);

-- name: lock_imports
-- One import at a time, so that what is known does not change between looking and writing.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('settlement|' || core.CURRENT_TENANT(), 0));

-- name: list_batches
-- What is known of these batches.
SELECT
    batch_id,
    scheme,
    currency,
    amount_minor,
    item_count
FROM settlement.batches
WHERE batch_id = ANY(%(batch_ids)s);

-- name: list_states
-- What is known of the steps of these batches.
SELECT
    batch_id,
    state,
    occurred_at,
    expected_at,
    reason_code,
    recorded_at
FROM settlement.batch_states
WHERE batch_id = ANY(%(batch_ids)s)
ORDER BY batch_id, occurred_at, state;

-- name: insert_batches
-- Only new ones reach this.
WITH added AS (
    SELECT
        UNNEST(%(batch_ids)s::TEXT[]) AS batch_id,
        UNNEST(%(reference_keys)s::TEXT[]) AS reference_key,
        UNNEST(%(schemes)s::TEXT[]) AS scheme,
        UNNEST(%(currencies)s::TEXT[]) AS currency,
        UNNEST(%(amounts)s::BIGINT[]) AS amount_minor,
        UNNEST(%(counts)s::INTEGER[]) AS item_count
)

INSERT INTO settlement.batches (tenant_id, batch_id, reference_key, scheme, currency, amount_minor, item_count, recorded_at)
SELECT
    (SELECT core.CURRENT_TENANT()),
    added.batch_id,
    added.reference_key,
    added.scheme,
    added.currency,
    added.amount_minor,
    added.item_count,
    %(now)s
FROM added;

-- name: insert_states
-- Only new ones reach this.
WITH added AS (
    SELECT
        UNNEST(%(batch_ids)s::TEXT[]) AS batch_id,
        UNNEST(%(states)s::TEXT[]) AS state,
        UNNEST(%(occurred)s::TIMESTAMPTZ[]) AS occurred_at,
        UNNEST(%(expected)s::TIMESTAMPTZ[]) AS expected_at,
        UNNEST(%(reason_codes)s::TEXT[]) AS reason_code
)

INSERT INTO settlement.batch_states (tenant_id, batch_id, state, occurred_at, expected_at, reason_code, recorded_at)
SELECT
    (SELECT core.CURRENT_TENANT()),
    added.batch_id,
    added.state,
    added.occurred_at,
    added.expected_at,
    added.reason_code,
    %(now)s
FROM added;

-- name: insert_members
-- The same member again is no news.
WITH added AS (
    SELECT DISTINCT
        UNNEST(%(batch_ids)s::TEXT[]) AS batch_id,
        UNNEST(%(member_references)s::TEXT[]) AS reference
)

INSERT INTO settlement.batch_members (tenant_id, batch_id, reference, recorded_at)
SELECT
    (SELECT core.CURRENT_TENANT()),
    added.batch_id,
    added.reference,
    %(now)s
FROM added
ON CONFLICT DO NOTHING
RETURNING batch_id;

-- name: list_batches_of
-- The batches that carry a reference.
SELECT
    batches.batch_id,
    batches.scheme,
    batches.currency,
    batches.amount_minor,
    batches.item_count
FROM settlement.batch_members AS members
INNER JOIN settlement.batches USING (tenant_id, batch_id)
WHERE members.reference = %(reference)s
ORDER BY batches.batch_id;

-- name: list_current
-- Where the batches stand, newest first; `state` narrows it.
SELECT
    batches.batch_id,
    batches.scheme,
    batches.currency,
    batches.amount_minor,
    batches.item_count,
    current_states.state,
    current_states.occurred_at,
    current_states.expected_at,
    current_states.reason_code
FROM settlement.batches
INNER JOIN settlement.current_states USING (tenant_id, batch_id)
WHERE %(state)s::TEXT IS NULL OR current_states.state = %(state)s
ORDER BY current_states.occurred_at DESC, batches.batch_id
LIMIT %(limit)s;
