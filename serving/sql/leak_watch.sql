-- name: look_for_changes
-- The log's last position, and whether one of these events stands after the position given; the first look asks for the end alone.
SELECT
    COALESCE((SELECT MAX(last_positions.position) FROM core.event_positions AS last_positions), -1) AS last_position,
    NOT %(is_first)s AND EXISTS (
        SELECT positions.position
        FROM core.event_positions AS positions
        INNER JOIN core.events AS events ON positions.tenant_id = events.tenant_id AND positions.event_id = events.event_id
        WHERE positions.position > %(after_position)s AND events.event_type = ANY(%(event_types)s)
    ) AS has_changed;
