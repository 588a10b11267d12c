-- name: execute_refund
-- The one call that moves money; the role executor may make it and write nothing else.
SELECT * FROM ledger.execute_refund(%(decision_id)s, %(transfer_id)s, %(now)s);
