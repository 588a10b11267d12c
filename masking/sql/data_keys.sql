-- name: find_wrap_version
-- The version of the tenant's key that new data keys go under; a rotation waits from here on until this transaction ends.
SELECT vault.find_wrap_version();

-- name: insert_data_keys
-- A subject's key is made once; a second writer keeps the first one's.
INSERT INTO vault.data_keys (tenant_id, subject_id, key_version, wrapped_key, wrap_version)
SELECT
    %(tenant_id)s,
    wanted.subject_id,
    %(key_version)s,
    wanted.wrapped_key,
    %(wrap_version)s
FROM UNNEST(%(subjects)s::TEXT[], %(wrapped_keys)s::BYTEA[]) AS wanted (subject_id, wrapped_key)
ORDER BY wanted.subject_id
ON CONFLICT DO NOTHING;

-- name: list_data_keys
-- The wrapped keys of these subjects.
SELECT
    subject_id,
    key_version,
    wrapped_key,
    wrap_version
FROM vault.data_keys
WHERE tenant_id = %(tenant_id)s AND subject_id = ANY(%(subjects)s);

-- name: list_erased
-- Which of these subjects were erased?
SELECT subject_id FROM vault.erasures
WHERE tenant_id = %(tenant_id)s AND subject_id = ANY(%(subjects)s)
ORDER BY subject_id;
