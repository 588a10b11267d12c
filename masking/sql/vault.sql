-- name: find_tokens
-- Which of these fingerprints have a token already? Shape: class, fingerprint, token.
SELECT
    tokens.class,
    tokens.fingerprint,
    tokens.token
FROM UNNEST(%(classes)s::TEXT[], %(fingerprints)s::BYTEA[]) AS wanted (class, fingerprint)
INNER JOIN vault.tokens AS tokens
    ON wanted.class = tokens.class AND wanted.fingerprint = tokens.fingerprint AND tokens.tenant_id = %(tenant_id)s;

-- name: insert_tokens
-- In the order of the tokens, so that two writers never wait for each other in a ring.
INSERT INTO vault.tokens (tenant_id, token, class, fingerprint)
SELECT
    %(tenant_id)s,
    wanted.token,
    wanted.class,
    wanted.fingerprint
FROM UNNEST(%(tokens)s::TEXT[], %(classes)s::TEXT[], %(fingerprints)s::BYTEA[]) AS wanted (token, class, fingerprint)
ORDER BY wanted.token
ON CONFLICT DO NOTHING;

-- name: insert_values
-- A sealed copy is kept once; what is there already stays.
INSERT INTO vault.pii_values (tenant_id, token, subject_id, class, source, ciphertext, key_version)
SELECT
    %(tenant_id)s,
    wanted.token,
    wanted.subject_id,
    wanted.class,
    %(source)s,
    wanted.ciphertext,
    wanted.key_version
FROM
    UNNEST(
        %(tokens)s::TEXT[], %(subjects)s::TEXT[], %(classes)s::TEXT[], %(ciphertexts)s::BYTEA[], %(key_versions)s::SMALLINT[]
    ) AS wanted (token, subject_id, class, ciphertext, key_version)
ORDER BY wanted.token, wanted.subject_id
ON CONFLICT DO NOTHING;

-- name: promote_values
-- A value first met in a message or a stranger's text becomes a record's when the record brings it, in the record's spelling.
UPDATE vault.pii_values AS held
SET source = %(source)s, ciphertext = wanted.ciphertext, key_version = wanted.key_version
FROM
    UNNEST(%(tokens)s::TEXT[], %(subjects)s::TEXT[], %(ciphertexts)s::BYTEA[], %(key_versions)s::SMALLINT[])
        AS wanted (token, subject_id, ciphertext, key_version)
WHERE
    held.tenant_id = %(tenant_id)s AND held.token = wanted.token AND held.subject_id = wanted.subject_id
    AND (held.source = 'message' OR (held.source = 'text' AND %(source)s = 'record'));

-- name: grant_tokens
-- What a conversation may resolve from now on, and the most trusted origin that it came with.
INSERT INTO vault.pii_grants (tenant_id, conversation_id, token, origin)
SELECT
    %(tenant_id)s,
    %(conversation_id)s,
    wanted.token,
    %(origin)s
FROM UNNEST(%(tokens)s::TEXT[]) AS wanted (token)
ORDER BY wanted.token
ON CONFLICT (tenant_id, conversation_id, token) DO UPDATE
    SET origin = excluded.origin
    WHERE ARRAY_POSITION(%(by_trust)s::TEXT[], excluded.origin) < ARRAY_POSITION(%(by_trust)s::TEXT[], pii_grants.origin);

-- name: list_grants
-- The tokens that a conversation may resolve.
SELECT token FROM vault.pii_grants
WHERE tenant_id = %(tenant_id)s AND conversation_id = %(conversation_id)s;

-- name: insert_surfaces
-- A message's written forms are stored once; a repeat keeps them.
INSERT INTO vault.surfaces (tenant_id, message_id, ordinal, token, subject_id, ciphertext, key_version)
SELECT
    %(tenant_id)s,
    %(message_id)s,
    wanted.ordinal,
    wanted.token,
    %(subject_id)s,
    wanted.ciphertext,
    %(key_version)s
FROM UNNEST(%(ordinals)s::INTEGER[], %(tokens)s::TEXT[], %(ciphertexts)s::BYTEA[]) AS wanted (ordinal, token, ciphertext)
ON CONFLICT DO NOTHING;

-- name: read_known_values
-- The record values of subjects, for recognising them in a text. Writes one audit row a subject.
SELECT * FROM vault.read_known_values(%(actor)s, %(purpose)s, %(subjects)s::TEXT[]);

-- name: list_erased_grants
-- Which of these tokens may the conversation resolve, and cannot because what they stood for was erased?
SELECT grants.token
FROM vault.pii_grants AS grants
INNER JOIN vault.tokens AS tokens ON grants.tenant_id = tokens.tenant_id AND grants.token = tokens.token
WHERE
    grants.tenant_id = %(tenant_id)s AND grants.conversation_id = %(conversation_id)s AND grants.token = ANY(%(tokens)s)
    AND (
        tokens.erased_at IS NOT NULL
        OR EXISTS (SELECT FROM vault.erasures WHERE tenant_id = %(tenant_id)s AND subject_id = %(subject_id)s)
    );

-- name: reveal_in_conversation
-- Sealed values that a conversation may resolve. Writes one audit row for each token.
SELECT * FROM vault.reveal_in_conversation(
    %(actor)s, %(roles)s, %(purpose)s, %(conversation_id)s, %(subject_id)s, %(message_id)s, %(tokens)s::TEXT[], %(views)s::TEXT[]
);

-- name: reveal_of_records
-- Sealed values of records. Writes one audit row for each.
SELECT * FROM vault.reveal_of_records(
    %(actor)s, %(roles)s, %(purpose)s, %(subjects)s::TEXT[], %(tokens)s::TEXT[], %(views)s::TEXT[]
);
