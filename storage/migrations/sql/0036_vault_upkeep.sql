-- Upkeep of the vault: erasing a subject by taking his data key away, and wrapping data keys under a later key of the tenant.

SET LOCAL ROLE vault_owner;

-- No key for the erased. The edge asks before it writes; this holds also against a write that crossed an erasure on its way.
CREATE FUNCTION vault.refuse_erased_subject() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM vault.erasures WHERE tenant_id = new.tenant_id AND subject_id = new.subject_id) THEN
        RAISE EXCEPTION 'subject %: erased, and gets no key again', new.subject_id USING ERRCODE = '23514';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER refuse_erased_subject BEFORE INSERT OR UPDATE OF subject_id ON vault.data_keys
FOR EACH ROW EXECUTE FUNCTION vault.refuse_erased_subject();
ALTER TABLE vault.data_keys ENABLE ALWAYS TRIGGER refuse_erased_subject;

-- Nothing for an erased token: who looked it up before the erasure and stores after it would bring the value back wherever the token
-- stands. Once for each statement, after its foreign keys have waited for the erasure. His next try mints another token.
CREATE FUNCTION vault.refuse_erased_token() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM brought
        INNER JOIN vault.tokens AS tokens ON brought.tenant_id = tokens.tenant_id AND brought.token = tokens.token
        WHERE tokens.erased_at IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'a token was erased meanwhile: nothing was stored, try again' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER refuse_erased_token AFTER INSERT ON vault.pii_values
REFERENCING NEW TABLE AS brought FOR EACH STATEMENT EXECUTE FUNCTION vault.refuse_erased_token();
CREATE TRIGGER refuse_erased_token AFTER INSERT ON vault.surfaces
REFERENCING NEW TABLE AS brought FOR EACH STATEMENT EXECUTE FUNCTION vault.refuse_erased_token();
ALTER TABLE vault.pii_values ENABLE ALWAYS TRIGGER refuse_erased_token;
ALTER TABLE vault.surfaces ENABLE ALWAYS TRIGGER refuse_erased_token;

-- Take a subject's data key away, and what others' messages hold of values that are his alone; leave a tombstone and an event
-- without a value in it. Idempotent: the second call returns the first one's tombstone.
CREATE FUNCTION vault.erase_subject(
    p_actor TEXT, p_reason TEXT, p_subject_id TEXT, p_now TIMESTAMPTZ, p_event_id UUID
) RETURNS SETOF vault.erasures
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_unique_classes CONSTANT TEXT[] := ARRAY[
        'CARD', 'IBAN', 'ACCOUNT', 'PHONE', 'EMAIL', 'NATIONAL_ID', 'PASSPORT', 'LICENSE', 'WALLET'
    ];
    v_tokens TEXT[];
    v_own TEXT[];
    v_values INTEGER;
    v_surfaces INTEGER;
    v_removed INTEGER;
BEGIN
    -- Nobody gets a key meanwhile: a writer that is under way ends first, one that comes later sees the tombstone.
    LOCK TABLE vault.data_keys IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM vault.erasures WHERE tenant_id = v_tenant_id AND subject_id = p_subject_id) THEN
        RETURN QUERY SELECT * FROM vault.erasures WHERE tenant_id = v_tenant_id AND subject_id = p_subject_id;
        RETURN;
    END IF;
    -- First, so that a write that waits for the key finds it gone.
    PERFORM FROM vault.data_keys WHERE tenant_id = v_tenant_id AND subject_id = p_subject_id FOR UPDATE;
    -- Whoever stores a copy of such a value under another's key, or how it was written, holds the token: he ends first. The
    -- statements from here on see what he wrote; this one, which may have waited for him, does not.
    PERFORM FROM vault.tokens AS tokens
    WHERE
        tokens.tenant_id = v_tenant_id
        AND tokens.token IN (
            SELECT held.token FROM vault.pii_values AS held WHERE held.tenant_id = v_tenant_id AND held.subject_id = p_subject_id
        )
    ORDER BY tokens.token
    FOR UPDATE;
    SELECT
        COALESCE(ARRAY_AGG(token), '{}'),
        COALESCE(ARRAY_AGG(token) FILTER (WHERE source = 'record' AND class = ANY(v_unique_classes)), '{}'),
        COUNT(*)
    INTO v_tokens, v_own, v_values
    FROM vault.pii_values
    WHERE tenant_id = v_tenant_id AND subject_id = p_subject_id;
    SELECT COUNT(*) INTO v_surfaces FROM vault.surfaces WHERE tenant_id = v_tenant_id AND subject_id = p_subject_id;

    DELETE FROM vault.data_keys WHERE tenant_id = v_tenant_id AND subject_id = p_subject_id;
    DELETE FROM vault.pii_values
    WHERE tenant_id = v_tenant_id AND token = ANY(v_own) AND source <> 'record';
    GET DIAGNOSTICS v_removed = ROW_COUNT;
    v_values := v_values + v_removed;
    -- Another's record may hold the same value, such as a shared phone: how he writes it is his.
    DELETE FROM vault.surfaces
    WHERE
        tenant_id = v_tenant_id AND token = ANY(v_own)
        AND NOT EXISTS (
            SELECT FROM vault.pii_values AS held
            WHERE held.tenant_id = v_tenant_id AND held.token = surfaces.token AND held.subject_id = surfaces.subject_id
        );
    GET DIAGNOSTICS v_removed = ROW_COUNT;
    v_surfaces := v_surfaces + v_removed;
    -- The value cannot be confirmed by its fingerprint any more either; it gets another token when somebody brings it again.
    UPDATE vault.tokens
    SET fingerprint = UUID_SEND(GEN_RANDOM_UUID()) || UUID_SEND(GEN_RANDOM_UUID()), erased_at = p_now
    WHERE
        tenant_id = v_tenant_id AND token = ANY(v_tokens)
        AND NOT EXISTS (SELECT FROM vault.pii_values AS held WHERE held.tenant_id = v_tenant_id AND held.token = tokens.token);

    INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)
    VALUES (
        v_tenant_id, p_event_id, 'subject.erased', 'vault', p_subject_id, p_now, p_now,
        JSONB_BUILD_OBJECT('subject_id', p_subject_id, 'values_erased', v_values, 'surfaces_erased', v_surfaces, 'erased_by', p_actor)
    );
    RETURN QUERY
    INSERT INTO vault.erasures (
        tenant_id, subject_id, erased_at, actor, reason, values_erased, surfaces_erased, event_id
    ) VALUES (v_tenant_id, p_subject_id, p_now, p_actor, p_reason, v_values, v_surfaces, p_event_id)
    RETURNING *;
END
$$;

-- A rotation and how far it is. One row a version; a rotation that was cut short goes on from the rows that still wait.
CREATE TABLE vault.key_rotations (
    tenant_id TEXT NOT NULL,
    to_version SMALLINT NOT NULL CHECK (to_version >= 2),
    actor TEXT NOT NULL CHECK (actor <> ''),
    started_at TIMESTAMPTZ NOT NULL,
    rewrapped BIGINT NOT NULL DEFAULT 0 CHECK (rewrapped >= 0),
    finished_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, to_version)
);
CALL core.protect_tenant_table('vault.key_rotations');

-- Return the version of the tenant's key that new data keys go under, which is what the last rotation goes to. No rotation begins to
-- move keys until the transaction ends, so none made under that version is left behind.
CREATE FUNCTION vault.find_wrap_version() RETURNS SMALLINT
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
BEGIN
    LOCK TABLE vault.data_keys IN ROW EXCLUSIVE MODE;
    RETURN (SELECT COALESCE(MAX(to_version), 1) FROM vault.key_rotations WHERE tenant_id = v_tenant_id);
END
$$;

-- Return data keys that an older key of the tenant wraps. Nobody makes, moves or erases one until the transaction ends: who was
-- about to make one under the older key ends first, who comes later sees that the rotation began, and an erasure waits with nothing
-- in its hands.
CREATE FUNCTION vault.list_stale_keys(p_version SMALLINT, p_limit INTEGER) RETURNS TABLE (
    subject_id TEXT, key_version SMALLINT, wrapped_key BYTEA, wrap_version SMALLINT
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 1000
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
BEGIN
    LOCK TABLE vault.data_keys IN SHARE ROW EXCLUSIVE MODE;
    RETURN QUERY
    SELECT data_keys.subject_id, data_keys.key_version, data_keys.wrapped_key, data_keys.wrap_version
    FROM vault.data_keys AS data_keys
    WHERE data_keys.tenant_id = v_tenant_id AND data_keys.wrap_version < p_version
    ORDER BY data_keys.subject_id
    LIMIT p_limit;
END
$$;

-- Put data keys under the key that a rotation under way goes to; a row that is there already, or further, stays as it is. Returns how
-- many moved.
CREATE FUNCTION vault.rewrap_data_keys(p_subjects TEXT[], p_wrapped BYTEA[], p_version SMALLINT) RETURNS INTEGER
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_moved INTEGER;
BEGIN
    IF NOT EXISTS (
        SELECT FROM vault.key_rotations WHERE tenant_id = v_tenant_id AND to_version = p_version AND finished_at IS NULL
    ) THEN
        RAISE EXCEPTION 'no rotation to version % is under way', p_version USING ERRCODE = '23514';
    END IF;
    UPDATE vault.data_keys
    SET wrapped_key = wanted.wrapped_key, wrap_version = p_version
    FROM UNNEST(p_subjects, p_wrapped) AS wanted (subject_id, wrapped_key)
    WHERE
        data_keys.tenant_id = v_tenant_id AND data_keys.subject_id = wanted.subject_id AND data_keys.wrap_version < p_version;
    GET DIAGNOSTICS v_moved = ROW_COUNT;
    UPDATE vault.key_rotations SET rewrapped = rewrapped + v_moved WHERE tenant_id = v_tenant_id AND to_version = p_version;
    RETURN v_moved;
END
$$;

GRANT SELECT, INSERT ON vault.key_rotations TO vault;
GRANT UPDATE (finished_at) ON vault.key_rotations TO vault;
GRANT SELECT ON vault.key_rotations TO auditor;
GRANT EXECUTE ON FUNCTION vault.erase_subject(TEXT, TEXT, TEXT, TIMESTAMPTZ, UUID) TO vault;
GRANT EXECUTE ON FUNCTION vault.find_wrap_version() TO vault;
GRANT EXECUTE ON FUNCTION vault.list_stale_keys(SMALLINT, INTEGER) TO vault;
GRANT EXECUTE ON FUNCTION vault.rewrap_data_keys(TEXT[], BYTEA[], SMALLINT) TO vault;

RESET ROLE;
