"""Run `sql/0001_foundation.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0001_foundation")
