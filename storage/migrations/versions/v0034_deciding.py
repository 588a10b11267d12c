"""Run `sql/0034_deciding.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0034_deciding")
