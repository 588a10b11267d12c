-- Incidents: cases of the kinds that say that something of ours went wrong, and who looks after each.

SET LOCAL ROLE core_owner;

ALTER TABLE core.cases DROP CONSTRAINT cases_kind_check, ADD CONSTRAINT cases_kind_check CHECK (
    kind IN (
        'reconciliation_break', 'instruction_failed', 'ledger_incident', 'gate_undecided', 'gate_frozen', 'artifact_unapproved',
        'log_tampered', 'leak_incident', 'backup_failed'
    )
);

-- One person's word that he looks after it. The note is his free text and stays out of the log.
CREATE TABLE core.incident_acknowledgements (
    tenant_id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    acknowledged_by TEXT NOT NULL,
    acknowledged_at TIMESTAMPTZ NOT NULL,
    note TEXT NOT NULL CHECK (OCTET_LENGTH(note) BETWEEN 1 AND 4000),
    PRIMARY KEY (tenant_id, case_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES core.cases,
    FOREIGN KEY (tenant_id, acknowledged_by) REFERENCES core.operators
);
CALL core.protect_tenant_table('core.incident_acknowledgements');
CALL core.protect_append_only_table('core.incident_acknowledgements');
GRANT SELECT ON core.incident_acknowledgements TO edge, gate, jobs, auditor;
GRANT INSERT ON core.incident_acknowledgements TO edge;

RESET ROLE;
SET LOCAL ROLE gate_owner;

-- Few by intent: the watch over them costs a look, not a search.
CREATE INDEX decisions_undecided ON gate.decisions (tenant_id, decided_at) WHERE reasons @> '[{"code": "could_not_decide"}]';

RESET ROLE;
