-- Schemas and their owners, verified tenancy, events, idempotency keys, outbox, registry.
-- Each owner role creates its own things; FORCE ROW LEVEL SECURITY binds the owners too.

REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- On a managed server an administrator may have to make these two beforehand.
CREATE SCHEMA IF NOT EXISTS extensions;
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA extensions;
GRANT USAGE ON SCHEMA extensions
TO edge, vault, ai, gate, executor, importer, jobs, auditor, core_owner, vault_owner, ledger_owner, ledger_writer, gate_owner;

CREATE SCHEMA core AUTHORIZATION core_owner;
CREATE SCHEMA ai AUTHORIZATION core_owner;
CREATE SCHEMA kb AUTHORIZATION core_owner;
CREATE SCHEMA graph AUTHORIZATION core_owner;
CREATE SCHEMA jobs AUTHORIZATION core_owner;
CREATE SCHEMA vault AUTHORIZATION vault_owner;
CREATE SCHEMA ledger AUTHORIZATION ledger_owner;
CREATE SCHEMA gate AUTHORIZATION gate_owner;

-- A function is open to everyone unless its owner says otherwise once: each schema's functions are granted one by one.
ALTER DEFAULT PRIVILEGES FOR ROLE core_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE vault_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE ledger_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE ledger_writer REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE gate_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

SET LOCAL ROLE core_owner;

GRANT USAGE ON SCHEMA core TO edge, vault, gate, executor, importer, jobs, auditor, vault_owner, ledger_owner, ledger_writer, gate_owner;

-- Which files built this schema: a process compares them with its own files when it starts.
CREATE TABLE core.schema_files (
    name TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    applied_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP()
);
GRANT USAGE ON SCHEMA core TO ai;
GRANT SELECT ON core.schema_files TO edge, vault, ai, gate, executor, importer, jobs, auditor;

-- Tenancy ---------------------------------------------------------------------------------------------------------------------

-- The two padded halves of the HMAC key (RFC 2104); nobody but the owner reads them. Two rows while a key is being rotated.
CREATE TABLE core.context_keys (
    key_id TEXT PRIMARY KEY,
    inner_pad BYTEA NOT NULL CHECK (OCTET_LENGTH(inner_pad) = 64),
    outer_pad BYTEA NOT NULL CHECK (OCTET_LENGTH(outer_pad) = 64)
);

-- The tenant that the session has proved: `v1.<tenant>.<role>.<expiry, epoch s>.<hex HMAC-SHA256 of all before the last dot>`.
-- Any role can SET a setting, so the setting proves nothing by itself; the mac does, and it names the role that may use it.
CREATE FUNCTION core.current_tenant() RETURNS TEXT
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    context TEXT := coalesce(current_setting('tellergate.context', TRUE), '');
    parts TEXT[] := string_to_array(context, '.');
    signed BYTEA;
BEGIN
    IF context = '' THEN
        RAISE EXCEPTION 'tenant context: missing' USING ERRCODE = '42501';
    END IF;
    IF cardinality(parts) <> 5 OR parts[1] <> 'v1' OR length(parts[5]) <> 64 THEN
        RAISE EXCEPTION 'tenant context: malformed' USING ERRCODE = '42501';
    END IF;
    -- 5 us a call; a regular expression here took 60. What the mac covers was checked when it was minted.
    signed := convert_to(left(context, -65), 'UTF8');
    IF NOT EXISTS (
        SELECT FROM core.context_keys
        WHERE encode(sha256(outer_pad || sha256(inner_pad || signed)), 'hex') = parts[5]
    ) THEN
        RAISE EXCEPTION 'tenant context: forged' USING ERRCODE = '42501';
    END IF;
    IF parts[3] <> session_user THEN
        RAISE EXCEPTION 'tenant context: made for another role' USING ERRCODE = '42501';
    END IF;
    IF parts[4]::BIGINT <= extract(EPOCH FROM statement_timestamp()) THEN
        RAISE EXCEPTION 'tenant context: expired' USING ERRCODE = '42501';
    END IF;
    RETURN parts[2];
END
$$;
GRANT EXECUTE ON FUNCTION core.current_tenant()
TO edge, vault, ai, gate, executor, importer, jobs, auditor, vault_owner, ledger_owner, ledger_writer, gate_owner;

-- One call makes a table a tenant table. The sub-select makes the check run once a query and not once a row.
CREATE PROCEDURE core.protect_tenant_table(target REGCLASS)
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY tenant_only ON %s USING (tenant_id = (SELECT core.current_tenant()))'
        ' WITH CHECK (tenant_id = (SELECT core.current_tenant()))', target
    );
END
$$;
GRANT EXECUTE ON PROCEDURE core.protect_tenant_table(REGCLASS) TO vault_owner, ledger_owner, gate_owner;

-- As above for the tables that every posting touches. `ledger_writer` owns functions and cannot log in; each of its functions
-- verifies the context once and notes the tenant for the transaction, so that no statement pays for the check again.
-- What a caller puts into that setting himself is overwritten before the first statement that reads it.
CREATE PROCEDURE core.protect_posting_table(target REGCLASS)
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY tenant_only ON %s TO edge, vault, ai, gate, executor, importer, jobs, auditor, core_owner, vault_owner,'
        ' ledger_owner, gate_owner USING (tenant_id = (SELECT core.current_tenant()))'
        ' WITH CHECK (tenant_id = (SELECT core.current_tenant()))', target
    );
    -- What the functions read, change or remove is of the verified tenant; what they insert is, by their own text, and checking
    -- it again cost a third of the insert.
    EXECUTE format(
        'CREATE POLICY verified_tenant ON %s FOR SELECT TO ledger_writer USING (tenant_id = current_setting(''tellergate.tenant'', TRUE))',
        target
    );
    EXECUTE format('CREATE POLICY written_by_functions ON %s FOR INSERT TO ledger_writer WITH CHECK (TRUE)', target);
    EXECUTE format('CREATE POLICY changed_where_seen ON %s FOR UPDATE TO ledger_writer USING (TRUE) WITH CHECK (TRUE)', target);
    EXECUTE format('CREATE POLICY removed_where_seen ON %s FOR DELETE TO ledger_writer USING (TRUE)', target);
END
$$;
GRANT EXECUTE ON PROCEDURE core.protect_posting_table(REGCLASS) TO ledger_owner, gate_owner;

-- For tables that only grow: refuses UPDATE, DELETE and TRUNCATE to everyone, the owner and the superuser included.
CREATE FUNCTION core.refuse_change() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '%.% only grows: % refused', tg_table_schema, tg_table_name, tg_op USING ERRCODE = '42501';
END
$$;
GRANT EXECUTE ON FUNCTION core.refuse_change() TO vault_owner, ledger_owner, gate_owner;

CREATE PROCEDURE core.protect_append_only_table(target REGCLASS)
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION core.refuse_change()', target
    );
    -- ALWAYS: a session that plays a replica (session_replication_role) fires it too.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', target);
END
$$;
GRANT EXECUTE ON PROCEDURE core.protect_append_only_table(REGCLASS) TO vault_owner, ledger_owner, gate_owner;

-- Events ----------------------------------------------------------------------------------------------------------------------

CREATE TABLE core.events (
    tenant_id TEXT NOT NULL,
    event_id UUID NOT NULL,
    event_type TEXT NOT NULL CHECK (event_type ~ '^[a-z]+(\.[a-z_]+)+$'),
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    account_id TEXT,
    idempotency_key TEXT,
    -- Canonical JSON holds integers up to 2^53 - 1; an event that has no canonical form would stop the sequencer.
    amount_minor BIGINT CHECK (amount_minor BETWEEN -9007199254740991 AND 9007199254740991),
    currency TEXT CHECK (currency ~ '^[A-Z]{3}$'),
    policy_decision TEXT,
    policy_version TEXT,
    model_score_ref TEXT,
    trace_id TEXT,
    data JSONB NOT NULL CHECK (JSONB_TYPEOF(data) = 'object'),
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX events_by_subject ON core.events (tenant_id, subject);
CREATE INDEX events_by_account ON core.events (tenant_id, account_id, occurred_at) WHERE account_id IS NOT NULL;

-- What waits for its position. Rows come by trigger, in the transaction of the event, and go when the sequencer has placed them.
CREATE TABLE core.events_unsequenced (
    tenant_id TEXT NOT NULL,
    -- In order of insertion, whatever the times say: a cause that committed before its effect was written has the lower one.
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY,
    event_id UUID NOT NULL,
    PRIMARY KEY (ordinal, tenant_id)
);

-- The gap-free order of a tenant's events, from 0: the position is the index of the leaf in the receipt tree.
-- No foreign key: an event is a row of core.events or a transfer, which is its own event (`ledger.transfer_events`).
CREATE TABLE core.event_positions (
    tenant_id TEXT NOT NULL,
    position BIGINT NOT NULL CHECK (position >= 0),
    event_id UUID NOT NULL,
    leaf_hash BYTEA NOT NULL CHECK (OCTET_LENGTH(leaf_hash) = 32),
    sequenced_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    PRIMARY KEY (tenant_id, position),
    UNIQUE (tenant_id, event_id)
);

-- With definer's rights, so that a role that may append needs no right on the waiting list.
CREATE FUNCTION core.queue_events() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO core.events_unsequenced (tenant_id, event_id)
    SELECT tenant_id, event_id FROM added;
    RETURN NULL;
END
$$;
CREATE TRIGGER queue_events AFTER INSERT ON core.events
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION core.queue_events();

CREATE FUNCTION core.refuse_gap() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
DECLARE
    next_position BIGINT;
BEGIN
    SELECT coalesce(max(position) + 1, 0) INTO next_position FROM core.event_positions WHERE tenant_id = new.tenant_id;
    IF new.position <> next_position THEN
        RAISE EXCEPTION 'event position %: the next one is %', new.position, next_position USING ERRCODE = '23514';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER refuse_gap BEFORE INSERT ON core.event_positions FOR EACH ROW EXECUTE FUNCTION core.refuse_gap();

CALL core.protect_tenant_table('core.events');
CALL core.protect_posting_table('core.events_unsequenced');
CALL core.protect_tenant_table('core.event_positions');
CALL core.protect_append_only_table('core.events');
CALL core.protect_append_only_table('core.event_positions');
-- The sequencer serves every tenant: it may see, before it has a context, whose events wait, and nothing else of them.
CREATE POLICY waiting_tenants ON core.events_unsequenced FOR SELECT TO gate USING (TRUE);

GRANT SELECT ON core.events, core.event_positions TO edge, gate, executor, jobs, auditor;
GRANT INSERT ON core.events TO edge, gate, executor, jobs, vault_owner, ledger_owner, ledger_writer, gate_owner;
GRANT INSERT ON core.events_unsequenced TO ledger_writer;
GRANT SELECT, DELETE ON core.events_unsequenced TO gate;
GRANT INSERT ON core.event_positions TO gate;

-- Idempotency keys ------------------------------------------------------------------------------------------------------------

CREATE TABLE core.idempotency_keys (
    tenant_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    key TEXT NOT NULL CHECK (OCTET_LENGTH(key) BETWEEN 1 AND 255),
    body_digest TEXT NOT NULL CHECK (body_digest ~ '^[0-9a-f]{64}$'),
    response JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, scope, key)
);
CALL core.protect_tenant_table('core.idempotency_keys');
CALL core.protect_append_only_table('core.idempotency_keys');
GRANT SELECT, INSERT ON core.idempotency_keys TO edge, gate, executor, jobs, ledger_owner, gate_owner;
GRANT SELECT ON core.idempotency_keys TO auditor;

-- Outbox ----------------------------------------------------------------------------------------------------------------------

-- Instructions to the bank. Written in the transaction of their posting; a relay sends them and notes the acknowledgement.
CREATE TABLE core.outbox (
    tenant_id TEXT NOT NULL,
    instruction_id UUID NOT NULL,
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    payload JSONB NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'confirmed', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, instruction_id),
    UNIQUE (tenant_id, kind, reference),
    CHECK ((state = 'failed') = (failure IS NOT NULL))
);
CREATE INDEX outbox_open ON core.outbox (tenant_id, created_at) WHERE state IN ('pending', 'sent');

CREATE FUNCTION core.refuse_outbox_step() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    IF (old.state, new.state) NOT IN (
        ('pending', 'pending'), ('pending', 'sent'), ('pending', 'failed'), ('sent', 'sent'), ('sent', 'confirmed'), ('sent', 'failed')
    ) THEN
        RAISE EXCEPTION 'outbox instruction %: no way from % to %', old.instruction_id, old.state, new.state USING ERRCODE = '23514';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER refuse_outbox_step BEFORE UPDATE ON core.outbox FOR EACH ROW EXECUTE FUNCTION core.refuse_outbox_step();

CALL core.protect_tenant_table('core.outbox');
GRANT SELECT ON core.outbox TO edge, gate, executor, jobs, auditor;
GRANT INSERT ON core.outbox TO executor, ledger_owner, ledger_writer, gate_owner;
GRANT UPDATE (state, attempts, failure, changed_at) ON core.outbox TO jobs;

-- Registry --------------------------------------------------------------------------------------------------------------------

-- Everything versioned: policies, prompts, score models, language models, thresholds, lists. Roll back by moving an alias.
CREATE TABLE core.registry_artifacts (
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    location TEXT NOT NULL,
    lineage JSONB NOT NULL DEFAULT '{}',
    state TEXT NOT NULL DEFAULT 'candidate' CHECK (state IN ('candidate', 'shadow', 'canary', 'champion', 'retired')),
    approvals JSONB NOT NULL DEFAULT '[]',
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, kind, name, version)
);
CREATE TABLE core.registry_aliases (
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    version TEXT NOT NULL,
    moved_at TIMESTAMPTZ NOT NULL,
    moved_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, kind, name, alias),
    FOREIGN KEY (tenant_id, kind, name, version) REFERENCES core.registry_artifacts
);
CALL core.protect_tenant_table('core.registry_artifacts');
CALL core.protect_tenant_table('core.registry_aliases');
GRANT SELECT ON core.registry_artifacts, core.registry_aliases TO edge, ai, gate, executor, jobs, auditor;
GRANT INSERT ON core.registry_artifacts TO gate, jobs;
GRANT UPDATE (state, approvals) ON core.registry_artifacts TO gate;
GRANT INSERT, UPDATE ON core.registry_aliases TO gate;

RESET ROLE;
