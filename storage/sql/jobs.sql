-- name: defer_job
-- procrastinate's own function, in the caller's transaction.
SELECT UNNEST(jobs.PROCRASTINATE_DEFER_JOBS_V1(ARRAY[
    ROW(%(queue)s, %(task_name)s, %(priority)s, NULL, %(queueing_lock)s, %(args)s, %(run_at)s)
]::jobs.PROCRASTINATE_JOB_TO_DEFER_V1[]));

-- name: find_job_schema_digest
-- What was run when the tables were made.
SELECT sha256 FROM core.schema_files
WHERE name = 'procrastinate/schema.sql';
