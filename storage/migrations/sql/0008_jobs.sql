-- Rights on the job queue. Its tables come from the installed procrastinate (see versions/v0008_jobs.py), owned by core_owner.
-- Workers (role jobs) serve every tenant; edge, gate and executor may only queue a job for the tenant that they have proved.

SET LOCAL ROLE core_owner;

-- The package's functions name their tables without a schema: pin the path, so that they work, and mean the same, for every caller.
DO $$
DECLARE
    routine REGPROCEDURE;
BEGIN
    FOR routine IN SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace = 'jobs'::REGNAMESPACE LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = jobs, pg_catalog, pg_temp', routine);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO jobs', routine);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA jobs TO jobs, edge, gate, executor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO jobs;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO jobs;
GRANT USAGE ON SEQUENCE jobs.procrastinate_jobs_id_seq, jobs.procrastinate_events_id_seq TO edge, gate, executor;
GRANT EXECUTE ON FUNCTION jobs.procrastinate_defer_jobs_v1(jobs.procrastinate_job_to_defer_v1[]) TO edge, gate, executor;
GRANT SELECT, INSERT ON jobs.procrastinate_jobs TO edge, gate, executor;
GRANT INSERT ON jobs.procrastinate_events TO edge, gate, executor;

ALTER TABLE jobs.procrastinate_jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs.procrastinate_jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON jobs.procrastinate_jobs TO jobs USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY tenant_only ON jobs.procrastinate_jobs TO edge, gate, executor
USING (args ->> 'tenant_id' = (SELECT core.current_tenant()))
WITH CHECK (args ->> 'tenant_id' = (SELECT core.current_tenant()));

ALTER TABLE jobs.procrastinate_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs.procrastinate_events FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON jobs.procrastinate_events TO jobs USING (TRUE) WITH CHECK (TRUE);
-- Written by the queue's own triggers; who queues a job may not read them.
CREATE POLICY append_only ON jobs.procrastinate_events FOR INSERT TO edge, gate, executor WITH CHECK (TRUE);

RESET ROLE;
