-- name: list_chain
-- Every decision of the proposal that a decision belongs to.
SELECT decisions.*
FROM gate.decisions AS decisions
INNER JOIN gate.decisions AS wanted ON decisions.tenant_id = wanted.tenant_id AND decisions.proposal_id = wanted.proposal_id
WHERE wanted.decision_id = %(decision_id)s
ORDER BY decisions.recorded_at, decisions.decision_id;

-- name: find_message
-- What was asked, as the model saw it.
SELECT
    masked_text,
    operator_id,
    created_at
FROM core.messages
WHERE message_id = %(message_id)s;

-- name: list_answers
-- What people said to these decisions.
SELECT
    reviews.decision_id,
    reviews.review_id,
    reviews.required_approvals,
    approvals.operator_id,
    approvals.verdict,
    approvals.reason,
    approvals.created_at
FROM gate.reviews AS reviews
INNER JOIN gate.approvals AS approvals ON reviews.tenant_id = approvals.tenant_id AND reviews.review_id = approvals.review_id
WHERE reviews.decision_id = ANY(%(decision_ids)s)
ORDER BY approvals.created_at, approvals.approval_id;

-- name: find_training
-- What a model or a scorecard was made from, where the registry says it.
SELECT
    kind,
    name,
    version,
    lineage
FROM core.registry_artifacts
WHERE
    lineage ? 'training_data_sha256'
    AND (sha256 = ANY(%(sha256s)s) OR (kind = 'language_model' AND lineage ->> 'name' = %(model)s))
ORDER BY kind, name, version;
