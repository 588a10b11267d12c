-- name: insert_instruction
-- A second instruction of the same kind and cause is refused by the unique key.
INSERT INTO core.outbox (tenant_id, instruction_id, kind, reference, payload, created_at, changed_at)
VALUES (%(tenant_id)s, %(instruction_id)s, %(kind)s, %(reference)s, %(payload)s, %(now)s, %(now)s);

-- name: take_pending
-- Oldest first; a row that another relay holds is skipped, not waited for.
SELECT * FROM core.outbox
WHERE state = 'pending'
ORDER BY created_at, instruction_id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- name: find_instruction
-- One instruction of the tenant.
SELECT * FROM core.outbox
WHERE instruction_id = %(instruction_id)s;

-- name: move_instruction
-- A trigger knows the ways between states.
UPDATE core.outbox
SET state = %(state)s, attempts = attempts + %(attempts)s, failure = %(failure)s, changed_at = %(now)s
WHERE instruction_id = %(instruction_id)s;
