-- The vault: what a token stands for. Role `vault` alone works here, and not even it may read a sealed value directly:
-- ciphertext comes out only through the functions below, which write who saw what, for which purpose, in the same transaction.

SET LOCAL ROLE vault_owner;

-- One data key per subject (a customer), wrapped by the tenant's key. Erasure deletes the row; rotation wraps it anew.
CREATE TABLE vault.data_keys (
    tenant_id TEXT NOT NULL,
    subject_id TEXT NOT NULL CHECK (LENGTH(subject_id) BETWEEN 1 AND 64),
    key_version SMALLINT NOT NULL DEFAULT 1,
    wrapped_key BYTEA NOT NULL,
    wrap_version SMALLINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    PRIMARY KEY (tenant_id, subject_id)
);

-- The identity of a token: one per value of a class in a tenant. The fingerprint is keyed apart from the token, for look-up.
CREATE TABLE vault.tokens (
    tenant_id TEXT NOT NULL,
    token TEXT NOT NULL CHECK (token ~ '^<[A-Z]+(_[A-Z]+)?_[0-9a-z]{8}-[0-9a-z]{2}>$'),
    class TEXT NOT NULL,
    fingerprint BYTEA NOT NULL CHECK (OCTET_LENGTH(fingerprint) = 32),
    created_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    PRIMARY KEY (tenant_id, token),
    UNIQUE (tenant_id, class, fingerprint)
);

-- One sealed copy per subject: two people may share a name, and erasing one must not take the other's.
CREATE TABLE vault.pii_values (
    tenant_id TEXT NOT NULL,
    token TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    class TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('record', 'message')),
    ciphertext BYTEA NOT NULL,
    key_version SMALLINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    expires_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, token, subject_id),
    FOREIGN KEY (tenant_id, token) REFERENCES vault.tokens,
    FOREIGN KEY (tenant_id, subject_id) REFERENCES vault.data_keys ON DELETE CASCADE
);
CREATE INDEX pii_values_by_subject ON vault.pii_values (tenant_id, subject_id, source);

-- How a value was written at each place of a message, so that it comes back byte for byte.
CREATE TABLE vault.surfaces (
    tenant_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL CHECK (ordinal >= 0),
    token TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    ciphertext BYTEA NOT NULL,
    key_version SMALLINT NOT NULL,
    PRIMARY KEY (tenant_id, message_id, ordinal),
    FOREIGN KEY (tenant_id, token) REFERENCES vault.tokens,
    FOREIGN KEY (tenant_id, subject_id) REFERENCES vault.data_keys ON DELETE CASCADE
);

-- Which tokens a conversation may resolve. A token pasted from elsewhere is in no grant and shows nothing.
CREATE TABLE vault.pii_grants (
    tenant_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    token TEXT NOT NULL,
    granted_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    PRIMARY KEY (tenant_id, conversation_id, token),
    FOREIGN KEY (tenant_id, token) REFERENCES vault.tokens
);

-- Who was shown what. `token` is null where a subject's whole set was read to mask a text, which shows it to nobody.
CREATE TABLE vault.pii_reveals (
    tenant_id TEXT NOT NULL,
    reveal_id UUID NOT NULL DEFAULT GEN_RANDOM_UUID(),
    actor TEXT NOT NULL CHECK (actor <> ''),
    roles TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose <> ''),
    scope TEXT NOT NULL CHECK (scope IN ('conversation', 'record', 'masking')),
    scope_id TEXT NOT NULL,
    message_id TEXT,
    token TEXT,
    class TEXT,
    shown TEXT NOT NULL CHECK (shown IN ('plain', 'last4', 'masked', 'none')),
    revealed_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    PRIMARY KEY (tenant_id, reveal_id),
    CHECK ((token IS NULL) = (scope = 'masking')),
    CHECK ((shown = 'none') = (scope = 'masking'))
);
CREATE INDEX pii_reveals_by_time ON vault.pii_reveals (tenant_id, revealed_at);

DO $$
DECLARE
    name REGCLASS;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'vault.data_keys', 'vault.tokens', 'vault.pii_values', 'vault.surfaces', 'vault.pii_grants', 'vault.pii_reveals'
    ]::REGCLASS[] LOOP
        CALL core.protect_tenant_table(name);
    END LOOP;
    CALL core.protect_append_only_table('vault.pii_reveals');
END
$$;

-- Return sealed values of granted tokens, and the surfaces of one message, after writing one audit row for each token.
CREATE FUNCTION vault.reveal_in_conversation(
    p_actor TEXT, p_roles TEXT, p_purpose TEXT, p_conversation_id TEXT, p_subject_id TEXT, p_message_id TEXT,
    p_tokens TEXT[], p_views TEXT[]
) RETURNS TABLE (
    token TEXT, class TEXT, ordinal INTEGER, subject_id TEXT, ciphertext BYTEA, key_version SMALLINT, wrapped_key BYTEA,
    wrap_version SMALLINT
)
LANGUAGE sql VOLATILE SECURITY DEFINER ROWS 20
SET search_path = pg_catalog, pg_temp
AS $$
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT ON (wanted.token) wanted.token, wanted.view
        FROM UNNEST(p_tokens, p_views) AS wanted (token, view)
        INNER JOIN vault.pii_grants AS grants
            ON wanted.token = grants.token
            AND grants.tenant_id = (SELECT core.current_tenant()) AND grants.conversation_id = p_conversation_id
    ),
    plain AS MATERIALIZED (
        SELECT DISTINCT ON (sealed.token)
            sealed.token, sealed.class, NULL::INTEGER AS ordinal, sealed.subject_id, sealed.ciphertext, sealed.key_version
        FROM asked
        INNER JOIN vault.pii_values AS sealed ON asked.token = sealed.token AND sealed.tenant_id = (SELECT core.current_tenant())
        ORDER BY sealed.token, (sealed.subject_id = p_subject_id) DESC, (sealed.source = 'record') DESC, sealed.subject_id
    ),
    written AS MATERIALIZED (
        SELECT surfaces.token, tokens.class, surfaces.ordinal, surfaces.subject_id, surfaces.ciphertext, surfaces.key_version
        FROM asked
        INNER JOIN vault.surfaces AS surfaces ON asked.token = surfaces.token
            AND surfaces.tenant_id = (SELECT core.current_tenant()) AND surfaces.message_id = p_message_id
        INNER JOIN vault.tokens AS tokens ON surfaces.tenant_id = tokens.tenant_id AND surfaces.token = tokens.token
    ),
    found AS MATERIALIZED (
        SELECT * FROM plain
        UNION ALL
        SELECT * FROM written
    ),
    audited AS (
        INSERT INTO vault.pii_reveals (tenant_id, actor, roles, purpose, scope, scope_id, message_id, token, class, shown)
        SELECT DISTINCT
            (SELECT core.current_tenant()), p_actor, p_roles, p_purpose, 'conversation', p_conversation_id, p_message_id,
            found.token, found.class, asked.view
        FROM found
        INNER JOIN asked ON found.token = asked.token
        RETURNING pii_reveals.token
    )
    SELECT
        found.token, found.class, found.ordinal, found.subject_id, found.ciphertext, found.key_version, data_keys.wrapped_key,
        data_keys.wrap_version
    FROM found
    INNER JOIN audited ON found.token = audited.token
    INNER JOIN vault.data_keys AS data_keys
        ON found.subject_id = data_keys.subject_id AND data_keys.tenant_id = (SELECT core.current_tenant())
$$;

-- Return sealed values of records (a list of customers, a record's page): only what the record of that very subject holds.
CREATE FUNCTION vault.reveal_of_records(
    p_actor TEXT, p_roles TEXT, p_purpose TEXT, p_subjects TEXT[], p_tokens TEXT[], p_views TEXT[]
) RETURNS TABLE (
    token TEXT, class TEXT, ordinal INTEGER, subject_id TEXT, ciphertext BYTEA, key_version SMALLINT, wrapped_key BYTEA,
    wrap_version SMALLINT
)
LANGUAGE sql VOLATILE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
    WITH found AS MATERIALIZED (
        SELECT DISTINCT ON (sealed.token, sealed.subject_id)
            sealed.token, sealed.class, sealed.subject_id, sealed.ciphertext, sealed.key_version, wanted.view
        FROM UNNEST(p_subjects, p_tokens, p_views) AS wanted (subject_id, token, view)
        INNER JOIN vault.pii_values AS sealed
            ON wanted.token = sealed.token AND wanted.subject_id = sealed.subject_id
            AND sealed.tenant_id = (SELECT core.current_tenant()) AND sealed.source = 'record'
    ),
    audited AS (
        INSERT INTO vault.pii_reveals (tenant_id, actor, roles, purpose, scope, scope_id, token, class, shown)
        SELECT
            (SELECT core.current_tenant()), p_actor, p_roles, p_purpose, 'record', found.subject_id, found.token, found.class,
            found.view
        FROM found
        RETURNING pii_reveals.token, pii_reveals.scope_id
    )
    SELECT
        found.token, found.class, NULL::INTEGER, found.subject_id, found.ciphertext, found.key_version, data_keys.wrapped_key,
        data_keys.wrap_version
    FROM found
    INNER JOIN audited ON found.token = audited.token AND found.subject_id = audited.scope_id
    INNER JOIN vault.data_keys AS data_keys
        ON found.subject_id = data_keys.subject_id AND data_keys.tenant_id = (SELECT core.current_tenant())
$$;

-- Return a subject's own record values, for recognising them in a text; one audit row for the set.
CREATE FUNCTION vault.read_known_values(p_actor TEXT, p_purpose TEXT, p_subject_id TEXT) RETURNS TABLE (
    token TEXT, class TEXT, ordinal INTEGER, subject_id TEXT, ciphertext BYTEA, key_version SMALLINT, wrapped_key BYTEA,
    wrap_version SMALLINT
)
LANGUAGE sql VOLATILE SECURITY DEFINER ROWS 20
SET search_path = pg_catalog, pg_temp
AS $$
    WITH audited AS (
        INSERT INTO vault.pii_reveals (tenant_id, actor, roles, purpose, scope, scope_id, shown)
        VALUES ((SELECT core.current_tenant()), p_actor, '', p_purpose, 'masking', p_subject_id, 'none')
        RETURNING scope_id
    )
    SELECT
        sealed.token, sealed.class, NULL::INTEGER, sealed.subject_id, sealed.ciphertext, sealed.key_version,
        data_keys.wrapped_key, data_keys.wrap_version
    FROM audited
    INNER JOIN vault.pii_values AS sealed
        ON audited.scope_id = sealed.subject_id AND sealed.tenant_id = (SELECT core.current_tenant()) AND sealed.source = 'record'
    INNER JOIN vault.data_keys AS data_keys
        ON sealed.tenant_id = data_keys.tenant_id AND sealed.subject_id = data_keys.subject_id
    ORDER BY sealed.token
$$;

GRANT USAGE ON SCHEMA vault TO vault, auditor;
GRANT SELECT, INSERT ON vault.data_keys, vault.tokens, vault.pii_grants TO vault;
GRANT SELECT (tenant_id, token, subject_id, class, source, key_version, created_at, expires_at), INSERT ON vault.pii_values TO vault;
GRANT UPDATE (source, ciphertext, key_version) ON vault.pii_values TO vault;
GRANT SELECT (tenant_id, message_id, ordinal, token, subject_id, key_version), INSERT ON vault.surfaces TO vault;
GRANT SELECT ON vault.pii_reveals TO vault, auditor;
GRANT EXECUTE ON FUNCTION vault.reveal_in_conversation(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], TEXT[]) TO vault;
GRANT EXECUTE ON FUNCTION vault.reveal_of_records(TEXT, TEXT, TEXT, TEXT[], TEXT[], TEXT[]) TO vault;
GRANT EXECUTE ON FUNCTION vault.read_known_values(TEXT, TEXT, TEXT) TO vault;

RESET ROLE;
