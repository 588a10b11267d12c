"""Run `sql/0037_leaks.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0037_leaks")
