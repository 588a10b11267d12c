-- Reveals: the only ways for a sealed value to leave the vault. Each call writes its audit rows as one link of a chain, so that
-- a row that somebody changes, adds or takes away later is found. Each hundredth link is told as an event: the log is signed and its
-- head lies outside of the database, so whoever owns these tables cannot write anew what is before the last told link. What came
-- after it, up to 99 links and all of a chain that is shorter, he can cut off together with the head, and nothing here finds that.

SET LOCAL ROLE core_owner;
GRANT SELECT ON core.events TO vault_owner;
RESET ROLE;
SET LOCAL ROLE vault_owner;

-- Where a tenant's chain ends. Who reveals waits here for the one before him: links have no gaps.
CREATE TABLE vault.reveal_heads (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL CHECK (position >= 0),
    hash BYTEA NOT NULL CHECK (OCTET_LENGTH(hash) = 32)
);

-- One link for each call: what it wrote, hashed, bound to the link before it.
CREATE TABLE vault.reveal_links (
    tenant_id TEXT NOT NULL,
    position BIGINT NOT NULL CHECK (position >= 1),
    previous_hash BYTEA NOT NULL CHECK (OCTET_LENGTH(previous_hash) = 32),
    rows_hash BYTEA NOT NULL CHECK (OCTET_LENGTH(rows_hash) = 32),
    hash BYTEA NOT NULL CHECK (OCTET_LENGTH(hash) = 32),
    PRIMARY KEY (tenant_id, position)
);

CALL core.protect_tenant_table('vault.reveal_heads');
CALL core.protect_tenant_table('vault.reveal_links');
CALL core.protect_append_only_table('vault.reveal_links');

CREATE TYPE vault.sealed_value AS (
    token TEXT, class TEXT, ordinal INTEGER, subject_id TEXT, ciphertext BYTEA, key_version SMALLINT, wrapped_key BYTEA,
    wrap_version SMALLINT
);
CREATE TYPE vault.reveal_note AS (scope_id TEXT, subject_id TEXT, message_id TEXT, token TEXT, class TEXT, shown TEXT);

-- The audit rows of one link as a digest. Arrays of JSON keep the columns apart; times are microseconds, whatever the session's zone.
CREATE FUNCTION vault.hash_reveals(p_tenant_id TEXT, p_position BIGINT) RETURNS BYTEA
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT SHA256(CONVERT_TO(COALESCE(STRING_AGG(
        JSON_BUILD_ARRAY(
            reveal_id, actor, roles, purpose, scope, scope_id, subject_id, message_id, token, class, shown,
            (EXTRACT(EPOCH FROM revealed_at) * 1000000)::BIGINT
        )::TEXT, E'\n' ORDER BY reveal_id
    ), ''), 'UTF8'))
    FROM vault.pii_reveals
    WHERE tenant_id = p_tenant_id AND position = p_position
$$;

CREATE FUNCTION vault.hash_link(p_tenant_id TEXT, p_position BIGINT, p_previous_hash BYTEA, p_rows_hash BYTEA) RETURNS BYTEA
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT SHA256(CONVERT_TO(FORMAT('reveals|%s|%s|', p_tenant_id, p_position), 'UTF8') || p_previous_hash || p_rows_hash)
$$;

-- What the first link is bound to.
CREATE FUNCTION vault.hash_of_nothing() RETURNS BYTEA
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DECODE(REPEAT('00', 32), 'hex')
$$;

-- Write the audit rows of one call and their link.
CREATE FUNCTION vault.note_reveals(
    p_actor TEXT, p_roles TEXT, p_purpose TEXT, p_scope TEXT, p_notes vault.reveal_note[]
) RETURNS VOID
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_head vault.reveal_heads;
    v_rows_hash BYTEA;
    v_hash BYTEA;
BEGIN
    IF COALESCE(CARDINALITY(p_notes), 0) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO vault.reveal_heads (tenant_id, position, hash) VALUES (v_tenant_id, 0, vault.hash_of_nothing()) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT v_head FROM vault.reveal_heads WHERE tenant_id = v_tenant_id FOR UPDATE;
    INSERT INTO vault.pii_reveals (
        tenant_id, actor, roles, purpose, scope, scope_id, subject_id, message_id, token, class, shown, position
    )
    SELECT
        v_tenant_id, p_actor, p_roles, p_purpose, p_scope, notes.scope_id, notes.subject_id, notes.message_id, notes.token, notes.class,
        notes.shown, v_head.position + 1
    FROM UNNEST(p_notes) AS notes;
    v_rows_hash := vault.hash_reveals(v_tenant_id, v_head.position + 1);
    v_hash := vault.hash_link(v_tenant_id, v_head.position + 1, v_head.hash, v_rows_hash);
    INSERT INTO vault.reveal_links (tenant_id, position, previous_hash, rows_hash, hash)
    VALUES (v_tenant_id, v_head.position + 1, v_head.hash, v_rows_hash, v_hash);
    UPDATE vault.reveal_heads SET position = v_head.position + 1, hash = v_hash WHERE tenant_id = v_tenant_id;
    IF (v_head.position + 1) % 100 = 0 THEN
        INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)
        VALUES (
            v_tenant_id, GEN_RANDOM_UUID(), 'vault.reveals_noted', 'vault', 'reveals', CLOCK_TIMESTAMP(), CLOCK_TIMESTAMP(),
            JSONB_BUILD_OBJECT('position', v_head.position + 1, 'hash', ENCODE(v_hash, 'hex'))
        );
    END IF;
END
$$;

-- Return sealed values of granted tokens, and the surfaces of one message, after writing one audit row for each token. A
-- conversation about somebody who was erased resolves nothing, not even a name that he shared with another.
CREATE FUNCTION vault.reveal_in_conversation(
    p_actor TEXT, p_roles TEXT, p_purpose TEXT, p_conversation_id TEXT, p_subject_id TEXT, p_message_id TEXT,
    p_tokens TEXT[], p_views TEXT[]
) RETURNS SETOF vault.sealed_value
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 20
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_sealed vault.sealed_value[];
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT grants.token
        FROM UNNEST(p_tokens) AS wanted (token)
        INNER JOIN vault.pii_grants AS grants
            ON wanted.token = grants.token AND grants.tenant_id = v_tenant_id AND grants.conversation_id = p_conversation_id
        WHERE NOT EXISTS (SELECT FROM vault.erasures WHERE tenant_id = v_tenant_id AND subject_id = p_subject_id)
    ),
    plain AS (
        SELECT DISTINCT ON (held.token)
            held.token, held.class, NULL::INTEGER AS ordinal, held.subject_id, held.ciphertext, held.key_version
        FROM asked
        INNER JOIN vault.pii_values AS held ON asked.token = held.token AND held.tenant_id = v_tenant_id
        ORDER BY held.token, (held.subject_id = p_subject_id) DESC, (held.source = 'record') DESC, held.subject_id
    ),
    written AS (
        SELECT surfaces.token, tokens.class, surfaces.ordinal, surfaces.subject_id, surfaces.ciphertext, surfaces.key_version
        FROM asked
        INNER JOIN vault.surfaces AS surfaces
            ON asked.token = surfaces.token AND surfaces.tenant_id = v_tenant_id AND surfaces.message_id = p_message_id
        INNER JOIN vault.tokens AS tokens ON surfaces.tenant_id = tokens.tenant_id AND surfaces.token = tokens.token
    ),
    found AS (
        SELECT * FROM plain
        UNION ALL
        SELECT * FROM written
    )
    SELECT ARRAY_AGG(ROW(
        found.token, found.class, found.ordinal, found.subject_id, found.ciphertext, found.key_version, data_keys.wrapped_key,
        data_keys.wrap_version
    )::vault.sealed_value)
    INTO v_sealed
    FROM found
    INNER JOIN vault.data_keys AS data_keys ON found.subject_id = data_keys.subject_id AND data_keys.tenant_id = v_tenant_id;

    PERFORM vault.note_reveals(p_actor, p_roles, p_purpose, 'conversation', (
        SELECT ARRAY_AGG(ROW(
            p_conversation_id, p_subject_id, p_message_id, shown.token, shown.class, p_views[ARRAY_POSITION(p_tokens, shown.token)]
        )::vault.reveal_note)
        FROM (SELECT DISTINCT sealed.token, sealed.class FROM UNNEST(v_sealed) AS sealed) AS shown
    ));
    RETURN QUERY SELECT * FROM UNNEST(v_sealed);
END
$$;

-- Return sealed values of records (a list of customers, a record's page): only what the record of that very subject holds.
CREATE FUNCTION vault.reveal_of_records(
    p_actor TEXT, p_roles TEXT, p_purpose TEXT, p_subjects TEXT[], p_tokens TEXT[], p_views TEXT[]
) RETURNS SETOF vault.sealed_value
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_sealed vault.sealed_value[];
BEGIN
    SELECT ARRAY_AGG(ROW(
        held.token, held.class, NULL, held.subject_id, held.ciphertext, held.key_version, data_keys.wrapped_key,
        data_keys.wrap_version
    )::vault.sealed_value)
    INTO v_sealed
    FROM (SELECT DISTINCT subject_id, token FROM UNNEST(p_subjects, p_tokens) AS wanted (subject_id, token)) AS asked
    INNER JOIN vault.pii_values AS held
        ON asked.token = held.token AND asked.subject_id = held.subject_id AND held.tenant_id = v_tenant_id
        AND held.source IN ('record', 'text')
    INNER JOIN vault.data_keys AS data_keys
        ON held.subject_id = data_keys.subject_id AND data_keys.tenant_id = v_tenant_id;

    PERFORM vault.note_reveals(p_actor, p_roles, p_purpose, 'record', (
        SELECT ARRAY_AGG(ROW(sealed.subject_id, sealed.subject_id, NULL, sealed.token, sealed.class, asked.view)::vault.reveal_note)
        FROM UNNEST(v_sealed) AS sealed
        INNER JOIN (
            SELECT DISTINCT ON (wanted.subject_id, wanted.token) wanted.subject_id, wanted.token, wanted.view
            FROM UNNEST(p_subjects, p_tokens, p_views) WITH ORDINALITY AS wanted (subject_id, token, view, place)
            ORDER BY wanted.subject_id, wanted.token, wanted.place
        ) AS asked ON sealed.subject_id = asked.subject_id AND sealed.token = asked.token
    ));
    RETURN QUERY SELECT * FROM UNNEST(v_sealed);
END
$$;

-- Return the record values of subjects, for recognising them in a text; one audit row for each set.
CREATE FUNCTION vault.read_known_values(p_actor TEXT, p_purpose TEXT, p_subjects TEXT[]) RETURNS SETOF vault.sealed_value
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 20
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
BEGIN
    PERFORM vault.note_reveals(p_actor, '', p_purpose, 'masking', (
        SELECT ARRAY_AGG(ROW(asked.subject_id, asked.subject_id, NULL, NULL, NULL, 'none')::vault.reveal_note)
        FROM (SELECT DISTINCT subject_id FROM UNNEST(p_subjects) AS wanted (subject_id)) AS asked
    ));
    RETURN QUERY
    SELECT
        held.token, held.class, NULL::INTEGER, held.subject_id, held.ciphertext, held.key_version, data_keys.wrapped_key,
        data_keys.wrap_version
    FROM vault.pii_values AS held
    INNER JOIN vault.data_keys AS data_keys ON held.tenant_id = data_keys.tenant_id AND held.subject_id = data_keys.subject_id
    WHERE held.tenant_id = v_tenant_id AND held.subject_id = ANY(p_subjects) AND held.source = 'record'
    ORDER BY held.subject_id, held.token;
END
$$;

-- Check a stretch of the chain after `p_after`: at most `p_limit` links, and no further link once they came to 20,000 rows, since a
-- list of customers is one link. `first_broken`: the first link that does not hold. A stretch after which no link comes is compared
-- with the head; so is an empty one, which says that the walk is over. Links that the log tells of are compared too.
CREATE FUNCTION vault.verify_reveals(p_after BIGINT, p_limit INTEGER) RETURNS TABLE (
    last_position BIGINT, links BIGINT, rows BIGINT, first_broken BIGINT
)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_previous BYTEA := vault.hash_of_nothing();
    v_head vault.reveal_heads;
    v_link vault.reveal_links;
    v_told BIGINT;
    v_row_limit CONSTANT INTEGER := 20000;
    v_full_at BIGINT;
    v_is_last BOOLEAN;
BEGIN
    IF p_after > 0 THEN
        SELECT chain.hash INTO v_previous FROM vault.reveal_links AS chain
        WHERE chain.tenant_id = v_tenant_id AND chain.position = p_after;
    END IF;
    last_position := p_after;
    links := 0;
    -- The link with the last row that fits; null where all fit.
    SELECT seen.position INTO v_full_at FROM vault.pii_reveals AS seen
    WHERE seen.tenant_id = v_tenant_id AND seen.position > p_after
    ORDER BY seen.position OFFSET v_row_limit - 1 LIMIT 1;
    FOR v_link IN
        SELECT chain.* FROM vault.reveal_links AS chain
        WHERE chain.tenant_id = v_tenant_id AND chain.position > p_after AND chain.position <= COALESCE(v_full_at, chain.position)
        ORDER BY chain.position LIMIT p_limit
    LOOP
        links := links + 1;
        IF first_broken IS NULL AND (
            v_link.position <> last_position + 1
            OR v_link.previous_hash IS DISTINCT FROM v_previous
            OR v_link.rows_hash <> vault.hash_reveals(v_tenant_id, v_link.position)
            OR v_link.hash <> vault.hash_link(v_tenant_id, v_link.position, v_link.previous_hash, v_link.rows_hash)
        ) THEN
            first_broken := last_position + 1;
        END IF;
        last_position := v_link.position;
        v_previous := v_link.hash;
    END LOOP;
    v_is_last := NOT EXISTS (
        SELECT FROM vault.reveal_links AS chain WHERE chain.tenant_id = v_tenant_id AND chain.position > last_position
    );
    IF v_is_last THEN
        SELECT * INTO v_head FROM vault.reveal_heads AS heads WHERE heads.tenant_id = v_tenant_id;
        IF first_broken IS NULL AND (
            COALESCE(v_head.position, 0) <> last_position OR COALESCE(v_head.hash, vault.hash_of_nothing()) IS DISTINCT FROM v_previous
            OR EXISTS (SELECT FROM vault.pii_reveals AS seen WHERE seen.tenant_id = v_tenant_id AND seen.position > last_position)
        ) THEN
            first_broken := last_position + 1;
        END IF;
    END IF;
    SELECT MIN((told.data ->> 'position')::BIGINT) INTO v_told
    FROM core.events AS told
    LEFT JOIN vault.reveal_links AS chain
        ON chain.tenant_id = v_tenant_id AND chain.position = (told.data ->> 'position')::BIGINT
        AND ENCODE(chain.hash, 'hex') = told.data ->> 'hash'
    WHERE
        told.tenant_id = v_tenant_id AND told.subject = 'reveals' AND told.event_type = 'vault.reveals_noted'
        AND (told.data ->> 'position')::BIGINT > p_after
        AND ((told.data ->> 'position')::BIGINT <= last_position OR v_is_last)
        AND chain.position IS NULL;
    first_broken := LEAST(first_broken, v_told);
    SELECT COUNT(*) INTO rows FROM vault.pii_reveals AS seen
    WHERE seen.tenant_id = v_tenant_id AND seen.position > p_after AND (seen.position <= last_position OR v_is_last);
    RETURN NEXT;
END
$$;

GRANT SELECT ON vault.reveal_links, vault.reveal_heads TO auditor;
GRANT EXECUTE ON FUNCTION vault.reveal_in_conversation(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], TEXT[]) TO vault;
GRANT EXECUTE ON FUNCTION vault.reveal_of_records(TEXT, TEXT, TEXT, TEXT[], TEXT[], TEXT[]) TO vault;
GRANT EXECUTE ON FUNCTION vault.read_known_values(TEXT, TEXT, TEXT[]) TO vault;
GRANT EXECUTE ON FUNCTION vault.verify_reveals(BIGINT, INTEGER) TO vault, auditor;

RESET ROLE;
