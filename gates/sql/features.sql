-- name: count_velocity
-- Counts and sums for customer, operator, merchant, beneficiary and tenant in windows that end now, in the order of VelocityFacts.
SELECT
    TO_JSONB(gate.COUNT_VELOCITY(
        %(customer_id)s, %(operator_id)s, %(merchant_id)s, %(beneficiary_id)s, %(currency)s, %(proposal_id)s, %(now)s
    )) AS velocity;

-- name: fold_hours
-- How many rows of hours were written.
SELECT gate.fold_hours(%(now)s) AS folded;

-- name: rebuild
-- Drop and build again, with the hashes of before and after.
SELECT
    acts,
    hash_before,
    hash_after
FROM gate.rebuild_features();

-- name: list_currencies
-- The currencies of a customer's accounts.
SELECT DISTINCT accounts.currency
FROM core.accounts AS accounts
WHERE accounts.customer_id = %(customer_id)s
ORDER BY accounts.currency;
