-- name: insert_instruction
-- A second instruction of the same kind and cause is refused by the unique key.
INSERT INTO core.outbox (tenant_id, instruction_id, kind, reference, payload, created_at, changed_at)
VALUES (%(tenant_id)s, %(instruction_id)s, %(kind)s, %(reference)s, %(payload)s, %(now)s, %(now)s);

-- name: claim_due
-- What waited longest comes first; a row that another relay holds is skipped, not waited for.
-- The attempt is counted, and the row leased, before anything leaves: whoever finds it after a crash knows that it may have arrived.
-- The earliest are taken first and looked at then: as a condition of the scan, the time was seen to be a filter over every open row.
WITH earliest AS (
    SELECT
        tenant_id,
        instruction_id,
        COALESCE(next_attempt_at, created_at) AS due_at
    FROM core.outbox
    WHERE state IN ('pending', 'sent')
    ORDER BY COALESCE(next_attempt_at, created_at), instruction_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

UPDATE core.outbox AS claimed
SET attempts = claimed.attempts + 1, next_attempt_at = %(leased_until)s, changed_at = %(now)s
FROM earliest
WHERE claimed.tenant_id = earliest.tenant_id AND claimed.instruction_id = earliest.instruction_id AND earliest.due_at <= %(now)s
RETURNING claimed.*;

-- name: find_instruction
-- One instruction of the tenant.
SELECT * FROM core.outbox
WHERE instruction_id = %(instruction_id)s;

-- name: lock_instruction
-- One instruction, held until the transaction ends.
SELECT * FROM core.outbox
WHERE instruction_id = %(instruction_id)s
FOR NO KEY UPDATE;

-- name: move_instruction
-- A trigger knows the ways between states.
UPDATE core.outbox
SET
    state = %(state)s,
    failure = %(failure)s,
    bank_reference = COALESCE(%(bank_reference)s, bank_reference),
    next_attempt_at = %(next_attempt_at)s,
    changed_at = %(now)s
WHERE instruction_id = %(instruction_id)s;

-- name: postpone
-- Only what is still open has a next time.
UPDATE core.outbox
SET next_attempt_at = %(next_attempt_at)s, changed_at = %(now)s
WHERE instruction_id = %(instruction_id)s AND state IN ('pending', 'sent');

-- name: insert_acknowledgement
-- The same a second time changes nothing.
INSERT INTO core.bank_acknowledgements (
    tenant_id, instruction_id, acknowledgement_digest, status, reason_code, bank_reference, amount_minor, currency,
    acknowledged_at, received_at, channel, effect
)
VALUES (
    %(tenant_id)s, %(instruction_id)s, %(acknowledgement_digest)s, %(status)s, %(reason_code)s, %(bank_reference)s, %(amount_minor)s,
    %(currency)s, %(acknowledged_at)s, %(received_at)s, %(channel)s, %(effect)s
)
ON CONFLICT (tenant_id, instruction_id, acknowledgement_digest) DO NOTHING;

-- name: has_acknowledgement
-- Whether the bank said exactly this before.
SELECT status FROM core.bank_acknowledgements
WHERE instruction_id = %(instruction_id)s AND acknowledgement_digest = %(acknowledgement_digest)s;

-- name: list_acknowledgements
-- What the bank said of one instruction, in the order it reached us.
SELECT * FROM core.bank_acknowledgements
WHERE instruction_id = %(instruction_id)s
ORDER BY received_at, acknowledgement_digest;

-- name: list_instructions
-- One page in one unsettled state, oldest first.
SELECT * FROM core.outbox
WHERE state = %(state)s AND (created_at, instruction_id) > (%(after_created_at)s, %(after_id)s)
ORDER BY created_at, instruction_id
LIMIT %(limit)s;

-- name: count_unsettled
-- How many stand in each state but `confirmed`, and since when the oldest does. Two parts, for the two indexes.
SELECT
    state,
    COUNT(*) AS count,
    MIN(created_at) AS oldest_created_at
FROM core.outbox
WHERE state IN ('pending', 'sent')
GROUP BY state
UNION ALL
SELECT
    state,
    COUNT(*) AS count,
    MIN(created_at) AS oldest_created_at
FROM core.outbox
WHERE state = 'failed'
GROUP BY state;
