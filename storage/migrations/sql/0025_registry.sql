-- Who asked for a version to be put in force, who agreed, and every move of an alias: the database lets no alias move without it.

SET LOCAL ROLE core_owner;

-- How many of a hundred acts a canary decides; every other alias decides all of them.
ALTER TABLE core.registry_aliases ADD COLUMN percent SMALLINT CHECK (percent BETWEEN 1 AND 99);

CREATE TABLE core.registry_changes (
    tenant_id TEXT NOT NULL,
    change_id TEXT NOT NULL CHECK (change_id ~ '^chg_[0-9a-f]{32}$'),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    -- What was in force when it was asked for: the comparison that people read is with this.
    base_version TEXT,
    target TEXT NOT NULL CHECK (target IN ('shadow', 'canary', 'champion')),
    percent SMALLINT CHECK (percent BETWEEN 1 AND 99),
    requested_by TEXT NOT NULL,
    requested_at TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL CHECK (LENGTH(reason) <= 2000),
    drift JSONB CHECK (JSONB_TYPEOF(drift) = 'object'),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'refused', 'expired')),
    decided_by TEXT,
    decided_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, change_id),
    FOREIGN KEY (tenant_id, kind, name, version) REFERENCES core.registry_artifacts,
    CHECK ((target = 'canary') = (percent IS NOT NULL)),
    CHECK ((state = 'open') = (decided_at IS NULL)),
    CHECK ((state = 'open') = (decided_by IS NULL)),
    CONSTRAINT second_person CHECK (state <> 'done' OR target = 'shadow' OR decided_by <> requested_by)
);
CREATE UNIQUE INDEX registry_changes_one_open ON core.registry_changes (tenant_id, kind, name, target) WHERE state = 'open';

CREATE TABLE core.registry_moves (
    tenant_id TEXT NOT NULL,
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    from_version TEXT,
    to_version TEXT NOT NULL,
    percent SMALLINT,
    change_id TEXT,
    moved_by TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    moved_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, ordinal),
    FOREIGN KEY (tenant_id, kind, name, to_version) REFERENCES core.registry_artifacts (tenant_id, kind, name, version),
    FOREIGN KEY (tenant_id, change_id) REFERENCES core.registry_changes
);
CREATE UNIQUE INDEX registry_moves_once ON core.registry_moves (tenant_id, change_id) WHERE change_id IS NOT NULL;
CREATE INDEX registry_moves_latest ON core.registry_moves (tenant_id, kind, name, alias, ordinal DESC);

CALL core.protect_tenant_table('core.registry_changes');
CALL core.protect_tenant_table('core.registry_moves');
CALL core.protect_append_only_table('core.registry_moves');

-- A version comes into force by the set-up where nothing is in force, by a change that two people made, or by a step back to what
-- stood directly before; a canary ends, without a second person, at what is in force.
CREATE FUNCTION core.check_registry_move() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
DECLARE
    v_current TEXT;
    v_last core.registry_moves;
BEGIN
    SELECT version INTO v_current FROM core.registry_aliases
    WHERE tenant_id = new.tenant_id AND kind = new.kind AND name = new.name AND alias = new.alias;
    IF new.from_version IS DISTINCT FROM v_current THEN
        RAISE EXCEPTION 'alias % of % % moved meanwhile', new.alias, new.kind, new.name USING ERRCODE = '40001';
    END IF;
    -- Nothing follows from what a shadow says.
    IF new.alias = 'shadow' THEN
        RETURN new;
    END IF;
    IF v_current IS NULL AND new.alias = 'production' AND new.approved_by = 'release' AND new.change_id IS NULL THEN
        RETURN new;
    END IF;
    IF EXISTS (
        SELECT 1 FROM core.registry_changes AS changes
        WHERE changes.tenant_id = new.tenant_id AND changes.change_id = new.change_id AND changes.state = 'done'
            AND changes.kind = new.kind AND changes.name = new.name AND changes.version = new.to_version
            AND changes.requested_by = new.moved_by AND changes.decided_by = new.approved_by
            AND changes.percent IS NOT DISTINCT FROM new.percent
            AND changes.target = CASE new.alias WHEN 'production' THEN 'champion' ELSE new.alias END
    ) THEN
        RETURN new;
    END IF;
    IF new.change_id IS NULL AND new.alias = 'canary' AND EXISTS (
        SELECT 1 FROM core.registry_aliases AS aliases
        WHERE aliases.tenant_id = new.tenant_id AND aliases.kind = new.kind AND aliases.name = new.name
            AND aliases.alias = 'production' AND aliases.version = new.to_version
    ) THEN
        RETURN new;
    END IF;
    SELECT * INTO v_last FROM core.registry_moves AS moves
    WHERE moves.tenant_id = new.tenant_id AND moves.kind = new.kind AND moves.name = new.name AND moves.alias = new.alias
    ORDER BY moves.ordinal DESC LIMIT 1;
    IF new.change_id IS NULL AND new.alias = 'production' AND v_last.change_id IS NOT NULL
        AND v_last.to_version = v_current AND v_last.from_version = new.to_version THEN
        RETURN new;
    END IF;
    RAISE EXCEPTION '% of % % may not move to % without a change that a second person approved',
        new.alias, new.kind, new.name, new.to_version USING ERRCODE = '42501';
END
$$;
CREATE TRIGGER moves_are_approved BEFORE INSERT ON core.registry_moves FOR EACH ROW EXECUTE FUNCTION core.check_registry_move();
ALTER TABLE core.registry_moves ENABLE ALWAYS TRIGGER moves_are_approved;

CREATE FUNCTION core.check_registry_alias() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
DECLARE
    v_last core.registry_moves;
BEGIN
    SELECT * INTO v_last FROM core.registry_moves AS moves
    WHERE moves.tenant_id = new.tenant_id AND moves.kind = new.kind AND moves.name = new.name AND moves.alias = new.alias
    ORDER BY moves.ordinal DESC LIMIT 1;
    IF v_last.to_version IS DISTINCT FROM new.version OR v_last.percent IS DISTINCT FROM new.percent THEN
        RAISE EXCEPTION 'alias % of % % moves only with its record in core.registry_moves', new.alias, new.kind, new.name
            USING ERRCODE = '42501';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER aliases_follow_moves BEFORE INSERT OR UPDATE ON core.registry_aliases
FOR EACH ROW EXECUTE FUNCTION core.check_registry_alias();
ALTER TABLE core.registry_aliases ENABLE ALWAYS TRIGGER aliases_follow_moves;

-- A change that was decided stays decided.
CREATE FUNCTION core.check_registry_change() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    IF old.state <> 'open' THEN
        RAISE EXCEPTION 'change % is %', old.change_id, old.state USING ERRCODE = '42501';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER changes_end_once BEFORE UPDATE ON core.registry_changes
FOR EACH ROW EXECUTE FUNCTION core.check_registry_change();
ALTER TABLE core.registry_changes ENABLE ALWAYS TRIGGER changes_end_once;

GRANT SELECT ON core.registry_changes, core.registry_moves TO gate, edge, jobs, auditor;
GRANT INSERT ON core.registry_changes, core.registry_moves TO gate;
GRANT UPDATE (state, decided_by, decided_at) ON core.registry_changes TO gate;

SET LOCAL ROLE gate_owner;

-- What a candidate would have said. Nothing follows from a row of this.
CREATE TABLE gate.shadow_decisions (
    tenant_id TEXT NOT NULL,
    decision_id TEXT NOT NULL CHECK (decision_id ~ '^dec_[0-9a-f]{32}$'),
    bundle_sha256 TEXT NOT NULL CHECK (bundle_sha256 ~ '^[0-9a-f]{64}$'),
    outcome TEXT NOT NULL CHECK (outcome IN ('allow', 'review', 'hold', 'deny')),
    reasons JSONB NOT NULL,
    differs BOOLEAN NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, decision_id, bundle_sha256)
);
-- The scorecards that decisions refer to, so that their scores can be computed again.
CREATE TABLE gate.score_cards (
    tenant_id TEXT NOT NULL,
    ref TEXT NOT NULL,
    content JSONB NOT NULL,
    PRIMARY KEY (tenant_id, ref)
);
CALL core.protect_tenant_table('gate.shadow_decisions');
CALL core.protect_append_only_table('gate.shadow_decisions');
CALL core.protect_tenant_table('gate.score_cards');
CALL core.protect_append_only_table('gate.score_cards');
GRANT SELECT ON gate.shadow_decisions, gate.score_cards TO gate, auditor;
GRANT INSERT ON gate.shadow_decisions, gate.score_cards TO gate;

RESET ROLE;
