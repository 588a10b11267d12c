-- name: sum_executed
-- What was executed within the day, by kind and currency.
SELECT
    acts.action_kind,
    acts.currency,
    COUNT(*) AS acts,
    SUM(acts.amount_minor)::BIGINT AS amount_minor,
    MAX(acts.amount_minor) AS largest_minor
FROM gate.executed_acts AS acts
WHERE acts.executed_at >= %(since)s AND acts.executed_at < %(until)s
GROUP BY acts.action_kind, acts.currency
ORDER BY acts.action_kind, acts.currency;

-- name: count_proposers
-- In whose conversations that was asked for.
SELECT
    operators.username,
    COUNT(*) AS acts
FROM gate.executed_acts AS acts
INNER JOIN core.operators AS operators ON acts.tenant_id = operators.tenant_id AND acts.operator_id = operators.operator_id
WHERE acts.executed_at >= %(since)s AND acts.executed_at < %(until)s
GROUP BY operators.username
ORDER BY operators.username;

-- name: count_approvers
-- Who approved what was executed: the verdicts on the review before its decision.
SELECT
    operators.username,
    COUNT(*) AS acts
FROM gate.executed_acts AS acts
INNER JOIN gate.decisions AS decisions ON acts.tenant_id = decisions.tenant_id AND acts.decision_id = decisions.decision_id
INNER JOIN gate.reviews AS reviews
    ON decisions.tenant_id = reviews.tenant_id AND decisions.previous_decision_id = reviews.decision_id
INNER JOIN gate.approvals AS approvals ON reviews.tenant_id = approvals.tenant_id AND reviews.review_id = approvals.review_id
INNER JOIN core.operators AS operators ON approvals.tenant_id = operators.tenant_id AND approvals.operator_id = operators.operator_id
WHERE acts.executed_at >= %(since)s AND acts.executed_at < %(until)s AND approvals.verdict = 'approve'
GROUP BY operators.username
ORDER BY operators.username;

-- name: count_decisions
-- Decisions made within the day; an id begins with its time, so the key finds them.
SELECT
    decisions.outcome,
    COUNT(*) AS decisions
FROM gate.decisions AS decisions
WHERE decisions.decision_id >= %(first_id)s AND decisions.decision_id < %(after_id)s
GROUP BY decisions.outcome
ORDER BY decisions.outcome;

-- name: count_holds
-- Holds placed within the day, by how they stand now.
SELECT
    holds.state,
    COUNT(*) AS holds
FROM ledger.holds AS holds
WHERE holds.opened_at >= %(since)s AND holds.opened_at < %(until)s
GROUP BY holds.state
ORDER BY holds.state;

-- name: count_freezes
-- Freezes made and ended within the day.
SELECT
    COUNT(*) FILTER (WHERE freezes.frozen_at >= %(since)s AND freezes.frozen_at < %(until)s) AS made,
    COUNT(*) FILTER (WHERE freezes.thawed_at >= %(since)s AND freezes.thawed_at < %(until)s) AS ended
FROM gate.freezes AS freezes;

-- name: count_incidents
-- Incidents opened within the day.
SELECT
    cases.kind,
    COUNT(*) AS incidents
FROM core.cases AS cases
WHERE cases.opened_at >= %(since)s AND cases.opened_at < %(until)s AND cases.kind NOT IN ('reconciliation_break', 'instruction_failed')
GROUP BY cases.kind
ORDER BY cases.kind;
