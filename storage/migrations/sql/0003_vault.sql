-- The vault: what a token stands for. Role `vault` alone works here, and not even it may read a sealed value directly:
-- ciphertext comes out only through functions (0035) that write who saw what, for which purpose, in the same transaction.

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
    -- Nobody holds its value any more: an erasure took the last copy, and the fingerprint is noise.
    erased_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, token),
    UNIQUE (tenant_id, class, fingerprint)
);
CREATE INDEX tokens_erased ON vault.tokens (tenant_id, token) WHERE erased_at IS NOT NULL;

-- One sealed copy per subject: two people may share a name, and erasing one must not take the other's.
CREATE TABLE vault.pii_values (
    tenant_id TEXT NOT NULL,
    token TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    class TEXT NOT NULL,
    -- Who brought it: the record's own field, what a stranger wrote into the record, or a message.
    source TEXT NOT NULL CHECK (source IN ('record', 'text', 'message')),
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
-- An erasure asks both ways, while everybody who makes a key waits.
CREATE INDEX surfaces_by_subject ON vault.surfaces (tenant_id, subject_id);
CREATE INDEX surfaces_by_token ON vault.surfaces (tenant_id, token);

-- Which tokens a conversation may resolve. A token pasted from elsewhere is in no grant and shows nothing.
CREATE TABLE vault.pii_grants (
    tenant_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    token TEXT NOT NULL,
    -- The most trusted source that brought the value into the conversation.
    origin TEXT NOT NULL DEFAULT 'staff' CHECK (
        origin IN ('ledger', 'kyc_verified', 'staff', 'derived', 'customer_text', 'document', 'knowledge_base', 'model')
    ),
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
    purpose TEXT NOT NULL CHECK (
        purpose IN ('conversation', 'customer_list', 'record', 'review', 'audit', 'tool', 'cli', 'mask')
    ),
    scope TEXT NOT NULL CHECK (scope IN ('conversation', 'record', 'masking')),
    scope_id TEXT NOT NULL,
    -- The customer that it is about.
    subject_id TEXT NOT NULL,
    message_id TEXT,
    token TEXT,
    class TEXT,
    shown TEXT NOT NULL CHECK (shown IN ('plain', 'last4', 'masked', 'none')),
    revealed_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    -- The link of the chain that this row is part of.
    position BIGINT NOT NULL CHECK (position >= 1),
    PRIMARY KEY (tenant_id, reveal_id),
    CHECK ((token IS NULL) = (scope = 'masking')),
    CHECK ((shown = 'none') = (scope = 'masking'))
);
CREATE INDEX pii_reveals_by_time ON vault.pii_reveals (tenant_id, revealed_at);
CREATE INDEX pii_reveals_by_subject ON vault.pii_reveals (tenant_id, subject_id, revealed_at);
CREATE INDEX pii_reveals_by_position ON vault.pii_reveals (tenant_id, position);

-- Subjects whose data key is gone, and who did it why. What is here gets no key again.
CREATE TABLE vault.erasures (
    tenant_id TEXT NOT NULL,
    subject_id TEXT NOT NULL CHECK (LENGTH(subject_id) BETWEEN 1 AND 64),
    erased_at TIMESTAMPTZ NOT NULL,
    actor TEXT NOT NULL CHECK (actor <> ''),
    reason TEXT NOT NULL CHECK (LENGTH(reason) BETWEEN 1 AND 500),
    values_erased INTEGER NOT NULL CHECK (values_erased >= 0),
    surfaces_erased INTEGER NOT NULL CHECK (surfaces_erased >= 0),
    event_id UUID NOT NULL,
    PRIMARY KEY (tenant_id, subject_id)
);

DO $$
DECLARE
    name REGCLASS;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'vault.data_keys', 'vault.tokens', 'vault.pii_values', 'vault.surfaces', 'vault.pii_grants', 'vault.pii_reveals',
        'vault.erasures'
    ]::REGCLASS[] LOOP
        CALL core.protect_tenant_table(name);
    END LOOP;
    CALL core.protect_append_only_table('vault.pii_reveals');
    CALL core.protect_append_only_table('vault.erasures');
END
$$;

GRANT USAGE ON SCHEMA vault TO vault, auditor;
GRANT SELECT, INSERT ON vault.data_keys, vault.tokens, vault.pii_grants TO vault;
GRANT UPDATE (origin) ON vault.pii_grants TO vault;
GRANT SELECT (tenant_id, token, subject_id, class, source, key_version, created_at, expires_at), INSERT ON vault.pii_values TO vault;
GRANT UPDATE (source, ciphertext, key_version) ON vault.pii_values TO vault;
GRANT SELECT (tenant_id, message_id, ordinal, token, subject_id, key_version), INSERT ON vault.surfaces TO vault;
GRANT SELECT ON vault.pii_reveals, vault.erasures TO vault, auditor;

RESET ROLE;
