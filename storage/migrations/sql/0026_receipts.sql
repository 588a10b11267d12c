-- The receipt log's keys, one after the other, and where its heads were written outside of this database.

SET LOCAL ROLE gate_owner;

-- A key signs the checkpoints larger than `signs_after`, until the next key does; the one at the change is signed by both.
CREATE TABLE gate.log_keys (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL CHECK (key_id ~ '^[0-9a-f]{8}$'),
    verifier_key TEXT NOT NULL CHECK (verifier_key ~ '^[!-~]{1,200}$'),
    signs_after BIGINT NOT NULL CHECK (signs_after >= 0),
    retired_key_id TEXT CHECK (retired_key_id <> key_id),
    introduced_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, key_id),
    UNIQUE (tenant_id, signs_after)
);

CREATE TABLE gate.anchors (
    tenant_id TEXT NOT NULL,
    target TEXT NOT NULL CHECK (target IN ('file', 'webhook')),
    tree_size BIGINT NOT NULL CHECK (tree_size > 0),
    root BYTEA NOT NULL CHECK (OCTET_LENGTH(root) = 32),
    anchored_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, target, tree_size)
);

DO $$
DECLARE
    v_name REGCLASS;
BEGIN
    FOREACH v_name IN ARRAY ARRAY['gate.log_keys', 'gate.anchors']::REGCLASS[] LOOP
        CALL core.protect_tenant_table(v_name);
        CALL core.protect_append_only_table(v_name);
    END LOOP;
END
$$;

GRANT SELECT ON gate.log_keys, gate.anchors TO gate, auditor;
GRANT INSERT ON gate.log_keys, gate.anchors TO gate;
-- The jobs process sends heads outside; it alone reaches there.
GRANT SELECT ON gate.checkpoints, gate.anchors TO jobs;
GRANT INSERT ON gate.anchors TO jobs;

RESET ROLE;
