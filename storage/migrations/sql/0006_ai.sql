-- The knowledge base (masked chunks, written by jobs, read by the AI role), LangGraph's checkpoints of masked state, and what the AI
-- role may know of the gate's answers.

SET LOCAL ROLE gate_owner;
GRANT USAGE ON SCHEMA gate TO core_owner;
GRANT SELECT ON gate.decisions, gate.consumptions TO core_owner;

SET LOCAL ROLE core_owner;

-- Outcome and execution only, no facts, score or people: enough to say "that was decided already", not enough to study the gate.
CREATE VIEW ai.decisions WITH (security_barrier) AS
SELECT
    decisions.tenant_id, decisions.decision_id, decisions.proposal_id, decisions.customer_id, decisions.transaction_id,
    decisions.action_kind, decisions.outcome, decisions.amount_minor, decisions.currency, decisions.decided_at,
    consumptions.decision_id IS NOT NULL AS executed,
    NOT EXISTS (
        SELECT FROM gate.decisions AS later
        WHERE later.tenant_id = decisions.tenant_id AND later.previous_decision_id = decisions.decision_id
    ) AS is_latest
FROM gate.decisions
LEFT JOIN gate.consumptions
    ON decisions.tenant_id = consumptions.tenant_id AND decisions.decision_id = consumptions.decision_id;
GRANT SELECT ON ai.decisions TO ai;

-- Knowledge base --------------------------------------------------------------------------------------------------------------

-- `reader_roles`: roles of people that may be shown the article. `content_sha256` decides whether an article is cut and embedded again.
CREATE TABLE kb.articles (
    tenant_id TEXT NOT NULL,
    article_id TEXT NOT NULL CHECK (article_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    title TEXT NOT NULL CHECK (OCTET_LENGTH(title) <= 1024),
    language TEXT NOT NULL,
    reader_roles TEXT[] NOT NULL CHECK (CARDINALITY(reader_roles) > 0),
    content_sha256 TEXT NOT NULL CHECK (content_sha256 ~ '^[0-9a-f]{64}$'),
    source TEXT NOT NULL,
    indexed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, article_id)
);

-- The role filter is repeated on the chunk so that one query can apply it beside the index.
CREATE TABLE kb.chunks (
    tenant_id TEXT NOT NULL,
    article_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL CHECK (ordinal >= 1),
    heading_path TEXT NOT NULL,
    masked_text TEXT NOT NULL CHECK (OCTET_LENGTH(masked_text) <= 16384),
    text_sha256 TEXT NOT NULL CHECK (text_sha256 ~ '^[0-9a-f]{64}$'),
    reader_roles TEXT[] NOT NULL,
    search TSVECTOR NOT NULL GENERATED ALWAYS AS (
        SETWEIGHT(TO_TSVECTOR('pg_catalog.english', heading_path), 'A')
        || SETWEIGHT(TO_TSVECTOR('pg_catalog.english', masked_text), 'B')
    ) STORED,
    embedding extensions.VECTOR(384),
    embedding_model TEXT,
    PRIMARY KEY (tenant_id, article_id, ordinal),
    FOREIGN KEY (tenant_id, article_id) REFERENCES kb.articles ON DELETE CASCADE,
    CHECK ((embedding IS NULL) = (embedding_model IS NULL))
);
CREATE INDEX chunks_by_search ON kb.chunks USING gin (search);
CREATE INDEX chunks_by_embedding ON kb.chunks USING hnsw (embedding extensions.vector_cosine_ops);
CREATE INDEX chunks_unembedded ON kb.chunks (tenant_id, article_id, ordinal) WHERE embedding IS NULL;
CREATE INDEX chunks_by_text ON kb.chunks (tenant_id, text_sha256) WHERE embedding IS NOT NULL;

CALL core.protect_tenant_table('kb.articles');
CALL core.protect_tenant_table('kb.chunks');

GRANT USAGE ON SCHEMA kb TO ai, edge, jobs, auditor;
GRANT SELECT ON kb.articles, kb.chunks TO ai, edge, jobs, auditor;
GRANT INSERT, UPDATE, DELETE ON kb.articles, kb.chunks TO jobs;

-- Checkpoints -----------------------------------------------------------------------------------------------------------------

-- The tables of langgraph-checkpoint-postgres 3.2.0, as its own migrations 0 to 9 leave them (a test compares the two).
-- The library has no tenant column: a thread id is `<tenant>:<conversation>:<message>`, and the policy reads its first part.
CREATE TABLE graph.checkpoint_migrations (
    v INTEGER PRIMARY KEY
);
INSERT INTO graph.checkpoint_migrations (v) SELECT * FROM GENERATE_SERIES(0, 9);

CREATE TABLE graph.checkpoints (
    thread_id TEXT NOT NULL,
    checkpoint_ns TEXT NOT NULL DEFAULT '',
    checkpoint_id TEXT NOT NULL,
    parent_checkpoint_id TEXT,
    type TEXT,
    checkpoint JSONB NOT NULL,
    metadata JSONB NOT NULL DEFAULT '{}',
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE INDEX checkpoints_thread_id_idx ON graph.checkpoints (thread_id);

CREATE TABLE graph.checkpoint_blobs (
    thread_id TEXT NOT NULL,
    checkpoint_ns TEXT NOT NULL DEFAULT '',
    channel TEXT NOT NULL,
    version TEXT NOT NULL,
    type TEXT NOT NULL,
    blob BYTEA,
    PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
);
CREATE INDEX checkpoint_blobs_thread_id_idx ON graph.checkpoint_blobs (thread_id);

CREATE TABLE graph.checkpoint_writes (
    thread_id TEXT NOT NULL,
    checkpoint_ns TEXT NOT NULL DEFAULT '',
    checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    idx INTEGER NOT NULL,
    channel TEXT NOT NULL,
    type TEXT,
    blob BYTEA NOT NULL,
    task_path TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
CREATE INDEX checkpoint_writes_thread_id_idx ON graph.checkpoint_writes (thread_id);

DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['graph.checkpoints', 'graph.checkpoint_blobs', 'graph.checkpoint_writes'] LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant_only ON %s USING (split_part(thread_id, '':'', 1) = (SELECT core.current_tenant()))'
            ' WITH CHECK (split_part(thread_id, '':'', 1) = (SELECT core.current_tenant()))', name
        );
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA graph TO ai;
GRANT SELECT ON graph.checkpoint_migrations TO ai;
GRANT SELECT, INSERT, UPDATE, DELETE ON graph.checkpoints, graph.checkpoint_blobs, graph.checkpoint_writes TO ai;

RESET ROLE;
