-- The bank's records as ingested, people, conversations, and the masked views of the AI role.
-- Regulated values stand here as vault tokens only (columns *_token); amounts, times, merchants and statuses stay plain.
-- Record ids come from the bank: text of at most 64 characters, unique within a tenant.

SET LOCAL ROLE core_owner;

CREATE TABLE core.tenants (
    tenant_id TEXT PRIMARY KEY CHECK (tenant_id ~ '^[a-z0-9-]{1,40}$'),
    name TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE core.operators (
    tenant_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    username TEXT NOT NULL,
    display_name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles TEXT[] NOT NULL CHECK (
        roles <@ ARRAY['support', 'investigator', 'onboarding', 'approver', 'auditor', 'admin']
    ),
    active BOOLEAN NOT NULL DEFAULT TRUE,
    PRIMARY KEY (tenant_id, operator_id),
    UNIQUE (tenant_id, username)
);

CREATE TABLE core.operator_limits (
    tenant_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    action_kind TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    limit_minor BIGINT NOT NULL CHECK (limit_minor >= 0),
    PRIMARY KEY (tenant_id, operator_id, action_kind, currency),
    FOREIGN KEY (tenant_id, operator_id) REFERENCES core.operators
);

CREATE TABLE core.sessions (
    tenant_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    token_sha256 BYTEA NOT NULL CHECK (OCTET_LENGTH(token_sha256) = 32),
    csrf_token TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('console', 'cli')),
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, session_id),
    UNIQUE (tenant_id, token_sha256),
    FOREIGN KEY (tenant_id, operator_id) REFERENCES core.operators
);

CREATE TABLE core.customers (
    tenant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    name_token TEXT NOT NULL,
    email_token TEXT,
    phone_token TEXT,
    birth_date_token TEXT,
    address_token TEXT,
    national_id_token TEXT,
    country CHAR(2) NOT NULL,
    language TEXT NOT NULL,
    segment TEXT NOT NULL,
    kyc_status TEXT NOT NULL CHECK (kyc_status IN ('verified', 'pending', 'review', 'rejected')),
    opened_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, customer_id)
);

CREATE TABLE core.accounts (
    tenant_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    number_token TEXT NOT NULL,
    product TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'blocked', 'closed')),
    opened_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, account_id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES core.customers
);
CREATE INDEX accounts_by_customer ON core.accounts (tenant_id, customer_id);

CREATE TABLE core.cards (
    tenant_id TEXT NOT NULL,
    card_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    pan_token TEXT NOT NULL,
    last4 CHAR(4) NOT NULL,
    scheme TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'blocked', 'expired')),
    expires_on DATE NOT NULL,
    PRIMARY KEY (tenant_id, card_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES core.accounts
);

CREATE TABLE core.merchants (
    tenant_id TEXT NOT NULL,
    merchant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    category_code CHAR(4) NOT NULL,
    country CHAR(2) NOT NULL,
    PRIMARY KEY (tenant_id, merchant_id)
);

CREATE TABLE core.transactions (
    tenant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    card_id TEXT,
    merchant_id TEXT,
    kind TEXT NOT NULL CHECK (
        kind IN ('card_payment', 'direct_debit', 'transfer_in', 'transfer_out', 'cash_withdrawal', 'fee', 'payout', 'merchant_refund', 'salary')
    ),
    status TEXT NOT NULL CHECK (status IN ('posted', 'pending', 'declined', 'reversed')),
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    currency CHAR(3) NOT NULL,
    descriptor TEXT NOT NULL,
    reference TEXT,
    occurred_at TIMESTAMPTZ NOT NULL,
    posted_at TIMESTAMPTZ,
    decline_code TEXT,
    decline_trace JSONB,
    related_transaction_id TEXT,
    settles_on DATE,
    PRIMARY KEY (tenant_id, transaction_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES core.accounts
);
CREATE INDEX transactions_by_account ON core.transactions (tenant_id, account_id, occurred_at DESC);

CREATE TABLE core.beneficiaries (
    tenant_id TEXT NOT NULL,
    beneficiary_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    name_token TEXT NOT NULL,
    account_number_token TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    screening_state TEXT NOT NULL DEFAULT 'unknown' CHECK (screening_state IN ('unknown', 'clear', 'review', 'hit')),
    added_at TIMESTAMPTZ NOT NULL,
    verified_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, beneficiary_id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES core.customers
);

CREATE TABLE core.devices (
    tenant_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    first_seen_at TIMESTAMPTZ NOT NULL,
    trusted BOOLEAN NOT NULL,
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES core.customers
);

CREATE TABLE core.logins (
    tenant_id TEXT NOT NULL,
    login_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    device_id TEXT,
    ip_token TEXT,
    country CHAR(2) NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('success', 'failed', 'challenged')),
    occurred_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, login_id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES core.customers
);
CREATE INDEX logins_by_customer ON core.logins (tenant_id, customer_id, occurred_at DESC);

CREATE TABLE core.disputes (
    tenant_id TEXT NOT NULL,
    dispute_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'evidence', 'submitted', 'won', 'lost', 'withdrawn')),
    network_reason_code TEXT NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    due_on DATE,
    PRIMARY KEY (tenant_id, dispute_id),
    FOREIGN KEY (tenant_id, transaction_id) REFERENCES core.transactions
);

CREATE TABLE core.ingest_runs (
    tenant_id TEXT NOT NULL,
    ingest_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    file_sha256 TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    rows_read BIGINT NOT NULL DEFAULT 0,
    rows_inserted BIGINT NOT NULL DEFAULT 0,
    rows_changed BIGINT NOT NULL DEFAULT 0,
    rows_unchanged BIGINT NOT NULL DEFAULT 0,
    rows_quarantined BIGINT NOT NULL DEFAULT 0,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    error TEXT,
    PRIMARY KEY (tenant_id, ingest_id)
);

-- A bad row waits here with its line and reason; its raw text is sealed by the vault, never stored plain.
CREATE TABLE core.ingest_quarantine (
    tenant_id TEXT NOT NULL,
    ingest_id TEXT NOT NULL,
    line INTEGER NOT NULL,
    reason_code TEXT NOT NULL,
    reason TEXT NOT NULL,
    sealed_row BYTEA,
    PRIMARY KEY (tenant_id, ingest_id, line),
    FOREIGN KEY (tenant_id, ingest_id) REFERENCES core.ingest_runs
);

CREATE TABLE core.conversations (
    tenant_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL CHECK (conversation_id ~ '^cnv_[0-9a-f]{32}$'),
    customer_id TEXT NOT NULL,
    operator_id TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES core.customers,
    FOREIGN KEY (tenant_id, operator_id) REFERENCES core.operators
);

-- masked_text only: what was typed exists unmasked at the edge alone. `sentences` holds the checked sentences of an answer.
CREATE TABLE core.messages (
    tenant_id TEXT NOT NULL,
    message_id TEXT NOT NULL CHECK (message_id ~ '^msg_[0-9a-f]{32}$'),
    conversation_id TEXT NOT NULL,
    author TEXT NOT NULL CHECK (author IN ('operator', 'assistant')),
    operator_id TEXT NOT NULL,
    masked_text TEXT NOT NULL CHECK (OCTET_LENGTH(masked_text) <= 131072),
    sentences JSONB NOT NULL DEFAULT '[]',
    state TEXT NOT NULL DEFAULT 'complete' CHECK (state IN ('complete', 'interrupted')),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES core.conversations,
    FOREIGN KEY (tenant_id, operator_id) REFERENCES core.operators
);
CREATE INDEX messages_by_conversation ON core.messages (tenant_id, conversation_id, created_at);

-- What a conversation may name. Written by the edge alone; the gate resolves a proposal's handles here and nowhere else.
CREATE TABLE core.grants (
    tenant_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    handle TEXT NOT NULL CHECK (handle ~ '^[A-Z]{1,2}[0-9]{1,4}$'),
    kind TEXT NOT NULL CHECK (kind IN ('transaction', 'account', 'card', 'beneficiary', 'outside')),
    ref TEXT NOT NULL,
    origin TEXT NOT NULL,
    granted BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, handle),
    UNIQUE (tenant_id, conversation_id, kind, ref),
    CHECK (granted = (kind <> 'outside')),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES core.conversations
);

-- Values found in what people wrote, so that the origin of a proposal's number can be computed (see domain.origin).
CREATE TABLE core.mentions (
    tenant_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    ordinal SMALLINT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('amount', 'handle', 'token')),
    value TEXT NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (tenant_id, message_id, ordinal),
    FOREIGN KEY (tenant_id, message_id) REFERENCES core.messages
);

-- The agents' only way out: an inbox of proposals. The AI role inserts and reads; nobody changes a row.
CREATE TABLE ai.proposals (
    tenant_id TEXT NOT NULL,
    proposal_id TEXT NOT NULL CHECK (proposal_id ~ '^prp_[0-9a-f]{32}$'),
    conversation_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    arguments JSONB NOT NULL,
    trace JSONB NOT NULL,
    submitted_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    PRIMARY KEY (tenant_id, proposal_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES core.conversations,
    FOREIGN KEY (tenant_id, message_id) REFERENCES core.messages
);
CREATE INDEX proposals_by_conversation ON ai.proposals (tenant_id, conversation_id, submitted_at);

DO $$
DECLARE
    name REGCLASS;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'core.tenants', 'core.operators', 'core.operator_limits', 'core.sessions', 'core.customers', 'core.accounts', 'core.cards',
        'core.merchants', 'core.transactions', 'core.beneficiaries', 'core.devices', 'core.logins', 'core.disputes',
        'core.ingest_runs', 'core.ingest_quarantine', 'core.conversations', 'core.messages', 'core.grants', 'core.mentions',
        'ai.proposals'
    ]::REGCLASS [] LOOP
        CALL core.protect_tenant_table(name);
    END LOOP;
END
$$;

-- Masked views: what the AI role may read. Tokens stay tokens; passwords, sessions and limits of staff are not there at all.
CREATE VIEW ai.customers WITH (security_barrier) AS
SELECT tenant_id, customer_id, name_token, country, language, segment, kyc_status, opened_at
FROM core.customers;

CREATE VIEW ai.accounts WITH (security_barrier) AS
SELECT tenant_id, account_id, customer_id, number_token, product, currency, status, opened_at
FROM core.accounts;

CREATE VIEW ai.cards WITH (security_barrier) AS
SELECT tenant_id, card_id, account_id, scheme, status, expires_on
FROM core.cards;

CREATE VIEW ai.merchants WITH (security_barrier) AS
SELECT tenant_id, merchant_id, name, category_code, country
FROM core.merchants;

CREATE VIEW ai.transactions WITH (security_barrier) AS
SELECT
    transactions.tenant_id, transactions.transaction_id, transactions.account_id, accounts.customer_id, transactions.card_id,
    transactions.merchant_id, transactions.kind, transactions.status, transactions.amount_minor, transactions.currency,
    transactions.descriptor, transactions.occurred_at, transactions.posted_at, transactions.decline_code,
    transactions.decline_trace, transactions.related_transaction_id, transactions.settles_on
FROM core.transactions
INNER JOIN core.accounts USING (tenant_id, account_id);

CREATE VIEW ai.disputes WITH (security_barrier) AS
SELECT tenant_id, dispute_id, transaction_id, state, network_reason_code, opened_at, due_on
FROM core.disputes;

CREATE VIEW ai.conversations WITH (security_barrier) AS
SELECT tenant_id, conversation_id, customer_id, created_at
FROM core.conversations;

CREATE VIEW ai.messages WITH (security_barrier) AS
SELECT tenant_id, message_id, conversation_id, author, masked_text, created_at
FROM core.messages;

CREATE VIEW ai.grants WITH (security_barrier) AS
SELECT tenant_id, conversation_id, handle, kind, ref, origin, granted
FROM core.grants;

GRANT USAGE ON SCHEMA core TO edge, vault, gate, executor, jobs, auditor;
GRANT USAGE ON SCHEMA ai TO ai, edge, gate, auditor;
GRANT SELECT ON
ai.customers, ai.accounts, ai.cards, ai.merchants, ai.transactions, ai.disputes, ai.conversations, ai.messages, ai.grants
TO ai;
GRANT SELECT, INSERT ON ai.proposals TO ai;
GRANT SELECT ON ai.proposals TO gate, edge, auditor;

GRANT SELECT ON
core.tenants, core.operators, core.operator_limits, core.customers, core.accounts, core.cards, core.merchants, core.transactions,
core.beneficiaries, core.devices, core.logins, core.disputes, core.ingest_runs, core.ingest_quarantine, core.conversations,
core.messages, core.grants, core.mentions
TO edge, gate, jobs;
GRANT SELECT ON
core.tenants, core.customers, core.accounts, core.transactions, core.ingest_runs, core.conversations, core.messages, core.grants,
core.mentions
TO auditor;
GRANT SELECT, INSERT ON core.sessions TO edge;
GRANT UPDATE (revoked_at) ON core.sessions TO edge;
GRANT SELECT ON core.sessions TO gate;
GRANT INSERT ON core.conversations, core.messages, core.grants, core.mentions TO edge;
GRANT INSERT, UPDATE ON
core.tenants, core.operators, core.operator_limits, core.customers, core.accounts, core.cards, core.merchants, core.transactions,
core.beneficiaries, core.devices, core.logins, core.disputes, core.ingest_runs, core.ingest_quarantine
TO jobs;

RESET ROLE;
