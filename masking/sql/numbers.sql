-- name: insert_prints
-- In the order of the key, so that two writers never wait for each other in a ring.
INSERT INTO vault.number_prints (tenant_id, print, class, token, subject_id)
SELECT
    %(tenant_id)s,
    wanted.print,
    wanted.class,
    wanted.token,
    wanted.subject_id
FROM
    UNNEST(%(prints)s::BIGINT[], %(classes)s::TEXT[], %(tokens)s::TEXT[], %(subjects)s::TEXT[])
        AS wanted (print, class, token, subject_id)
ORDER BY wanted.print, wanted.class, wanted.token, wanted.subject_id
ON CONFLICT DO NOTHING;

-- name: read_prints
-- All prints of the tenant as one value for each class: 8 bytes each, big-endian. Shape: class, prints.
SELECT
    distinct_prints.class,
    STRING_AGG(INT8SEND(distinct_prints.print), ''::BYTEA) AS prints
FROM (SELECT DISTINCT
    class,
    print
FROM vault.number_prints) AS distinct_prints
GROUP BY distinct_prints.class
ORDER BY distinct_prints.class;
