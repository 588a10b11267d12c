-- name: set_session_context
-- For the session.
SELECT SET_CONFIG('tellergate.context', %(context)s, FALSE);

-- name: insert_acts
-- Executed acts of the last thirty days, spread evenly, of many customers and merchants and a few operators.
INSERT INTO gate.executed_acts (
    tenant_id, decision_id, proposal_id, action_kind, customer_id, operator_id, merchant_id, beneficiary_id, amount_minor, currency,
    transfer_id, executed_at
)
SELECT
    %(tenant_id)s,
    'dec_' || LPAD(TO_HEX(number), 32, '0'),
    'prp_' || LPAD(TO_HEX(number), 32, '0'),
    'payment',
    'cus_' || MOD(number, 5000),
    'opr_' || MOD(number, 400),
    'mrc_' || MOD(number, 400),
    'ben_' || MOD(number, 9000),
    100 + MOD(number, 9900),
    CASE MOD(number, 5) WHEN 0 THEN 'USD' ELSE 'EUR' END,
    GEN_RANDOM_UUID(),
    %(now)s::TIMESTAMPTZ - INTERVAL '30 days' * ((number::NUMERIC - 0.5) / %(acts)s)
FROM GENERATE_SERIES(1, %(acts)s::BIGINT) AS numbers (number);

-- name: vacuum
-- As autovacuum leaves tables that nothing was written to for a while.
VACUUM (ANALYZE) gate.executed_acts, gate.executed_hours;
