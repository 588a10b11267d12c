-- name: list_reveals
-- The newest audit rows first, of one subject or one actor if asked. A link may have more rows than a page.
SELECT
    reveal_id,
    position,
    actor,
    roles,
    purpose,
    scope,
    scope_id,
    subject_id,
    message_id,
    token,
    class AS pii_class,
    shown,
    revealed_at
FROM vault.pii_reveals
WHERE
    tenant_id = %(tenant_id)s
    AND (%(subject_id)s::TEXT IS NULL OR subject_id = %(subject_id)s)
    AND (%(actor)s::TEXT IS NULL OR actor = %(actor)s)
    AND (
        %(position)s::BIGINT IS NULL
        OR position < %(position)s
        OR (position = %(position)s AND reveal_id > %(reveal_id)s::UUID)
    )
ORDER BY position DESC, reveal_id
LIMIT %(limit)s;

-- name: verify_reveals
-- Check a stretch of the chain. Shape: last_position, links, rows, first_broken.
SELECT
    last_position,
    links,
    rows,
    first_broken
FROM vault.verify_reveals(%(after)s, %(limit)s);
