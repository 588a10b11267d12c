-- name: find_last_checkpoint
-- What was signed last.
SELECT
    tree_size,
    root,
    note
FROM gate.checkpoints
ORDER BY tree_size DESC
LIMIT 1;

-- name: insert_checkpoint
-- One for each batch.
INSERT INTO gate.checkpoints (tenant_id, tree_size, root, note, created_at)
VALUES ((SELECT core.current_tenant()), %(tree_size)s, %(root)s, %(note)s, %(created_at)s);

-- name: find_nodes
-- Hashes of complete subtrees; those of single leaves stand beside their positions.
SELECT
    nodes.level,
    nodes.position,
    nodes.hash
FROM UNNEST(%(levels)s::SMALLINT[], %(positions)s::BIGINT[]) AS wanted (level, position)
INNER JOIN gate.log_nodes AS nodes USING (level, position)
UNION ALL
SELECT
    0,
    position,
    leaf_hash
FROM core.event_positions
WHERE position = ANY(%(leaf_positions)s::BIGINT[]);

-- name: insert_nodes
-- A node that is there already means a fork: the primary key refuses it.
INSERT INTO gate.log_nodes (tenant_id, level, position, hash)
SELECT
    (SELECT core.current_tenant()),
    made.level,
    made.position,
    made.hash
FROM UNNEST(%(levels)s::SMALLINT[], %(positions)s::BIGINT[], %(node_hashes)s::BYTEA[]) AS made (level, position, hash);

-- name: list_decision_chain
-- A decision and the ones before it, oldest first, with the transfer of the one that was executed.
WITH RECURSIVE chain AS (
    SELECT
        decision_id,
        previous_decision_id,
        event_id,
        0 AS depth
    FROM gate.decisions
    WHERE decision_id = %(decision_id)s
    UNION ALL
    SELECT
        earlier.decision_id,
        earlier.previous_decision_id,
        earlier.event_id,
        chain.depth + 1
    FROM chain
    INNER JOIN gate.decisions AS earlier ON chain.previous_decision_id = earlier.decision_id
)

SELECT
    chain.decision_id,
    chain.event_id,
    consumptions.transfer_id
FROM chain
LEFT JOIN gate.consumptions AS consumptions USING (decision_id)
ORDER BY chain.depth DESC;

-- name: list_review_events
-- What people answered to these decisions.
SELECT events.event_id
FROM gate.reviews AS reviews
INNER JOIN core.events AS events ON reviews.tenant_id = events.tenant_id AND reviews.review_id = events.subject
WHERE reviews.decision_id = ANY(%(decision_ids)s) AND events.event_type LIKE 'review.%%';
