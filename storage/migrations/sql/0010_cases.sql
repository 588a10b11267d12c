-- Cases: the one table where an open question waits for a person. Programs open them, in the transaction of their cause;
-- a person closes them at the edge, or a program does when what was asked has settled itself.

SET LOCAL ROLE core_owner;

CREATE TABLE core.cases (
    tenant_id TEXT NOT NULL,
    case_id TEXT NOT NULL CHECK (case_id ~ '^cas_[0-9a-f]{32}$'),
    kind TEXT NOT NULL CHECK (kind IN ('reconciliation_break', 'instruction_failed', 'ledger_incident')),
    subject TEXT NOT NULL CHECK (OCTET_LENGTH(subject) BETWEEN 1 AND 255),
    -- The cause. One cause opens one case, however often it is told.
    opened_for TEXT NOT NULL CHECK (OCTET_LENGTH(opened_for) BETWEEN 1 AND 255),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    amount_minor BIGINT CHECK (amount_minor BETWEEN -9007199254740991 AND 9007199254740991),
    currency TEXT CHECK (currency ~ '^[A-Z]{3}$'),
    facts JSONB NOT NULL CHECK (JSONB_TYPEOF(facts) = 'object' AND OCTET_LENGTH(facts::TEXT) <= 16384),
    opened_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ NOT NULL CHECK (due_at >= opened_at),
    closed_at TIMESTAMPTZ,
    closed_by TEXT,
    outcome TEXT CHECK (outcome IN ('corrected', 'explained', 'written_off', 'duplicate', 'matched_later', 'superseded')),
    note TEXT NOT NULL DEFAULT '' CHECK (OCTET_LENGTH(note) <= 4000),
    PRIMARY KEY (tenant_id, case_id),
    UNIQUE (tenant_id, kind, opened_for),
    CHECK ((amount_minor IS NULL) = (currency IS NULL)),
    CONSTRAINT cases_closed_whole CHECK (
        (state = 'closed') = (closed_at IS NOT NULL)
        AND (state = 'closed') = (closed_by IS NOT NULL)
        AND (state = 'closed') = (outcome IS NOT NULL)
    ),
    CONSTRAINT cases_closed_by_person CHECK ((outcome IN ('matched_later', 'superseded')) = (closed_by = 'system'))
);
-- One thing has one open question of a kind.
CREATE UNIQUE INDEX cases_one_open ON core.cases (tenant_id, kind, subject) WHERE state = 'open';
CREATE INDEX cases_by_subject ON core.cases (tenant_id, subject);
CREATE INDEX cases_by_state ON core.cases (tenant_id, state, opened_at, case_id);

CREATE FUNCTION core.refuse_case_step() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF old.state <> 'open' THEN
        RAISE EXCEPTION 'case %: it is closed and stays closed', old.case_id USING ERRCODE = '23514';
    END IF;
    IF CURRENT_USER = 'jobs' AND new.closed_by IS DISTINCT FROM 'system' THEN
        RAISE EXCEPTION 'case %: a job closes in nobody''s name', old.case_id USING ERRCODE = '42501';
    END IF;
    IF CURRENT_USER = 'edge' AND NOT EXISTS (
        SELECT FROM core.operators WHERE tenant_id = new.tenant_id AND operator_id = new.closed_by AND active
    ) THEN
        RAISE EXCEPTION 'case %: closing needs an operator', old.case_id USING ERRCODE = '42501';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER refuse_case_step BEFORE UPDATE ON core.cases FOR EACH ROW EXECUTE FUNCTION core.refuse_case_step();
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON core.cases FOR EACH STATEMENT EXECUTE FUNCTION core.refuse_change();
ALTER TABLE core.cases ENABLE ALWAYS TRIGGER refuse_case_step;
ALTER TABLE core.cases ENABLE ALWAYS TRIGGER refuse_removal;

CALL core.protect_tenant_table('core.cases');

GRANT SELECT ON core.cases TO edge, gate, jobs, auditor, ledger_owner;
-- Without the columns of the end: nobody opens a case that is closed already.
GRANT INSERT (tenant_id, case_id, kind, subject, opened_for, amount_minor, currency, facts, opened_at, due_at)
ON core.cases TO jobs, gate, ledger_owner;
GRANT UPDATE (state, closed_at, closed_by, outcome, note) ON core.cases TO edge, jobs;

RESET ROLE;
