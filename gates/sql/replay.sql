-- name: list_recorded_decisions
-- Each with what the log's event says of it; of a window with a limit, the newest.
SELECT
    decisions.*,
    events.data AS logged
FROM (
    SELECT *
    FROM gate.decisions
    WHERE
        (%(since)s::TIMESTAMPTZ IS NULL OR decided_at >= %(since)s::TIMESTAMPTZ)
        AND (%(until)s::TIMESTAMPTZ IS NULL OR decided_at < %(until)s::TIMESTAMPTZ)
    ORDER BY decided_at DESC, decision_id DESC
    LIMIT %(limit)s::BIGINT
) AS decisions
LEFT JOIN core.events AS events
    ON
        decisions.tenant_id = events.tenant_id
        AND events.event_id = REPLACE(decisions.event_id, 'evt_', '')::UUID
ORDER BY decisions.decided_at, decisions.decision_id;

-- name: count_recorded_decisions
-- How many there are.
SELECT LEAST(COUNT(*), COALESCE(%(limit)s::BIGINT, COUNT(*)))
FROM gate.decisions
WHERE
    (%(since)s::TIMESTAMPTZ IS NULL OR decided_at >= %(since)s::TIMESTAMPTZ)
    AND (%(until)s::TIMESTAMPTZ IS NULL OR decided_at < %(until)s::TIMESTAMPTZ);

-- name: list_bundles
-- Every policy that ever decided here, and candidates.
SELECT
    sha256,
    content
FROM gate.policy_bundles
ORDER BY sha256;

-- name: list_score_cards
-- Every scorecard that ever scored here.
SELECT
    ref,
    content
FROM gate.score_cards
ORDER BY ref;
