"""Run `sql/0002_records.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0002_records")
