-- Reviews at work: who holds one, what is shown first, what waits too long, how fast people answer, and what they taught.

SET LOCAL ROLE gate_owner;

-- `priority` and `group_key` are computed when the review opens, from its decision; `operator_id` is who asked. A claim is a lease: past `claimed_until` it is nobody's.
ALTER TABLE gate.reviews
ADD COLUMN priority INTEGER NOT NULL DEFAULT 0 CHECK (priority >= 0),
ADD COLUMN group_key TEXT NOT NULL DEFAULT '' CHECK (OCTET_LENGTH(group_key) <= 4000),
ADD COLUMN operator_id TEXT NOT NULL,
ADD COLUMN claimed_by TEXT,
ADD COLUMN claimed_at TIMESTAMPTZ,
ADD COLUMN claimed_until TIMESTAMPTZ,
ADD COLUMN escalated_at TIMESTAMPTZ,
ADD CONSTRAINT reviews_claim_is_whole CHECK (
    (claimed_by IS NULL) = (claimed_at IS NULL) AND (claimed_by IS NULL) = (claimed_until IS NULL)
);
CREATE INDEX reviews_by_opening ON gate.reviews (tenant_id, opened_at);
CREATE INDEX reviews_of_operator ON gate.reviews (tenant_id, operator_id) WHERE state = 'open';
CREATE INDEX reviews_of_group ON gate.reviews (tenant_id, group_key) WHERE state = 'open';

-- `handled_s`: at most how long he had it before him. `group_size`: how many alike were open when he answered.
ALTER TABLE gate.approvals
ADD COLUMN handled_s INTEGER CHECK (handled_s >= 0),
ADD COLUMN group_size SMALLINT CHECK (group_size >= 1);
CREATE INDEX approvals_by_operator ON gate.approvals (tenant_id, operator_id, created_at);

-- How fast each person answered, by the hour. Fast is under 5 seconds; bulk is 10 or more verdicts within 5 minutes.
CREATE VIEW gate.reviewer_pace WITH (security_barrier) AS
WITH verdicts AS (
    SELECT
        tenant_id,
        operator_id,
        verdict,
        handled_s,
        DATE_TRUNC('hour', created_at, 'UTC') AS hour,
        COUNT(*) OVER (
            PARTITION BY tenant_id, operator_id ORDER BY created_at
            RANGE BETWEEN INTERVAL '5 minutes' PRECEDING AND CURRENT ROW
        ) AS within_5min
    FROM gate.approvals
)

SELECT
    tenant_id,
    operator_id,
    hour,
    COUNT(*) AS verdicts,
    COUNT(*) FILTER (WHERE verdict = 'approve') AS approved,
    PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY handled_s) AS median_handled_s,
    COUNT(*) FILTER (WHERE handled_s < 5) AS fast,
    MAX(within_5min) AS most_within_5min,
    MAX(within_5min) >= 10 AS is_bulk
FROM verdicts
GROUP BY tenant_id, operator_id, hour;

-- One row for each verdict of a person: what he was shown, and what he said. His words stay with the approval; here is their hash.
CREATE VIEW gate.review_outcomes WITH (security_barrier) AS
SELECT
    approvals.tenant_id,
    approvals.approval_id,
    approvals.review_id,
    reviews.decision_id,
    reviews.proposal_id,
    reviews.state AS review_state,
    reviews.state_digest,
    reviews.opened_at,
    decisions.action_kind,
    decisions.action_digest,
    decisions.amount_minor,
    decisions.currency,
    decisions.origins,
    decisions.facts,
    decisions.facts_digest,
    decisions.score,
    decisions.score_reasons,
    decisions.score_ref,
    decisions.reasons,
    decisions.policy_bundle_sha256,
    decisions.policy_version,
    decisions.prompt_id,
    decisions.prompt_sha256,
    decisions.model,
    decisions.operator_id AS asked_by,
    approvals.verdict,
    ENCODE(SHA256(CONVERT_TO(approvals.reason, 'UTF8')), 'hex') AS rationale_sha256,
    approvals.operator_id AS answered_by,
    approvals.created_at AS answered_at,
    approvals.handled_s,
    approvals.group_size
FROM gate.approvals AS approvals
INNER JOIN gate.reviews AS reviews ON approvals.tenant_id = reviews.tenant_id AND approvals.review_id = reviews.review_id
INNER JOIN gate.decisions AS decisions ON reviews.tenant_id = decisions.tenant_id AND reviews.decision_id = decisions.decision_id;

GRANT UPDATE (claimed_by, claimed_at, claimed_until, escalated_at) ON gate.reviews TO gate;
GRANT SELECT ON gate.reviewer_pace, gate.review_outcomes TO gate, auditor;

RESET ROLE;
