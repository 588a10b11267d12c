-- name: list_columns
-- Every stored column that can hold a text, outside the vault and the server's own schemas. Shape: schema, table, column, is_bytes.
SELECT
    namespaces.nspname,
    tables.relname,
    columns.attname,
    columns.atttypid = 'bytea'::REGTYPE AS is_bytes
FROM pg_catalog.pg_attribute AS columns
INNER JOIN pg_catalog.pg_class AS tables ON columns.attrelid = tables.oid
INNER JOIN pg_catalog.pg_namespace AS namespaces ON tables.relnamespace = namespaces.oid
INNER JOIN pg_catalog.pg_type AS types ON columns.atttypid = types.oid
WHERE
    tables.relkind IN ('r', 'p', 'm')
    AND NOT tables.relispartition
    AND columns.attnum > 0
    AND NOT columns.attisdropped
    AND namespaces.nspname NOT IN ('vault', 'pg_catalog', 'information_schema', 'pg_toast')
    -- What has a text in it: texts, JSON, bytes, arrays, records and whatever an extension adds; no numbers, times and truths.
    AND (types.typcategory NOT IN ('N', 'D', 'B', 'T') OR columns.atttypid = 'bytea'::REGTYPE)
ORDER BY namespaces.nspname, tables.relname, columns.attnum;
