"""Run `sql/0010_cases.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0010_cases")
