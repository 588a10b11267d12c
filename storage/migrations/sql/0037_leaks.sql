-- The leak guard: fingerprints of the records' numbers, by which a text is searched, and the one way for any process to say that
-- something was about to leave.

SET LOCAL ROLE vault_owner;

-- 64 bits of a keyed hash of one way to write a number. Erasing a subject takes his with him.
CREATE TABLE vault.number_prints (
    tenant_id TEXT NOT NULL,
    print BIGINT NOT NULL,
    class TEXT NOT NULL,
    token TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, print, class, token, subject_id),
    FOREIGN KEY (tenant_id, subject_id) REFERENCES vault.data_keys ON DELETE CASCADE
);
CREATE INDEX number_prints_by_subject ON vault.number_prints (tenant_id, subject_id);
CALL core.protect_tenant_table('vault.number_prints');
GRANT SELECT, INSERT ON vault.number_prints TO vault;

RESET ROLE;
SET LOCAL ROLE core_owner;

-- Open a case for something that was stopped at the last step, with its event. Whoever sends texts may say so and do nothing else
-- to the cases. One for each surface, set of classes and hour, and one open for each surface: null where it is there already.
CREATE FUNCTION core.report_leak(
    p_case_id TEXT, p_event_id UUID, p_surface TEXT, p_classes TEXT[], p_place TEXT, p_now TIMESTAMPTZ
) RETURNS TEXT
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id TEXT := core.current_tenant();
    v_opened_for TEXT;
    v_facts JSONB;
    v_due TIMESTAMPTZ := p_now + INTERVAL '4 hours';
BEGIN
    IF p_surface NOT IN ('model', 'embedding', 'log', 'trace', 'webhook', 'export', 'stored')
        OR p_classes IS NULL OR CARDINALITY(p_classes) NOT BETWEEN 1 AND 32
        OR EXISTS (SELECT FROM UNNEST(p_classes) AS named (class) WHERE class IS NULL OR class !~ '^[A-Z_]{2,16}$')
        OR p_place !~ '^[A-Za-z_. ]{1,60}( [0-9a-f]{8,64})?$'
    THEN
        RAISE EXCEPTION 'report_leak: a surface, classes and a place of names and hashes' USING ERRCODE = '22023';
    END IF;
    v_opened_for := p_surface || ':' || (SELECT STRING_AGG(DISTINCT class, '+' ORDER BY class) FROM UNNEST(p_classes) AS named (class))
        || ':' || TO_CHAR(p_now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24');
    v_facts := JSONB_BUILD_OBJECT('classes', p_classes, 'place', p_place, 'surface', p_surface);
    INSERT INTO core.cases (tenant_id, case_id, kind, subject, opened_for, facts, opened_at, due_at)
    VALUES (v_tenant_id, p_case_id, 'leak_incident', p_surface, LEFT(v_opened_for, 255), v_facts, p_now, v_due)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)
    VALUES (
        v_tenant_id, p_event_id, 'case.opened', 'cases', p_case_id, p_now, p_now,
        JSONB_BUILD_OBJECT(
            'case_id', p_case_id, 'kind', 'leak_incident', 'subject', p_surface, 'opened_for', LEFT(v_opened_for, 255),
            'due_at', TO_CHAR(v_due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'facts', v_facts
        )
    );
    RETURN p_case_id;
END
$$;
GRANT EXECUTE ON FUNCTION core.report_leak(TEXT, UUID, TEXT, TEXT[], TEXT, TIMESTAMPTZ) TO edge, ai, jobs, vault, gate;

RESET ROLE;
