-- name: list_in_force
-- What every alias of the gate's artifacts stands for.
SELECT
    aliases.kind,
    aliases.name,
    aliases.alias,
    aliases.version,
    artifacts.sha256,
    aliases.percent
FROM core.registry_aliases AS aliases
INNER JOIN core.registry_artifacts AS artifacts USING (tenant_id, kind, name, version)
WHERE aliases.kind = ANY(%(kinds)s);

-- name: insert_score_card
-- The content of a score model, by the name that decisions keep.
INSERT INTO gate.score_cards (tenant_id, ref, content)
VALUES (%(tenant_id)s, %(ref)s, %(content)s)
ON CONFLICT (tenant_id, ref) DO NOTHING;

-- name: find_score_card
-- The content of one score model.
SELECT
    ref,
    content
FROM gate.score_cards
WHERE RIGHT(ref, 64) = %(sha256)s;

-- name: insert_baselines
-- What is usual, by the hash of it.
INSERT INTO gate.baselines (tenant_id, sha256, content)
VALUES (%(tenant_id)s, %(sha256)s, %(content)s)
ON CONFLICT (tenant_id, sha256) DO NOTHING;

-- name: find_baselines
-- The content of one set of baselines.
SELECT content FROM gate.baselines
WHERE sha256 = %(sha256)s;

-- name: insert_shadow_score
-- What a candidate would have scored, and what would have been decided with that.
INSERT INTO gate.shadow_scores (tenant_id, decision_id, model_ref, score, reasons, outcome, differs, decided_at)
VALUES (%(tenant_id)s, %(decision_id)s, %(model_ref)s, %(score)s, %(reasons)s, %(outcome)s, %(differs)s, %(decided_at)s);

-- name: tally_shadow_scores
-- How what would have been decided with a candidate's score compares with what was.
SELECT
    decisions.outcome AS decided,
    shadows.outcome AS shadow,
    COUNT(*) AS decision_count
FROM gate.shadow_scores AS shadows
INNER JOIN gate.decisions AS decisions USING (tenant_id, decision_id)
WHERE RIGHT(shadows.model_ref, 64) = %(sha256)s
GROUP BY decisions.outcome, shadows.outcome
ORDER BY decision_count DESC, decided, shadow;
