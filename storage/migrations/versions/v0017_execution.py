"""Run `sql/0017_execution.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0017_execution")
