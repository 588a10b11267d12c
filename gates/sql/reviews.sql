-- name: insert_review
-- A review waits for people; it is bound to the action and to the state it is read in.
INSERT INTO gate.reviews (
    tenant_id, review_id, proposal_id, decision_id, action_digest, state_digest, required_approvals, opened_at, expires_at
)
VALUES (
    %(tenant_id)s, %(review_id)s, %(proposal_id)s, %(decision_id)s, %(action_digest)s, %(state_digest)s,
    %(required_approvals)s, %(opened_at)s, %(expires_at)s
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
    closed_at
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
    closed_at
FROM gate.reviews
WHERE decision_id = %(decision_id)s;

-- name: lock_review
-- Verdicts on one review come one after the other.
SELECT review_id FROM gate.reviews
WHERE review_id = %(review_id)s
FOR UPDATE;

-- name: list_reviews
-- The queue, the oldest first.
SELECT
    review_id,
    decision_id
FROM gate.reviews
WHERE state = %(state)s
ORDER BY opened_at, review_id
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
    tenant_id, approval_id, review_id, operator_id, verdict, action_digest, reason, idempotency_key, event_id, created_at
)
VALUES (
    %(tenant_id)s, %(approval_id)s, %(review_id)s, %(operator_id)s, %(verdict)s, %(action_digest)s, %(reason)s,
    %(idempotency_key)s, %(event_id)s, %(created_at)s
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
