-- name: roll_up
-- How many entries were folded in.
SELECT ledger.ROLL_UP();

-- name: expire_holds
-- How many holds were released.
SELECT ledger.EXPIRE_HOLDS(%(now)s, %(limit)s);

-- name: ensure_partitions
-- How many parts were made.
SELECT ledger.ENSURE_PARTITIONS(%(now)s, %(months)s);

-- name: rebuild_balances
-- What there was, and what the entries give.
SELECT
    rebuilding.accounts,
    rebuilding.differing,
    rebuilding.hash_before,
    rebuilding.hash_rebuilt,
    rebuilding.applied
FROM ledger.REBUILD_BALANCES(%(apply)s, %(now)s) AS rebuilding;

-- name: allow_time
-- For this transaction: the role's own limit is made for short work.
SELECT SET_CONFIG('statement_timeout', '30min', TRUE);
