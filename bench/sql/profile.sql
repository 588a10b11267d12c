-- name: become_writer
-- For this transaction; as administrator.
SET LOCAL ROLE ledger_writer;

-- name: note_tenant
-- What the functions at the door do once they have proved it.
SELECT SET_CONFIG('tellergate.tenant', %(tenant_id)s, TRUE);

-- name: time_pieces
-- Pieces of a single call.
SELECT * FROM bench.time_pieces(%(tenant_id)s);

-- name: time_batch_pieces
-- Pieces of a row in a batch.
SELECT * FROM bench.time_batch_pieces(%(tenant_id)s);

-- name: reset_function_times
-- From here on.
SELECT PG_STAT_RESET();

-- name: list_function_times
-- Without the gate's, which run before the readings. Calls, and microseconds of all of them together: with what they called, and by themselves.
SELECT schemaname || '.' || funcname, calls, total_time * 1000, self_time * 1000
FROM PG_STAT_USER_FUNCTIONS WHERE schemaname IN ('ledger', 'core') ORDER BY self_time DESC;
