"""Run `sql/0031_executions.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0031_executions")
