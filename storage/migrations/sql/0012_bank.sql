-- The way of an instruction to the bank: when it is tried next, what the bank said of it, in the bank's own words and order.

SET LOCAL ROLE core_owner;

ALTER TABLE core.outbox
-- NULL: at once. The relay sets it: a lease while it speaks to the bank, a pause after a failure, the next question once sent.
ADD COLUMN next_attempt_at TIMESTAMPTZ,
-- The bank's own id of the instruction.
ADD COLUMN bank_reference TEXT CHECK (bank_reference ~ '^[A-Za-z0-9._:-]{1,80}$'),
ADD CONSTRAINT failure_is_a_code CHECK (failure ~ '^[a-z][a-z0-9_]{0,63}$');

-- The relay walks what is due and nothing else, however much waits for the bank's word.
DROP INDEX core.outbox_open;
CREATE INDEX outbox_due ON core.outbox (tenant_id, (COALESCE(next_attempt_at, created_at)), instruction_id)
WHERE state IN ('pending', 'sent');
-- A posting pays for one of these two and no more: it writes no failed instruction.
CREATE INDEX outbox_failed ON core.outbox (tenant_id, created_at, instruction_id) WHERE state = 'failed';

GRANT UPDATE (next_attempt_at, bank_reference) ON core.outbox TO jobs;

-- What the bank said: once for each different thing it says of an instruction, however often and in whatever order it says it.
CREATE TABLE core.bank_acknowledgements (
    tenant_id TEXT NOT NULL,
    instruction_id UUID NOT NULL,
    -- SHA-256 over what was said, without its time.
    acknowledgement_digest TEXT NOT NULL CHECK (acknowledgement_digest ~ '^[0-9a-f]{64}$'),
    status TEXT NOT NULL CHECK (status IN ('accepted', 'confirmed', 'refused')),
    reason_code TEXT CHECK (reason_code ~ '^[a-z][a-z0-9_]{0,63}$'),
    bank_reference TEXT CHECK (bank_reference ~ '^[A-Za-z0-9._:-]{1,80}$'),
    amount_minor BIGINT CHECK (amount_minor > 0),
    currency TEXT CHECK (currency ~ '^[A-Z]{3}$'),
    -- The bank's time of it, where it says one.
    acknowledged_at TIMESTAMPTZ,
    received_at TIMESTAMPTZ NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('answer', 'question', 'callback', 'file')),
    effect TEXT NOT NULL CHECK (effect IN ('sent', 'confirmed', 'failed', 'none', 'contradiction')),
    PRIMARY KEY (tenant_id, instruction_id, acknowledgement_digest),
    FOREIGN KEY (tenant_id, instruction_id) REFERENCES core.outbox,
    CHECK ((status = 'refused') = (reason_code IS NOT NULL)),
    CHECK ((amount_minor IS NULL) = (currency IS NULL))
);
CALL core.protect_tenant_table('core.bank_acknowledgements');
CALL core.protect_append_only_table('core.bank_acknowledgements');
GRANT SELECT ON core.bank_acknowledgements TO edge, jobs, auditor;
GRANT INSERT ON core.bank_acknowledgements TO jobs;

RESET ROLE;
