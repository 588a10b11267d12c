"""Run `sql/0023_acts.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0023_acts")
