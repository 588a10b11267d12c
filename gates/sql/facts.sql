-- name: open_case
-- Who asked about whom, both locked; JSON as text: what an attacker wrote is parsed where its faults can be caught.
SELECT
    proposal_id,
    conversation_id,
    message_id,
    kind,
    arguments,
    trace,
    submitted_at,
    customer_id,
    operator_id,
    created_at,
    message_matches,
    latest_decision_id,
    events::TEXT AS events,
    in_force::TEXT AS in_force
FROM gate.OPEN_CASE(%(proposal_id)s, %(kinds)s);

-- name: read_facts
-- Everything that the facts and origins of one act are computed from, all of one moment.
SELECT
    gate.READ_FACTS(
        %(proposal_id)s, %(conversation_id)s, %(message_id)s, %(asked_at)s, %(customer_id)s, %(operator_id)s, %(kind)s,
        %(handles)s, %(handle_kinds)s, %(currency)s, %(amount_minor)s, %(is_of_hold)s, %(wants_usual)s, %(now)s
    )::TEXT AS facts;
