"""Run `sql/0007_execution.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0007_execution")
