-- name: lock_roles
-- One administrator at a time: two ALTER ROLE on one row fail with "tuple concurrently updated".
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('tellergate.roles', 0));

-- name: list_roles
-- Every role of the cluster, by name.
SELECT rolname FROM pg_catalog.pg_roles;

-- name: find_own_attributes
-- Who am I, and am I a superuser?
SELECT
    rolname,
    rolsuper
FROM pg_catalog.pg_roles
WHERE rolname = CURRENT_USER;

-- name: list_powerful_roles
-- Roles of ours that could step over a wall: by attribute, by a login on an owner, or by membership of any role.
SELECT roles.rolname
FROM pg_catalog.pg_roles AS roles
WHERE
    roles.rolname = ANY(%(names)s)
    AND (
        roles.rolsuper OR roles.rolbypassrls OR roles.rolcreaterole OR roles.rolcreatedb OR roles.rolreplication
        OR (roles.rolcanlogin AND roles.rolname LIKE '%%\_owner')
        OR EXISTS (SELECT FROM pg_catalog.pg_auth_members AS members WHERE members.member = roles.oid)
    );

-- name: find_database
-- Is there a database of this name?
SELECT 1 FROM pg_catalog.pg_database
WHERE datname = %(dbname)s;
