-- name: insert_decision
-- Written once, from one object that has the columns' names. `recorded_at` is the server's own stamp.
INSERT INTO gate.decisions (
    tenant_id, decision_id, proposal_id, previous_decision_id, approval_id, outcome, action, action_digest, action_kind,
    transaction_id, customer_id, account_id, beneficiary_id, merchant_id, subject_id, amount_minor, currency, hold_transfer_id,
    hold_expires_at, transfer_digest, transfer_id, reasons, origins, facts, facts_digest,
    score, score_reasons, score_ref, policy_bundle_sha256, policy_version, engine_version, prompt_id, prompt_sha256, model,
    operator_id, decided_at, expires_at, event_id
)
SELECT
    tenant_id, decision_id, proposal_id, previous_decision_id, approval_id, outcome, action, action_digest, action_kind,
    transaction_id, customer_id, account_id, beneficiary_id, merchant_id, subject_id, amount_minor, currency, hold_transfer_id,
    hold_expires_at, transfer_digest, transfer_id, reasons, origins, facts, facts_digest,
    score, score_reasons, score_ref, policy_bundle_sha256, policy_version, engine_version, prompt_id, prompt_sha256, model,
    operator_id, decided_at, expires_at, event_id
FROM JSONB_POPULATE_RECORD(NULL::gate.decisions, %(decision)s);

-- name: find_decision
-- One decision of the tenant.
SELECT * FROM gate.decisions
WHERE decision_id = %(decision_id)s;

-- name: find_latest_decision
-- The end of a proposal's chain: the one that no other names as its previous.
SELECT * FROM gate.decisions AS latest
WHERE
    latest.proposal_id = %(proposal_id)s
    AND NOT EXISTS (
        SELECT FROM gate.decisions AS later
        WHERE later.tenant_id = latest.tenant_id AND later.previous_decision_id = latest.decision_id
    );

-- name: list_undecided_proposals
-- Inbox rows that nobody asked for, the oldest first.
SELECT proposals.proposal_id
FROM ai.proposals AS proposals
WHERE
    NOT EXISTS (
        SELECT FROM gate.decisions
        WHERE decisions.tenant_id = proposals.tenant_id AND decisions.proposal_id = proposals.proposal_id
    )
    AND proposals.recorded_at > %(since)s
    AND proposals.recorded_at < %(before)s
ORDER BY proposals.recorded_at, proposals.proposal_id
LIMIT %(limit)s;

-- name: list_unexecuted_allows
-- The latest decision of its proposal allows, and nothing was posted: to execute while it lives, to close when it does not.
SELECT
    decisions.decision_id,
    decisions.proposal_id,
    decisions.expires_at
FROM gate.decisions AS decisions
WHERE
    decisions.outcome = 'allow'
    AND decisions.expires_at > %(since)s
    AND NOT EXISTS (
        SELECT FROM gate.decisions AS later
        WHERE later.tenant_id = decisions.tenant_id AND later.previous_decision_id = decisions.decision_id
    )
    AND NOT EXISTS (
        SELECT FROM gate.consumptions
        WHERE consumptions.tenant_id = decisions.tenant_id AND consumptions.decision_id = decisions.decision_id
    )
ORDER BY decisions.expires_at, decisions.decision_id
LIMIT %(limit)s;

-- name: is_frozen
-- Whether a freeze in force covers an act.
SELECT gate.IS_FROZEN(%(kind)s, %(operator_id)s);

-- name: find_hold
-- The last hold that a chain placed.
SELECT
    holds.transfer_id,
    holds.state,
    holds.expires_at
FROM gate.decisions AS decisions
INNER JOIN ledger.holds AS holds ON decisions.tenant_id = holds.tenant_id AND decisions.transfer_id = holds.transfer_id
WHERE decisions.proposal_id = %(proposal_id)s AND decisions.outcome = 'hold'
ORDER BY decisions.decided_at DESC, decisions.decision_id DESC
LIMIT 1;

-- name: list_latest_holds
-- Holds that nothing followed yet. In another order each time, so that none waits for ever behind a limit.
SELECT decisions.decision_id
FROM gate.decisions AS decisions
WHERE
    decisions.outcome = 'hold'
    AND NOT EXISTS (
        SELECT FROM gate.decisions AS later
        WHERE later.tenant_id = decisions.tenant_id AND later.previous_decision_id = decisions.decision_id
    )
ORDER BY MD5(decisions.decision_id || %(turn)s)
LIMIT %(limit)s;

-- name: find_execution_id
-- The id under which a decision was carried out: its transfer's, or that of the event of an act without one.
SELECT decisions.transfer_id
FROM gate.decisions AS decisions
WHERE
    decisions.decision_id = %(decision_id)s
    AND (
        EXISTS (
            SELECT FROM ledger.transfer_lines AS lines
            WHERE lines.tenant_id = decisions.tenant_id AND lines.transfer_id = decisions.transfer_id
        )
        OR EXISTS (
            SELECT FROM gate.executed_acts AS acts
            WHERE acts.tenant_id = decisions.tenant_id AND acts.decision_id = decisions.decision_id
        )
    );

-- name: find_event_id
-- The event that told of a subject, if it stands.
SELECT events.event_id
FROM core.events AS events
WHERE events.subject = %(subject)s AND events.event_type = %(event_type)s
ORDER BY events.recorded_at, events.event_id
LIMIT 1;

-- name: find_posting
-- What the ledger posted for a decision, read back.
SELECT
    lines.transfer_id,
    lines.amount_minor,
    lines.currency,
    lines.debit,
    lines.credit,
    lines.recorded_at AS posted_at,
    CASE
        WHEN lines.credit LIKE 'customer:%%' THEN lines.credit_balance_after_minor
        WHEN lines.debit LIKE 'customer:%%' THEN lines.debit_balance_after_minor
        ELSE 0
    END AS balance_after_minor
FROM gate.decisions AS decisions
INNER JOIN ledger.transfer_lines AS lines
    ON decisions.tenant_id = lines.tenant_id AND decisions.transfer_id = lines.transfer_id
WHERE decisions.decision_id = %(decision_id)s;
