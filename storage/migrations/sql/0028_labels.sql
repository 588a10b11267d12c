-- Labels: what later turned out about a record, for training and for measuring, and never for deciding.
-- The roles that decide, propose and act (gate, executor, edge, ai) cannot read them.

SET LOCAL ROLE core_owner;

-- Whom a transfer of the bank's own record went to, where the bank says it.
ALTER TABLE core.transactions ADD COLUMN beneficiary_id TEXT;
CREATE INDEX transactions_by_beneficiary ON core.transactions (tenant_id, beneficiary_id, occurred_at) WHERE beneficiary_id IS NOT NULL;

-- `occurred_at`: when the labelled thing happened. `known_at`: from when on the label may be used; what is measured or trained as of an
-- earlier moment does not see it. A label is never changed: a later one of the same subject takes its place from its own `known_at` on.
CREATE TABLE core.labels (
    tenant_id TEXT NOT NULL,
    label_id TEXT NOT NULL CHECK (OCTET_LENGTH(label_id) BETWEEN 1 AND 64),
    subject_kind TEXT NOT NULL CHECK (
        subject_kind IN ('transaction', 'dispute', 'customer', 'account', 'card', 'merchant', 'beneficiary')
    ),
    subject_id TEXT NOT NULL CHECK (OCTET_LENGTH(subject_id) BETWEEN 1 AND 64),
    label TEXT NOT NULL CHECK (label IN ('fraud', 'legitimate')),
    pattern TEXT CHECK (pattern ~ '^[a-z][a-z0-9_]{0,39}$'),
    source TEXT NOT NULL CHECK (source IN ('investigation', 'chargeback', 'customer_report', 'review')),
    occurred_at TIMESTAMPTZ NOT NULL,
    known_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    PRIMARY KEY (tenant_id, label_id),
    CONSTRAINT labels_come_late CHECK (known_at >= occurred_at + INTERVAL '7 days'),
    CONSTRAINT labels_of_fraud_have_a_pattern CHECK ((label = 'fraud') = (pattern IS NOT NULL))
);
CREATE INDEX labels_by_subject ON core.labels (tenant_id, subject_kind, subject_id, known_at);
CREATE INDEX labels_by_known_at ON core.labels (tenant_id, known_at);

CALL core.protect_tenant_table('core.labels');
CALL core.protect_append_only_table('core.labels');

GRANT SELECT ON core.labels TO jobs, auditor;
-- Without `recorded_at`: that is the server's own stamp.
GRANT INSERT (tenant_id, label_id, subject_kind, subject_id, label, pattern, source, occurred_at, known_at) ON core.labels TO jobs;

RESET ROLE;
