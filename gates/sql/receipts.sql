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

-- name: list_checkpoint_notes
-- The heads that were signed, the oldest first.
SELECT note FROM gate.checkpoints
WHERE tree_size <= %(up_to)s
ORDER BY tree_size;

-- name: find_log_key
-- From where on a key signs.
SELECT signs_after FROM gate.log_keys
WHERE key_id = %(key_id)s;

-- name: insert_log_key
-- A key that follows another.
INSERT INTO gate.log_keys (tenant_id, key_id, verifier_key, signs_after, retired_key_id, introduced_at)
VALUES ((SELECT core.current_tenant()), %(key_id)s, %(verifier_key)s, %(signs_after)s, %(retired_key_id)s, %(now)s);

-- name: find_anchored_size
-- How far a target has come.
SELECT COALESCE(MAX(tree_size), 0) FROM gate.anchors
WHERE target = %(target)s;

-- name: insert_anchor
-- Which head stands where outside of the database.
INSERT INTO gate.anchors (tenant_id, target, tree_size, root, anchored_at)
VALUES ((SELECT core.current_tenant()), %(target)s, %(tree_size)s, %(root)s, %(anchored_at)s)
ON CONFLICT (tenant_id, target, tree_size) DO NOTHING;

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
-- A decision and the ones before it, oldest first.
WITH RECURSIVE chain AS (
    SELECT
        decision_id,
        previous_decision_id,
        event_id,
        transfer_id,
        0 AS depth
    FROM gate.decisions
    WHERE decision_id = %(decision_id)s
    UNION ALL
    SELECT
        earlier.decision_id,
        earlier.previous_decision_id,
        earlier.event_id,
        earlier.transfer_id,
        chain.depth + 1
    FROM chain
    INNER JOIN gate.decisions AS earlier ON chain.previous_decision_id = earlier.decision_id
)

SELECT
    decision_id,
    event_id,
    transfer_id
FROM chain
ORDER BY depth DESC;

-- name: find_successor
-- The decision that stands instead of this one.
SELECT
    decision_id,
    event_id,
    transfer_id
FROM gate.decisions
WHERE previous_decision_id = %(decision_id)s;

-- name: list_review_events
-- What people answered to these decisions.
SELECT events.event_id
FROM gate.reviews AS reviews
INNER JOIN core.events AS events ON reviews.tenant_id = events.tenant_id AND reviews.review_id = events.subject
WHERE
    reviews.decision_id = ANY(%(decision_ids)s)
    AND events.event_type IN ('review.approved', 'review.refused', 'review.expired');
