"""Make procrastinate's tables from the installed package, keep the digest of what was run, then run `sql/0008_jobs.sql`."""

from importlib import resources

from storage.migrations.sql_files import raw_connection, run_sql, sql_revision

revision, down_revision, grant_rights = sql_revision("0008_jobs")


def upgrade() -> None:
    connection = raw_connection()
    connection.execute("SET LOCAL ROLE core_owner")
    connection.execute("SET LOCAL search_path = jobs")
    run_sql("procrastinate/schema.sql", (resources.files("procrastinate.sql") / "schema.sql").read_bytes())
    connection.execute("SET LOCAL search_path = pg_catalog")
    grant_rights()
