-- name: insert_review
-- A review waits for people; it is bound to the action and to the state it is read in.
INSERT INTO gate.reviews (
    tenant_id, review_id, proposal_id, decision_id, action_digest, state_digest, required_approvals, opened_at, expires_at,
    priority, group_key, operator_id
)
VALUES (
    %(tenant_id)s, %(review_id)s, %(proposal_id)s, %(decision_id)s, %(action_digest)s, %(state_digest)s,
    %(required_approvals)s, %(opened_at)s, %(expires_at)s, %(priority)s, %(group_key)s, %(operator_id)s
);

-- name: find_review
-- One review of the tenant.
SELECT
    review_id,
    proposal_id,
    decision_id,
    action_digest,
    state_digest,
    state,
    required_approvals,
    opened_at,
    expires_at,
    closed_at,
    priority,
    group_key,
    claimed_by,
    claimed_at,
    claimed_until,
    escalated_at
FROM gate.reviews
WHERE review_id = %(review_id)s;

-- name: find_review_of_decision
-- The review that a decision opened.
SELECT
    review_id,
    proposal_id,
    decision_id,
    action_digest,
    state_digest,
    state,
    required_approvals,
    opened_at,
    expires_at,
    closed_at,
    priority,
    group_key,
    claimed_by,
    claimed_at,
    claimed_until,
    escalated_at
FROM gate.reviews
WHERE decision_id = %(decision_id)s;

-- name: lock_review
-- Verdicts on one review come one after the other.
SELECT review_id FROM gate.reviews
WHERE review_id = %(review_id)s
FOR UPDATE;

-- name: list_reviews
-- Reviews in a state: what waited too long, then the riskiest, then the oldest.
SELECT
    review_id,
    decision_id
FROM gate.reviews
WHERE state = %(state)s
ORDER BY (escalated_at IS NOT NULL) DESC, priority DESC, opened_at, review_id
LIMIT %(limit)s;

-- name: list_expired_reviews
-- Open beyond their time.
SELECT review_id FROM gate.reviews
WHERE state = 'open' AND expires_at <= %(now)s
ORDER BY expires_at, review_id
LIMIT %(limit)s;

-- name: close_review
-- Only from open: the database refuses a second close.
UPDATE gate.reviews SET state = %(state)s, closed_at = %(now)s
WHERE review_id = %(review_id)s AND state = 'open';

-- name: insert_approval
-- A verdict of one person; the review's foreign key refuses one on another action.
INSERT INTO gate.approvals (
    tenant_id, approval_id, review_id, operator_id, verdict, action_digest, reason, idempotency_key, event_id, created_at,
    handled_s, group_size
)
VALUES (
    %(tenant_id)s, %(approval_id)s, %(review_id)s, %(operator_id)s, %(verdict)s, %(action_digest)s, %(reason)s,
    %(idempotency_key)s, %(event_id)s, %(created_at)s, %(handled_s)s, %(group_size)s
);

-- name: find_approval_of_operator
-- What a person said on a review before.
SELECT
    approval_id,
    verdict,
    action_digest,
    reason,
    idempotency_key
FROM gate.approvals
WHERE review_id = %(review_id)s AND operator_id = %(operator_id)s;

-- name: find_approval_by_key
-- The same request again, or another one under the same key.
SELECT
    approval_id,
    review_id,
    verdict,
    action_digest,
    reason
FROM gate.approvals
WHERE operator_id = %(operator_id)s AND idempotency_key = %(idempotency_key)s;

-- name: count_valid_approvals
-- Distinct people who may approve today, the operator who asked not among them.
SELECT COUNT(DISTINCT approvals.operator_id)
FROM gate.approvals AS approvals
INNER JOIN core.operators AS operators
    ON approvals.tenant_id = operators.tenant_id AND approvals.operator_id = operators.operator_id
WHERE
    approvals.review_id = %(review_id)s
    AND approvals.verdict = 'approve'
    AND approvals.operator_id <> %(proposer_id)s
    AND operators.active
    AND 'approver' = ANY(operators.roles);

-- name: count_alike
-- How many reviews of this group are open.
SELECT COUNT(*) FROM gate.reviews
WHERE group_key = %(group_key)s AND state = 'open';

-- name: count_answers
-- How many verdicts a person gave after a moment.
SELECT COUNT(*) FROM gate.approvals
WHERE operator_id = %(operator_id)s AND created_at > %(after)s;

-- name: find_last_answer_at
-- When a person last gave a verdict.
SELECT approvals.created_at FROM gate.approvals AS approvals
WHERE approvals.operator_id = %(operator_id)s
ORDER BY approvals.created_at DESC
LIMIT 1;

-- name: take_claim
-- Only of an open review that nobody else holds. Whoever holds it keeps his first moment and gets more time.
UPDATE gate.reviews SET
    claimed_by = %(operator_id)s,
    claimed_at = CASE WHEN claimed_by = %(operator_id)s AND claimed_until > %(now)s THEN claimed_at ELSE %(now)s END,
    claimed_until = %(until)s
WHERE
    review_id = %(review_id)s
    AND state = 'open'
    AND (claimed_by IS NULL OR claimed_by = %(operator_id)s OR claimed_until <= %(now)s);

-- name: drop_claim
-- Of whoever holds it; a closed review stays as it was closed.
UPDATE gate.reviews SET claimed_by = NULL, claimed_at = NULL, claimed_until = NULL
WHERE review_id = %(review_id)s AND state = 'open' AND claimed_by = %(operator_id)s;

-- name: list_queue
-- What waits for people, with what its place in the queue depends on.
SELECT
    reviews.review_id,
    reviews.proposal_id,
    reviews.decision_id,
    reviews.group_key,
    reviews.priority,
    reviews.opened_at,
    reviews.expires_at,
    reviews.escalated_at,
    reviews.required_approvals,
    reviews.claimed_by,
    reviews.claimed_until,
    decisions.operator_id,
    decisions.action_kind,
    decisions.action_digest,
    decisions.amount_minor,
    decisions.currency,
    (
        SELECT COUNT(*) FROM gate.approvals AS approvals
        WHERE approvals.tenant_id = reviews.tenant_id AND approvals.review_id = reviews.review_id
    ) AS answers
FROM gate.reviews AS reviews
INNER JOIN gate.decisions AS decisions
    ON reviews.tenant_id = decisions.tenant_id AND reviews.decision_id = decisions.decision_id
WHERE reviews.state = 'open'
ORDER BY (reviews.escalated_at IS NOT NULL) DESC, reviews.priority DESC, reviews.opened_at, reviews.review_id
LIMIT %(limit)s;

-- name: mark_escalated
-- Open for too long, told once.
UPDATE gate.reviews SET escalated_at = %(now)s
WHERE
    review_id IN (
        SELECT due.review_id FROM gate.reviews AS due
        WHERE due.state = 'open' AND due.escalated_at IS NULL AND due.opened_at <= %(opened_before)s
        ORDER BY due.opened_at, due.review_id
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    )
    AND state = 'open' AND escalated_at IS NULL
RETURNING review_id, proposal_id, decision_id, priority, opened_at;

-- name: list_pace
-- How fast people answered, the latest hours first.
SELECT
    operator_id,
    hour,
    verdicts,
    approved,
    median_handled_s,
    fast,
    most_within_5min,
    is_bulk
FROM gate.reviewer_pace
WHERE hour >= %(since)s
ORDER BY hour DESC, operator_id
LIMIT %(limit)s;

-- name: list_outcomes
-- Verdicts with what was shown, in the order they were given.
SELECT
    approval_id,
    review_id,
    decision_id,
    proposal_id,
    review_state,
    state_digest,
    opened_at,
    action_kind,
    action_digest,
    amount_minor,
    currency,
    origins,
    facts,
    facts_digest,
    score,
    score_reasons,
    score_ref,
    reasons,
    policy_bundle_sha256,
    policy_version,
    prompt_id,
    prompt_sha256,
    model,
    asked_by,
    verdict,
    rationale_sha256,
    answered_by,
    answered_at,
    handled_s,
    group_size
FROM gate.review_outcomes
WHERE approval_id > %(after)s
ORDER BY approval_id
LIMIT %(limit)s;

-- name: count_overruled_rules
-- Of the closed reviews that a rule asked for and people answered: how many they approved.
SELECT
    reason ->> 'code' AS code,
    reason ->> 'policy_id' AS policy_id,
    COUNT(*) AS answered,
    COUNT(*) FILTER (WHERE reviews.state = 'approved') AS overruled
FROM gate.reviews AS reviews
INNER JOIN gate.decisions AS decisions
    ON reviews.tenant_id = decisions.tenant_id AND reviews.decision_id = decisions.decision_id
CROSS JOIN LATERAL JSONB_ARRAY_ELEMENTS(decisions.reasons) AS reason
WHERE reviews.state IN ('approved', 'refused') AND reason ->> 'outcome' = 'review'
GROUP BY reason ->> 'code', reason ->> 'policy_id'
ORDER BY reason ->> 'code', reason ->> 'policy_id';

-- name: count_overruled_models
-- Of the closed reviews of what a model proposed and people answered: how many they refused.
SELECT
    decisions.model,
    decisions.prompt_id,
    COUNT(*) AS answered,
    COUNT(*) FILTER (WHERE reviews.state = 'refused') AS overruled
FROM gate.reviews AS reviews
INNER JOIN gate.decisions AS decisions
    ON reviews.tenant_id = decisions.tenant_id AND reviews.decision_id = decisions.decision_id
WHERE reviews.state IN ('approved', 'refused')
GROUP BY decisions.model, decisions.prompt_id
ORDER BY decisions.model, decisions.prompt_id;

-- name: find_session
-- Who holds this token now: not revoked, not expired, and still active.
SELECT
    sessions.operator_id,
    operators.roles
FROM core.sessions AS sessions
INNER JOIN core.operators AS operators
    ON sessions.tenant_id = operators.tenant_id AND sessions.operator_id = operators.operator_id
WHERE
    sessions.token_sha256 = %(token_sha256)s
    AND sessions.revoked_at IS NULL
    AND sessions.created_at <= %(now)s
    AND sessions.expires_at > %(now)s
    AND operators.active;
