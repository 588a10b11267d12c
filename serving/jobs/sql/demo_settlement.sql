-- name: find_demo_day
-- The day that the demo's records end at.
SELECT started_at FROM core.ingest_runs
WHERE kind = 'demo' AND state = 'done'
ORDER BY started_at
LIMIT 1;

-- name: list_payouts
-- What the batches carry.
SELECT
    transaction_id,
    amount_minor,
    currency,
    occurred_at,
    settles_on
FROM core.transactions
WHERE kind = 'payout' AND settles_on IS NOT NULL
ORDER BY transaction_id;
